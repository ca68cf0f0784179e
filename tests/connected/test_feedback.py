"""Ratings and edits reach the figures of their configuration, each once, whatever dies and comes twice."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from cli.contexts import VARIABLES
from cli.stack.secrets import write_tokens
from services.evaluator.decision_projection import CONSUMER as COMPARE
from services.evaluator.feedback import DrafterFeedback, RatingCounts
from services.evaluator.feedback_api import DrafterEdits
from services.evaluator.feedback_projection import CONSUMER, FeedbackProjection
from services.evaluator.main import build as build_evaluator
from services.evaluator.settings import EvaluatorSettings
from shared.contracts.case_values import EditCount, Edits
from shared.contracts.draft import DrafterRole, DrafterStamp
from shared.contracts.envelope import CHAIN_START, ChainHead, RecordedEvent
from shared.contracts.events import Approved, CaseEvent, Drafted, DraftRef
from shared.contracts.ratings import Rated, Rating
from shared.contracts.subjects import CaseRef
from shared.knowledge.embedded_qdrant import EmbeddedQdrant
from shared.messaging.connection import NatsConnection
from shared.messaging.drafter_registry import DrafterRegistry
from shared.messaging.event_store import EventStore
from shared.runtime.service import create_app
from tests.support.drafters import CANDIDATE, DOCUMENT, LIVE, add, start_canary
from tests.support.embedder import HashEmbedder
from tests.support.examples import DIGEST, PHYSICIAN, STAY, T0, draft_ref
from tests.support.server import NatsServer
from tests.support.service_settings import make_settings
from tests.support.serving import command_json, run_beside, served
from tests.support.stack import until

pytestmark = [pytest.mark.connected, pytest.mark.timeout(120)]

LATER = T0 + timedelta(hours=1)
PART = "procedures-and-treatment"
REMOVED = EditCount(part=PART, kind="sentence-removed", count=2)
EDITED = Edits(distance=90, changed=(1, 2), counts=(REMOVED,))


class Cases:
    """Signed drafts in the event stream, and what their signers say of them."""

    def __init__(self, bus: NatsConnection) -> None:
        self.bus = bus
        self._events = EventStore(bus, "test")
        self._heads: dict[str, tuple[ChainHead, DraftRef]] = {}

    async def sign(self, role: DrafterRole, edits: Edits | None = None) -> str:
        """Return the id of a case whose draft was signed."""
        case, configuration = str(uuid4()), CANDIDATE if role == "canary" else LIVE
        stamp = DrafterStamp(configuration=configuration.digest, role=role)
        draft = draft_ref().model_copy(update={"drafter": stamp})
        drafted = Drafted(stay=STAY, draft=draft, sentences=4, unsupported=0, encounter_status="finished")
        signed = Approved(stay=STAY, draft=draft, signed=DIGEST, edited=edits is not None, by=PHYSICIAN, edits=edits)
        self._heads[case] = CHAIN_START, draft
        for event in (drafted, signed):
            await self._append(case, event)
        return case

    async def rate(self, case: str, rating: Rating) -> None:
        await self._append(case, Rated(draft=self._heads[case][1], rating=rating, words=DIGEST, by=PHYSICIAN))

    async def _append(self, case: str, event: CaseEvent) -> None:
        head, draft = self._heads[case]
        ref = CaseRef("cardiology", case)
        self._heads[case] = await self._events.append(ref, event, after=head, id=str(uuid4()), time=LATER), draft

    async def recorded(self) -> list[RecordedEvent]:
        found, unreadable = await self._events.recent(100)
        assert unreadable == []
        return [item for item in found if isinstance(item.body, Approved | Rated)]


@pytest.fixture
async def cases(nats: NatsServer, evaluator: DrafterRegistry) -> AsyncIterator[Cases]:
    """Cases while the candidate is a canary."""
    await start_canary(evaluator, await add(evaluator, CANDIDATE), 0.5)
    bus = await nats.connect("admin")
    yield Cases(bus)
    await bus.close()


@pytest.fixture
def projection(evaluator: DrafterRegistry) -> FeedbackProjection:
    return FeedbackProjection(evaluator._bus, evaluator)


async def canary_ratings(
    projection: FeedbackProjection, registry: DrafterRegistry
) -> tuple[RatingCounts, RatingCounts]:
    canary = (await registry.state(DOCUMENT)).canary
    assert canary is not None
    found = await projection.ratings(CANDIDATE.digest, canary.began)
    return found.of_canary, found.of_live


async def test_what_comes_twice_out_of_order_or_to_a_process_that_dies_counts_once(
    evaluator: DrafterRegistry, cases: Cases, projection: FeedbackProjection
) -> None:
    first, second = await cases.sign("canary", EDITED), await cases.sign("live")
    await cases.rate(first, "useless")
    await cases.rate(second, "useful")
    await cases.rate(first, "edited-much")
    events = await cases.recorded()

    whole, deaths = projection._bucket.put, 0

    async def dies(*given: Any, **options: Any) -> int:
        await whole(*given, **options)
        raise asyncio.CancelledError  # stored, and nobody is told

    projection._bucket.put = dies  # type: ignore[method-assign]
    for item in events:
        for _ in range(4):  # as often as there is something left to store, and then in vain
            try:
                await projection.apply(item)
            except asyncio.CancelledError:
                deaths += 1
    assert deaths == 2 + 3 * 2, "a signature is stored once, a rating for its configuration and for the canary"
    found = await projection.feedback(CANDIDATE.digest)
    for item in reversed(events):
        await projection.apply(item)
    assert await projection.feedback(CANDIDATE.digest) == found
    assert (found.signed, found.unchanged, found.ratings) == (1, 0, RatingCounts(edited_much=1))
    assert [(item.count, item.drafts, item.examples) for item in found.edits] == [(2, 1, (first,))]
    live = await projection.feedback(LIVE.digest)
    assert (live.signed, live.unchanged, live.edits, live.ratings) == (1, 1, (), RatingCounts(useful=1))
    assert await canary_ratings(projection, evaluator) == (RatingCounts(edited_much=1), RatingCounts(useful=1))


async def test_two_processes_that_take_in_the_same_event_count_it_once(
    evaluator: DrafterRegistry, cases: Cases, projection: FeedbackProjection
) -> None:
    await cases.rate(await cases.sign("canary", EDITED), "useful")
    other = FeedbackProjection(evaluator._bus, evaluator)
    for item in await cases.recorded():
        await asyncio.gather(projection.apply(item), other.apply(item), return_exceptions=True)
        await other.apply(item)
    found = await projection.feedback(CANDIDATE.digest)
    assert (found.signed, found.ratings) == (1, RatingCounts(useful=1))


async def test_a_canary_that_begins_again_is_rated_anew(
    evaluator: DrafterRegistry, cases: Cases, projection: FeedbackProjection
) -> None:
    await cases.rate(await cases.sign("canary"), "useless")
    for item in await cases.recorded():
        await projection.apply(item)
    again = await projection.ratings(CANDIDATE.digest, 10_000)
    assert (again.of_canary, again.began) == (RatingCounts(), 10_000)
    assert (await projection.feedback(CANDIDATE.digest)).ratings == RatingCounts(useless=1)


async def nothing_waits(bus: NatsConnection, consumer: str) -> bool:
    info = await bus.consumer_info("DISCHARGE", consumer)
    return not info["num_pending"] and not info["num_ack_pending"]


@pytest.fixture
async def url(nats: NatsServer, cases: Cases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    """The evaluator itself, with its own rights, and a context for the commands."""
    for name in (*VARIABLES, "COUNTERSIGN_NATS_URL", "COUNTERSIGN_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    tokens = tmp_path / "tokens.json"
    write_tokens(tokens, nats.secrets.tokens)
    base = EmbeddedQdrant(tmp_path / "qdrant")
    seed = SecretStr(nats.secrets.seeds["evaluator"])
    settings = make_settings(EvaluatorSettings, nats_url=nats.url, nats_seed=seed, tokens_file=tokens)
    app = create_app([build_evaluator(settings, embedder=HashEmbedder(), base=base)])
    async with app.router.lifespan_context(app), served(app) as found:
        file = tmp_path / "auditor.token"
        file.write_text(nats.secrets.tokens["auditor"])  # whoever has a role may look
        assert (await run_beside("context", "add", "here", "--url", found, "--token-file", str(file))).code == 0
        assert (await run_beside("context", "use", "here")).code == 0
        yield found
    await base.close()


@pytest.mark.usefixtures("url")
async def test_the_commands_show_ratings_and_edits(cases: Cases) -> None:
    empty = DrafterEdits.of(DrafterFeedback(configuration=LIVE.digest))
    assert await command_json("drafters", "edits", LIVE.digest) == empty.model_dump()
    first = await cases.sign("canary", EDITED)
    await cases.sign("canary")
    await cases.rate(first, "edited-much")
    await cases.rate(await cases.sign("live"), "useful")
    for consumer in (CONSUMER, COMPARE):
        await until(partial(nothing_waits, cases.bus, consumer), "every event to be taken in")
    found = await command_json("drafters", "edits", CANDIDATE.digest[:12])
    assert (found["signed"], found["compared"], found["unchanged"], found["ratings"]["edited_much"]) == (2, 2, 1, 1)
    (item,) = found["items"]
    assert item == {
        "part": PART,
        "kind": "sentence-removed",
        "count": 2,
        "drafts": 1,
        "share": 0.5,
        "examples": [first],
    }
    shown = (await run_beside("drafters", "edits", CANDIDATE.digest, "--cases")).out
    assert all(word in shown for word in (PART, "50%", first, "1 edited much")), shown
    compared = await command_json("drafters", "compare", CANDIDATE.digest)
    assert compared["canary"]["ratings"] == {"useful": 0, "edited_much": 1, "useless": 0}
    assert compared["live"]["ratings"] == {"useful": 1, "edited_much": 0, "useless": 0}
    assert "1 edited much" in (await run_beside("drafters", "compare", CANDIDATE.digest)).out
    missing = await run_beside("drafters", "edits", "0123456789")
    assert (missing.code, "no such drafter configuration" in missing.err) == (2, True)
