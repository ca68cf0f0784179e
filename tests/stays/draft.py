"""Drafts a stay as the drafter does, without a model: what a physician reads is what the record and its notes say.

The composed sentences are left out, as they repeat facts: a fact that is missing must not be found in them.
"""

from services.drafter import facts
from services.drafter.compose import compose
from services.drafter.course.interventions import operation_note_sentences
from services.drafter.notes.quotation import quote_notes
from shared.contracts.context import EncounterContext
from shared.contracts.draft import Draft, Prompt
from shared.contracts.errors import PermanentError
from tests.stays.model import Document, Stay
from tests.stays.reading import read

PROMPT = Prompt(name="none", version=1, digest="0" * 64)


async def drafted(stay: Stay) -> Document:
    """The document of a stay, or why it was refused."""
    try:
        _, draft = await composed(stay)
    except PermanentError as error:
        return Document(refused=str(error))
    return Document(draft.text, (*draft.left_out, *(point.text for point in draft.open_points)))


async def composed(stay: Stay) -> tuple[EncounterContext, Draft]:
    """The context of a stay and its draft.

    Raises PermanentError where the stay is refused.
    """
    context = await read(stay)
    notes = quote_notes(context)
    return context, compose(
        context,
        facts.render(context),
        (*operation_note_sentences(context), *notes.sentences),
        notes=notes,
        model_silent="the model was not asked",
        number=1,
        model="",
        prompt=PROMPT,
        context_digest="0" * 64,
    )
