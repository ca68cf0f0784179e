"""Facts that narratives state, in stays in the shapes of seven other systems."""

import pytest

from services.drafter.evaluation_metrics import narrative_of, signed_narrative
from services.drafter.omissions import StatedFacts
from services.drafter.writing import Assignment, DraftWriter
from tests.stays import bundles
from tests.stays.model import Stay
from tests.stays.reading import read
from tests.support.drafters import declared_drafters
from tests.support.generator import ScriptedGenerator

STAYS = list(bundles.stays(lambda _: None))
pytestmark = pytest.mark.skipif(not STAYS, reason="the shared stays are not here (../shared/data/stays)")


@pytest.mark.parametrize("stay", STAYS, ids=lambda stay: stay.name)
async def test_a_draft_that_is_signed_as_it_is_omits_nothing_and_every_sentence_counts(stay: Stay) -> None:
    context = await read(stay)
    writer = DraftWriter(declared_drafters(ScriptedGenerator("The patient was admitted.")), 5.0, None)
    draft = await writer.write(context, Assignment(case="c", department="d", context_digest="c" * 64, last=True))
    facts = StatedFacts(context, [draft])
    signed = facts.of(signed_narrative(draft.text))
    composed = {item.source for sentence in draft.sentences for item in sentence.evidence if item.kind == "record"}
    assert signed == facts.of(narrative_of(draft))
    assert signed >= composed
    assert len(composed) > 5
    for sentence in draft.sentences:
        own = {item.source for item in sentence.evidence if item.kind == "record"}
        assert own <= facts.of(f"In short: {sentence.text}"), sentence.text
