"""Stays in the shapes of the International Patient Summary: SNOMED CT, absent or unknown data."""

from tests.stays.ips.asthma import asthma
from tests.stays.ips.colectomy import colectomy
from tests.stays.ips.dialysis import dialysis
from tests.stays.ips.epilepsy import epilepsy
from tests.stays.ips.heart_failure import heart_failure
from tests.stays.ips.malaria import malaria
from tests.stays.ips.neutropenia import neutropenia

STAYS = (
    asthma,
    colectomy,
    dialysis,
    epilepsy,
    heart_failure,
    malaria,
    neutropenia,
)
