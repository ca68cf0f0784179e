"""A guideline beside a draft and inside it: from the vector base to the signed document, on the real services."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.contracts.knowledge import Chunk, RelevanceThreshold
from shared.inference.triton import INTERACTIVE_PRIORITY
from shared.knowledge.live import LiveBucket, LivePointer
from shared.knowledge.qdrant_server import QdrantServer
from shared.knowledge.vector_store import EmbeddedChunk
from tests.support.ehr import sandbox
from tests.support.embedder import DIMENSIONS, HashEmbedder
from tests.support.examples import T0
from tests.support.generator import ScriptedGenerator
from tests.support.physician import approval_body
from tests.support.server import NatsServer
from tests.support.stack import Stack, running

pytestmark = [pytest.mark.connected, pytest.mark.filterwarnings("ignore:Payload indexes have no effect")]

HEART_FAILURE = "enc-dedb41e97421"
GUIDELINE = Chunk(
    id="hf",
    source="guidelines",
    document="heart-failure.md",
    title="Heart failure",
    text="Salt is limited to 5 g a day. The patient weighs every morning.",
    url="https://example.org/hf",
)
OTHER = Chunk(id="gout", source="guidelines", document="gout.md", title="Gout", text="Cherries are eaten at noon.")
TOLD = (
    "The patient was admitted and cared for on the ward. The patient weighs every morning.\n\n"
    "Instructions: Salt is limited to 5 g a day."
)


@pytest.fixture
async def cited(nats: NatsServer) -> AsyncIterator[Stack]:
    """The services with a live version of two chunks, and a model that copies from the guideline."""
    await nats.provision()
    base = QdrantServer(":memory:")
    await base.ensure_collection("c", DIMENSIONS)
    chunks = [GUIDELINE, OTHER]
    vectors = await HashEmbedder().embed(
        "embedder", [item.text_to_embed for item in chunks], priority=INTERACTIVE_PRIORITY
    )
    await base.upsert(
        "c", [EmbeddedChunk(item, vector.tolist(), 1) for item, vector in zip(chunks, vectors, strict=True)]
    )
    bus = await nats.connect("admin")
    relevance = RelevanceThreshold(threshold=0.3, origin="golden", reason="chosen")
    live = LivePointer(version=1, collection="c", embedder="embedder", relevance=relevance, since=T0, by="evaluation")
    await LiveBucket(bus).compare_and_set(live, 0)
    await bus.close()
    generator = ScriptedGenerator(TOLD)
    async with running(nats, sandbox(), generator=generator, narrative_policy="marked", base=base) as stack:
        yield stack
    await base.close()


async def drafted(stack: Stack, encounter: str) -> tuple[str, dict[str, Any]]:
    case_id = await stack.discharge(encounter)
    await stack.reaches(case_id, "awaiting-review")
    return case_id, (await stack.review(case_id))["draft"]


async def test_only_what_is_about_a_problem_is_cited_and_the_others_are_named(cited: Stack) -> None:
    case_id, draft = await drafted(cited, HEART_FAILURE)
    knowledge = draft["knowledge"]
    (passage,) = knowledge["passages"]
    assert (passage["document"], passage["about"][0]) == ("heart-failure.md", "Heart failure")
    assert (knowledge["threshold"], knowledge["calibrated"]) == (0.3, True)
    assert passage["similarity"] >= 0.3
    assert knowledge["uncovered"]
    assert "Heart failure" not in knowledge["uncovered"]
    assert "General advice on Heart failure, for the instructions only" in cited.generator.prompts[-1]
    page = (await cited.call("physician", "GET", f"/reviews/{case_id}")).text
    assert "General advice from guidelines/heart-failure.md" in page
    assert 'href="https://example.org/hf"' in page
    for name in knowledge["uncovered"]:
        assert name in page.partition("No passage of the knowledge base is about")[2]


async def test_a_guidelines_sentence_is_general_advice_from_the_draft_to_the_signature(cited: Stack) -> None:
    case_id, draft = await drafted(cited, HEART_FAILURE)
    sentences = [item for part in draft["parts"] for item in part["narrative"]]
    (advice,) = [item for item in sentences if item["passage"]]
    assert advice["narrative"] == "patient-instructions"
    assert advice["text"].startswith("In general: Salt is limited to 5 g a day (general advice from Heart failure")
    assert (advice["label"], advice["unsupported"][0]["kind"]) == ("not-in-record", "advice")
    assert not any("weighs every morning" in item["text"] for item in sentences)
    assert advice["text"] in draft["text"]
    assert "weighs every morning" not in draft["text"]
    assert draft["replaced"] == 1
    unsettled = approval_body(draft) | {"resolutions": []}
    refused = await cited.call(
        "physician",
        "POST",
        f"/v1/reviews/{case_id}/approve",
        headers={"If-Match": f'"{draft["digest"]}"'},
        json=unsettled,
    )
    assert refused.status_code == 409
    assert (await cited.decide(case_id, "approve")).status_code == 200
