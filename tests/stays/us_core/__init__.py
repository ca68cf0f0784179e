"""Stays in the shapes of US Core, as two large American EHRs fill them in."""

from tests.stays.us_core.arrest import arrest
from tests.stays.us_core.cesarean import cesarean
from tests.stays.us_core.copd import copd
from tests.stays.us_core.dissection import dissection
from tests.stays.us_core.hip_fracture import hip_fracture
from tests.stays.us_core.hospice import hospice
from tests.stays.us_core.infarction import infarction
from tests.stays.us_core.ketoacidosis import ketoacidosis
from tests.stays.us_core.mania import mania
from tests.stays.us_core.newborn import newborn
from tests.stays.us_core.pancreatitis import pancreatitis
from tests.stays.us_core.respiratory_failure import respiratory_failure
from tests.stays.us_core.sepsis import sepsis
from tests.stays.us_core.stroke import stroke
from tests.stays.us_core.syncope import syncope

STAYS = (
    arrest,
    cesarean,
    copd,
    dissection,
    hip_fracture,
    hospice,
    infarction,
    ketoacidosis,
    mania,
    newborn,
    pancreatitis,
    respiratory_failure,
    sepsis,
    stroke,
    syncope,
)
