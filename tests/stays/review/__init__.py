"""Stays with the dirt of daily work, after several countries; their sheets were sharpened after a first draft."""

from tests.stays.review.family import birth, child, tonsils
from tests.stays.review.mind import depot, lithium
from tests.stays.review.severe import bleeding, icu_death, transplant
from tests.stays.review.wards import apixaban, cerner, hernia, synthea

STAYS = (apixaban, cerner, synthea, hernia, child, birth, tonsils, lithium, depot, icu_death, transplant, bleeding)
