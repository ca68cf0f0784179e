"""Australian stays after AU Core and AU Base, written without having read the drafter."""

from tests.stays.australia.adults import coronary, dialysis
from tests.stays.australia.joint import replacement
from tests.stays.australia.young import asthma, rheumatic_fever

STAYS = (coronary, dialysis, replacement, asthma, rheumatic_fever)
