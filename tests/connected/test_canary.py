"""A canary whose drafts physicians reject is rolled back by itself, once, whatever dies and comes twice."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import uuid4

import pytest
from pydantic import SecretStr

from cli.stack.secrets import write_tokens
from services.evaluator.canary import Comparison
from services.evaluator.decision_projection import BUCKET, CONSUMER, DecisionProjection
from services.evaluator.drift_watch import DriftWatch
from services.evaluator.evaluations import Evaluations
from services.evaluator.main import build as build_evaluator
from services.evaluator.settings import EvaluatorSettings
from shared.contracts import drafter_states as states
from shared.contracts.case_values import Edits
from shared.contracts.draft import DrafterRole, DrafterStamp
from shared.contracts.envelope import CHAIN_START
from shared.contracts.events import Approved, CaseEvent, Drafted, DraftRef, Rejected, RejectionAction
from shared.contracts.subjects import CaseRef
from shared.knowledge.embedded_qdrant import EmbeddedQdrant
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection
from shared.messaging.drafter_registry import DrafterRegistry
from shared.messaging.evaluations import EvaluationLog
from shared.messaging.event_store import EventStore
from shared.runtime.service import create_app
from tests.support.drafters import CANDIDATE, DOCUMENT, LIVE, add, start_canary
from tests.support.embedder import HashEmbedder
from tests.support.examples import DIGEST, PHYSICIAN, STAY, T0, draft_ref
from tests.support.server import NatsServer
from tests.support.service_settings import make_settings
from tests.support.stack import until

pytestmark = [pytest.mark.connected, pytest.mark.timeout(120)]

LATER = T0 + timedelta(hours=1)


class Decisions:
    """Cases in the event stream: a draft and the decision about it."""

    def __init__(self, bus: NatsConnection) -> None:
        self.bus = bus
        self._events = EventStore(bus, "test")

    async def take(self, role: DrafterRole, decided: str, drafted_at: datetime = LATER) -> None:
        """`decided`: signed, edited, or the action of a rejection."""
        case, configuration = CaseRef("cardiology", str(uuid4())), CANDIDATE if role == "canary" else LIVE
        stamp = DrafterStamp(configuration=configuration.digest, role=role)
        draft = draft_ref().model_copy(update={"drafter": stamp})
        drafted = Drafted(stay=STAY, draft=draft, sentences=4, unsupported=0, encounter_status="finished")
        head = CHAIN_START
        for event, time in ((drafted, drafted_at), (decision(draft, decided), LATER)):
            head = await self._events.append(case, event, after=head, id=str(uuid4()), time=time)


def decision(draft: DraftRef, decided: str) -> CaseEvent:
    if decided in ("signed", "edited"):
        edits = Edits(distance=90, changed=(1, 2)) if decided == "edited" else None
        changed = decided == "edited"
        return Approved(stay=STAY, draft=draft, signed=DIGEST, edited=changed, by=PHYSICIAN, edits=edits)
    action: RejectionAction = "withdraw" if decided == "withdraw" else "redraft"
    return Rejected(stay=STAY, draft=draft, action=action, reason=DIGEST, by=PHYSICIAN, encounter_status="finished")


@pytest.fixture
async def decisions(nats: NatsServer, evaluator: DrafterRegistry) -> AsyncIterator[Decisions]:
    """Decisions while the candidate is a canary."""
    digest = await add(evaluator, CANDIDATE)
    await start_canary(evaluator, digest, 0.5)
    bus = await nats.connect("admin")
    yield Decisions(bus)
    await bus.close()


@pytest.fixture
async def watching(nats: NatsServer, decisions: Decisions, tmp_path: Path) -> AsyncIterator[None]:
    """The evaluator itself."""
    tokens = tmp_path / "tokens.json"
    write_tokens(tokens, nats.secrets.tokens)
    base = EmbeddedQdrant(tmp_path / "qdrant")
    seed = SecretStr(nats.secrets.seeds["evaluator"])
    settings = make_settings(EvaluatorSettings, nats_url=nats.url, nats_seed=seed, tokens_file=tokens)
    app = create_app([build_evaluator(settings, embedder=HashEmbedder(), base=base)])
    async with app.router.lifespan_context(app):
        yield
    await base.close()


async def comparison(bus: NatsConnection) -> Comparison | None:
    stored = await Bucket(bus, BUCKET).get(CANDIDATE.digest)
    return Comparison.read(stored.value) if stored is not None else None


async def nothing_waits(bus: NatsConnection) -> bool:
    info = await bus.consumer_info("DISCHARGE", CONSUMER)
    return not info["num_pending"] and not info["num_ack_pending"]


async def rolled_back(registry: DrafterRegistry) -> states.DrafterEntry | None:
    entry = (await registry.state(DOCUMENT)).entries[CANDIDATE.digest]
    return entry if entry.rolled_back else None


@pytest.mark.usefixtures("watching")
async def test_a_planted_fall_rolls_the_canary_back_by_itself(
    evaluator: DrafterRegistry,
    decisions: Decisions,
) -> None:
    for _ in range(8):
        await decisions.take("live", "signed")
        await decisions.take("canary", "redraft")
    entry = await until(partial(rolled_back, evaluator), "the canary to be rolled back")
    assert (entry.state, entry.by) == ("candidate", "evaluator")
    assert entry.reason.startswith("worse than the live configuration in 7 of 7 pairs")
    found = (await evaluator.state(DOCUMENT)).assign("any-case")
    assert found == (LIVE.digest, "live")
    alerts = await decisions.bus.direct_get("ALERTS", {"last_by_subj": "alert.warning.canary-rolled-back"})
    assert json.loads(alerts[-1].data)["configuration"] == CANDIDATE.digest
    await decisions.take("canary", "redraft")  # a decision that comes late changes nothing
    await until(partial(nothing_waits, evaluator._bus), "every decision to be taken in")
    moves = [item.body.event for item in await evaluator.history(DOCUMENT)]
    assert moves == ["declared", "added", "canary-started", "rolled-back"]


@pytest.mark.usefixtures("watching")
async def test_a_canary_that_is_no_worse_stays(evaluator: DrafterRegistry, decisions: Decisions) -> None:
    roles: tuple[DrafterRole, ...] = ("live", "canary")
    for decided in ("signed", "edited", "redraft"):
        for role in roles:
            for _ in range(3):
                await decisions.take(role, decided)
    await decisions.take("canary", "withdraw")  # no document was needed: says nothing about the draft
    await decisions.take("canary", "redraft", drafted_at=T0 - timedelta(hours=1))  # a draft of before the canary

    async def all_taken_in() -> Comparison | None:
        found = await comparison(evaluator._bus)
        return found if found is not None and found.of_live.decisions + found.of_canary.decisions >= 18 else None

    found = await until(all_taken_in, "the decisions to be taken in")
    assert (found.of_live, found.worse, found.better) == (found.of_canary, 0, 0)
    assert (await evaluator.state(DOCUMENT)).canary is not None


async def test_a_process_that_dies_after_storing_rolls_back_when_it_is_delivered_again(
    evaluator: DrafterRegistry,
    decisions: Decisions,
) -> None:
    log = EvaluationLog(evaluator._bus, "evaluator", lambda: LATER)
    drift = DriftWatch(evaluator._bus, 10_000)
    watch = DecisionProjection(evaluator._bus, evaluator, Evaluations(log), 20.0, drift)
    for _ in range(7):
        await decisions.take("live", "signed")
        await decisions.take("canary", "redraft")
    events = EventStore(evaluator._bus, "evaluator")
    recorded, unreadable = await events.recent(100)
    assert unreadable == []
    decided = [item for item in recorded if isinstance(item.body, Approved | Rejected)]

    async def dies(*_: object) -> None:
        raise asyncio.CancelledError

    whole = watch._roll_back
    watch._roll_back = dies  # type: ignore[method-assign]
    for item in decided[:-1]:
        assert isinstance(item.body, Approved | Rejected)
        await watch._add_decision(item, item.body)
    last = decided[-1]
    assert isinstance(last.body, Rejected)
    with pytest.raises(asyncio.CancelledError):
        await watch._add_decision(last, last.body)
    before = await comparison(evaluator._bus)
    watch._roll_back = whole  # type: ignore[method-assign]
    for item in (last, last, *decided[:3]):  # again, twice, and out of order
        assert isinstance(item.body, Approved | Rejected)
        await watch._add_decision(item, item.body)
    assert await rolled_back(evaluator) is not None
    assert await comparison(evaluator._bus) == before
    moves = [item.body.event for item in await evaluator.history(DOCUMENT)]
    assert moves == ["declared", "added", "canary-started", "rolled-back"]


@pytest.mark.usefixtures("watching")
async def test_what_was_rolled_back_is_compared_anew_when_it_is_tried_again(
    evaluator: DrafterRegistry,
    decisions: Decisions,
) -> None:
    for _ in range(8):
        await decisions.take("live", "signed")
        await decisions.take("canary", "redraft")
    await until(partial(rolled_back, evaluator), "the canary to be rolled back")
    await until(partial(nothing_waits, evaluator._bus), "decisions about drafts of before to be taken in")
    await start_canary(evaluator, CANDIDATE.digest, 0.5)
    await decisions.take("canary", "signed")

    async def anew() -> Comparison | None:
        found = await comparison(evaluator._bus)
        return found if found is not None and found.of_canary.decisions == 1 else None

    found = await until(anew, "the comparison to begin anew")
    assert (found.worse, found.of_canary.rejected) == (0, 0)
    assert (await evaluator.state(DOCUMENT)).canary is not None
