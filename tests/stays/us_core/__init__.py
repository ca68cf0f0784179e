"""Stays in the shapes of US Core, as two large American EHRs fill them in."""

from tests.stays.us_core.copd import copd
from tests.stays.us_core.infarction import infarction
from tests.stays.us_core.sepsis import sepsis

STAYS = (
    copd,
    infarction,
    sepsis,
)
