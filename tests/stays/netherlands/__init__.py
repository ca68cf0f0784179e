"""Dutch stays after nl-core and zib2020, written without having read the drafter."""

from tests.stays.netherlands.chest import copd
from tests.stays.netherlands.stroke import stroke
from tests.stays.netherlands.surgery import foot, preeclampsia
from tests.stays.netherlands.terminal import palliative

STAYS = (copd, stroke, foot, preeclampsia, palliative)
