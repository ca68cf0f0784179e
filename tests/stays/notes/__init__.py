"""Stays whose course stands in their notes, written as clinicians write them in Epic, Oracle Health, HAPI and ISiK.

What a note says is to be told as a note's word; plans, templates, lists and what is denied are not to be told as done.
"""

from tests.stays.notes.medicine import broken, cirrhosis, copd, german, heart_failure
from tests.stays.notes.severe import code_blue, differing, long_stay, shift_notes
from tests.stays.notes.surgery import hip

STAYS = (heart_failure, copd, cirrhosis, german, broken, hip, differing, shift_notes, code_blue, long_stay)
