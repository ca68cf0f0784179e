"""Records that are legal FHIR and awkward to read, written without having read the drafter."""

from tests.stays.awkward.deaths import (
    deceased_in_another_zone,
    decede,
    died_later,
    left_by_table_0112,
    nubc_42,
    overleden,
)
from tests.stays.awkward.identity import logical_subject, merged_both_ways, spelled_references
from tests.stays.awkward.orders import doses, not_for_home
from tests.stays.awkward.results import codes_only, corrected, odd_dates, values
from tests.stays.awkward.transfers import intensive_care

# A death stands beside a stay that the patient survived: no sheet may pass on its neighbour's document.
STAYS = (
    merged_both_ways,
    decede,
    logical_subject,
    overleden,
    spelled_references,
    nubc_42,
    values,
    deceased_in_another_zone,
    codes_only,
    died_later,
    left_by_table_0112,
    corrected,
    odd_dates,
    doses,
    intensive_care,
    not_for_home,
)
