"""Compose the narrative of a stay by rules from its typed record, without a model. Pure."""

from collections.abc import Sequence

from services.drafter.course.hospital import hospital_course
from services.drafter.course.instructions import instructions
from shared.contracts.context import EncounterContext
from shared.contracts.draft import Sentence

__all__ = ["compose_course", "hospital_course", "instructions"]


def compose_course(context: EncounterContext, quoted: Sequence[Sentence] = ()) -> tuple[Sentence, ...]:
    """Return the hospital course, with `quoted` sentences of notes, and instructions where a patient is instructed."""
    return (*hospital_course(context, quoted), *instructions(context))
