"""The narrative of a stay made by rules from its typed record: no model, nothing invented. Pure."""

from collections.abc import Sequence

from services.drafter.course.hospital import hospital_course
from services.drafter.course.instructions import instructions
from shared.contracts.context import EncounterContext
from shared.contracts.draft import Sentence

__all__ = ["compose_course", "hospital_course", "instructions"]


def compose_course(context: EncounterContext, quoted: Sequence[Sentence] = ()) -> tuple[Sentence, ...]:
    """The hospital course, with sentences `quoted` from notes; then the instructions where somebody is to be told."""
    return (*hospital_course(context, quoted), *instructions(context))
