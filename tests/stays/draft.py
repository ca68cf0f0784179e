"""Drafts a stay as the drafter does, without a model: what a physician reads is what the record says."""

from zoneinfo import ZoneInfo

from services.drafter import facts
from services.drafter.compose import compose
from services.drafter.extract import extract
from shared.clinical.fhir import FhirClient
from shared.contracts.draft import Prompt
from shared.contracts.failures import PermanentError
from tests.stays.elements import BASE
from tests.stays.model import Document, Stay
from tests.stays.server import serve

PROMPT = Prompt(name="none", version=1, digest="0" * 64)


async def drafted(stay: Stay) -> Document:
    """The document of a stay, or why it was refused."""
    async with serve(stay) as http:
        try:
            ehr, zone = FhirClient(BASE, http), ZoneInfo(stay.time_zone)
            context = await extract(ehr, stay.encounter, occurred_at=None, attending=None, zone=zone)
        except PermanentError as error:
            return Document(refused=str(error))
    draft = compose(
        context,
        facts.render(context),
        (),
        model_silent="the model was not asked",
        number=1,
        model="",
        prompt=PROMPT,
        context_digest="0" * 64,
    )
    return Document(draft.text, (*draft.left_out, *(point.text for point in draft.open_points)))
