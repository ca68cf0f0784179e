"""The narrative made by rules from the typed record: no model, no claim that the record does not have."""

from services.drafter.course.hospital import hospital_course
from services.drafter.course.instructions import patient_instructions
from shared.contracts.context import EncounterContext
from shared.contracts.draft import Sentence


def composed(context: EncounterContext) -> tuple[Sentence, ...]:
    """The hospital course, then the patient's instructions where there is somebody to instruct."""
    return (*hospital_course(context), *(patient_instructions(context) if context.instructs else ()))


__all__ = ["composed"]
