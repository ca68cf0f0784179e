"""The narrative of a stay made by rules from its typed record: no model, nothing invented. Pure."""

from services.drafter.course.hospital import hospital_course
from services.drafter.course.instructions import instructions
from shared.contracts.context import EncounterContext
from shared.contracts.draft import Sentence

__all__ = ["composed", "hospital_course", "instructions"]


def composed(context: EncounterContext) -> tuple[Sentence, ...]:
    """The hospital course, then the instructions for the patient where there is somebody to instruct."""
    return (*hospital_course(context), *instructions(context))
