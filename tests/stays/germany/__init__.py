"""German stays after the profiles of ISiK, MII and KBV, written without having read the drafter."""

from tests.stays.germany.children import bronchiolitis, newborn_jaundice
from tests.stays.germany.medical import geriatrics, infarction
from tests.stays.germany.severe import lung_cancer, septic_shock
from tests.stays.germany.surgical import hysterectomy, knee

STAYS = (infarction, geriatrics, hysterectomy, knee, lung_cancer, septic_shock, bronchiolitis, newborn_jaundice)
