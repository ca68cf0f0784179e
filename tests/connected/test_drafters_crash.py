"""The evaluator is killed with -9 at any write of a move, of an automatic rollback and of a decision that it takes in.

Each time it is started again, and then killed at the next write. What it was doing is there exactly once in the end.
"""

import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from uuid import uuid4

import httpx
import pytest

from cli.stack.ports import free_port
from cli.stack.secrets import write_tokens
from services.evaluator.canary import Comparison
from services.evaluator.drift import Drift
from services.evaluator.feedback import DrafterFeedback, RatingComparison, RatingCounts
from shared.contracts import drafter_states as states
from shared.contracts.draft import DrafterStamp
from shared.contracts.envelope import CHAIN_START, chain_digest
from shared.contracts.events import Approved, Drafted
from shared.contracts.ratings import Rated
from shared.contracts.subjects import CaseRef
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection
from shared.messaging.drafter_registry import STREAM, DrafterRegistry
from shared.messaging.evaluations import EvaluationLog
from shared.messaging.event_store import EventStore, raw_message_of
from shared.messaging.stream_pages import read_stream_pages
from shared.messaging.topology_model import Consumer
from tests.connected.test_canary import LATER, Decisions
from tests.support.drafters import CANDIDATE, DOCUMENT, LIVE, WHO, add, start_canary
from tests.support.examples import DIGEST, PHYSICIAN, STAY, draft_ref
from tests.support.killed_service import PATIENCE_S, KilledService
from tests.support.server import NatsServer
from tests.support.stack import until

pytestmark = [pytest.mark.connected, pytest.mark.system, pytest.mark.timeout(240)]

CONSUMERS = ("evaluator-compare", "evaluator-feedback")
OTHER = CANDIDATE.model_copy(update={"policy": "marked"})
BEGUN = ["declared", "added", "canary-started"]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages of the dead come back soon, and the server forgets the ids of messages before the next start."""
    monkeypatch.setattr(Consumer, "ack_wait", 1.0)
    monkeypatch.setattr("shared.messaging.provision.DEDUPE_WINDOW", 0.1)


class Evaluator(KilledService):
    """The evaluator, and an operator who asks it for moves."""

    def __init__(self, nats: NatsServer, directory: Path) -> None:
        write_tokens(directory / "tokens.json", nats.secrets.tokens)
        environment = {
            "COUNTERSIGN_MODE": "demo",
            "COUNTERSIGN_NATS_URL": nats.url,
            "COUNTERSIGN_NATS_SEED": nats.secrets.seeds["evaluator"],
            "COUNTERSIGN_TOKENS_FILE": str(directory / "tokens.json"),
            "COUNTERSIGN_PORT": str(free_port()),
            "COUNTERSIGN_QDRANT_URL": "http://127.0.0.1:1",  # not needed for drafters
        }
        super().__init__("evaluator", environment, directory / "evaluator.log")
        self._headers = {"Authorization": f"Bearer {nats.secrets.tokens['operator']}"}

    async def move(self, digest: str, move: str, **more: Any) -> dict[str, Any] | None:
        """Ask for a move; None where the process dies instead of answering."""
        await self.healthy()
        async with httpx.AsyncClient(base_url=self.url, headers=self._headers, timeout=PATIENCE_S) as http:
            try:
                answer = await http.post(f"/v1/drafters/{digest}/{move}", json={"reason": "a trial"} | more)
            except httpx.TransportError:
                return None
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found


@pytest.fixture
async def service(nats: NatsServer, evaluator: DrafterRegistry, tmp_path: Path) -> AsyncIterator[Evaluator]:
    found = Evaluator(nats, tmp_path)
    yield found
    found.kill()


@pytest.fixture
async def decisions(nats: NatsServer, evaluator: DrafterRegistry) -> AsyncIterator[Decisions]:
    bus = await nats.connect("admin")
    yield Decisions(bus)
    await bus.close()


async def moves_in_a_chain(registry: DrafterRegistry) -> list[str]:
    """Return the events of the document, after a check that they are a chain which ends in the state."""
    before = ""
    async for page in read_stream_pages(registry._bus, STREAM, f"drafters.{DOCUMENT}.*"):
        for item in map(raw_message_of, page):
            assert item.headers.get("ce-prevdigest", "") == before
            before = chain_digest(item.headers, item.data)
    assert before == (await registry.state(DOCUMENT)).head.digest
    return [item.body.event for item in await registry.history(DOCUMENT)]


async def alerts(bus: NatsConnection) -> list[dict[str, Any]]:
    found = [item async for page in read_stream_pages(bus, "ALERTS", "alert.>") for item in page]
    return [json.loads(item.data) for item in found]


async def all_taken_in(bus: NatsConnection) -> None:
    async def nothing_waits() -> bool:
        found = [await bus.consumer_info("DISCHARGE", name) for name in CONSUMERS]
        return not any(item["num_pending"] or item["num_ack_pending"] for item in found)

    await until(nothing_waits, "every event to be taken in", patience=PATIENCE_S)


async def stored(bus: NatsConnection, key: str) -> bytes:
    found = await Bucket(bus, "comparisons").get(key)
    assert found is not None, key
    return found.value


class Step(NamedTuple):
    """A move, its event, and what it leaves: the state of the candidate, and what is live."""

    move: str
    event: str
    state: str
    live: str
    more: dict[str, Any]


async def repeat(service: Evaluator, digest: str, step: Step) -> None:
    """Ask again, and again, as whoever got no answer does."""
    for _ in range(2):
        found = await service.move(digest, step.move, **step.more)
        assert found is not None
        assert found["digest"] == (step.live if step.move == "rollback" else digest)


async def test_a_move_is_made_once_although_the_process_is_killed_at_its_write(
    evaluator: DrafterRegistry, service: Evaluator
) -> None:
    digest = await add(evaluator, CANDIDATE)
    moves, done = ["declared", "added"], None
    for step in (
        Step("shadow", "shadowed", "shadow", LIVE.digest, {}),
        Step("canary", "canary-started", "canary", LIVE.digest, {"share": 0.5, "unevaluated": True}),
        Step("promote", "promoted", "live", digest, {}),
        Step("rollback", "rolled-back", "candidate", LIVE.digest, {}),
    ):
        for when in ("before", "after"):
            service.start(f"{when} drafters.{DOCUMENT}.{step.event}")
            if done is not None and when == "before":
                await repeat(service, digest, done)
            assert await service.move(digest, step.move, **step.more) is None, "nobody has answered"
            await service.dead()
            if when == "after":
                moves.append(step.event)
            assert await moves_in_a_chain(evaluator) == moves
        now = await evaluator.state(DOCUMENT)
        assert (now.entries[digest].state, now.live and now.live.configuration) == (step.state, step.live)
        done = step
    service.start()
    assert done is not None
    await repeat(service, digest, done)
    assert await moves_in_a_chain(evaluator) == moves


async def test_a_canary_is_rolled_back_once_although_the_process_is_killed_at_any_write(
    evaluator: DrafterRegistry, service: Evaluator, decisions: Decisions
) -> None:
    digest = await add(evaluator, CANDIDATE)
    await start_canary(evaluator, digest, 0.5)
    service.start(f"before $KV.comparisons.{digest}")
    for _ in range(7):
        await decisions.take("live", "signed")
        await decisions.take("canary", "redraft")
    await service.dead()
    service.start(f"after $KV.comparisons.{digest}")
    await service.dead()
    for at in (
        "before alert.warning.canary-rolled-back",
        "after alert.warning.canary-rolled-back",
        f"before drafters.{DOCUMENT}.rolled-back",
        f"after drafters.{DOCUMENT}.rolled-back",
    ):
        assert await moves_in_a_chain(evaluator) == BEGUN
        service.start(at)
        await service.dead()
    service.start()
    await all_taken_in(decisions.bus)
    assert await moves_in_a_chain(evaluator) == [*BEGUN, "rolled-back"]
    now = await evaluator.state(DOCUMENT)
    assert (now.entries[digest].state, now.entries[digest].by, now.canary) == ("candidate", "evaluator", None)
    assert now.assign("any-case") == (LIVE.digest, "live")
    found = Comparison.read(await stored(evaluator._bus, digest))
    assert (found.of_live.decisions, found.of_canary.decisions, found.worse) == (7, 7, 7), "each counts once"
    (alert,) = await alerts(decisions.bus)
    assert (alert["configuration"], alert["reason"]) == (digest, now.entries[digest].reason)


DRAFT = draft_ref().model_copy(update={"drafter": DrafterStamp(configuration=LIVE.digest, role="live")})
DRAFTED = Drafted(stay=STAY, draft=DRAFT, sentences=4, unsupported=0, encounter_status="finished")
SIGNED = Approved(stay=STAY, draft=DRAFT, signed=DIGEST, edited=False, by=PHYSICIAN)
RATED = Rated(draft=DRAFT, rating="useful", words=DIGEST, by=PHYSICIAN)


async def test_a_decision_counts_once_although_the_process_is_killed_at_any_write(
    evaluator: DrafterRegistry, service: Evaluator, decisions: Decisions
) -> None:
    canary, shadow = await add(evaluator, CANDIDATE), await add(evaluator, OTHER)
    await start_canary(evaluator, canary, 0.5)
    await evaluator.move(DOCUMENT, partial(states.start_shadow, digest=shadow, by=WHO, reason="try it"))
    case, events, head = CaseRef("cardiology", str(uuid4())), EventStore(decisions.bus, "test"), CHAIN_START
    for event in (DRAFTED, SIGNED):
        head = await events.append(case, event, after=head, id=str(uuid4()), time=LATER)
    signed = head.sequence
    for write in (
        "before .requested",
        "after .requested",
        "after .item-ready",
        f"after $KV.comparisons.drift.{LIVE.digest}",
        f"after $KV.comparisons.{canary}",
    ):
        service.start(write)
        await service.dead()
    await events.append(case, RATED, after=head, id=str(uuid4()), time=LATER)
    for write in (
        f"before $KV.comparisons.feedback.{LIVE.digest}",
        f"after $KV.comparisons.feedback.{LIVE.digest}",
        f"after $KV.comparisons.ratings.{canary}",
    ):
        service.start(write)
        await service.dead()
    service.start()
    await all_taken_in(decisions.bus)
    bus = evaluator._bus
    drift = Drift.read(await stored(bus, f"drift.{LIVE.digest}"))
    compared = Comparison.read(await stored(bus, canary))
    feedback = DrafterFeedback.read(await stored(bus, f"feedback.{LIVE.digest}"))
    ratings = RatingComparison.read(await stored(bus, f"ratings.{canary}"))
    assert (drift.decisions, compared.of_live.decisions, compared.of_canary.decisions) == (1, 1, 0)
    assert (feedback.signed, feedback.unchanged, feedback.ratings) == (1, 1, RatingCounts(useful=1))
    assert (ratings.of_live, ratings.of_canary) == (RatingCounts(useful=1), RatingCounts())
    requests = [item async for item in EvaluationLog(bus, "evaluator", lambda: LATER).requests()]
    assert [request.candidate for _, request, _ in requests] == [shadow]
    ready = [
        item async for page in read_stream_pages(bus, "EVALUATIONS", "evaluations.*.item-ready.*") for item in page
    ]
    assert [json.loads(item.data)["number"] for item in ready] == [signed]
    assert await alerts(decisions.bus) == []
