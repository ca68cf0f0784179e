"""What becomes of the drafts of a canary and of the live configuration is shown side by side, and survives restarts."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from pydantic import SecretStr

from cli.contexts import VARIABLES
from cli.stack.secrets import write_tokens
from services.evaluator.main import build as build_evaluator
from services.evaluator.settings import EvaluatorSettings
from shared.contracts.case_values import EditCount, Edits
from shared.contracts.draft import AnswerFigures, DrafterRole, DrafterStamp
from shared.contracts.envelope import CHAIN_START
from shared.contracts.events import Approved, CaseEvent, Drafted, DraftRef, ReadingFigures, Rejected, RejectionAction
from shared.contracts.subjects import CaseRef
from shared.knowledge.embedded_qdrant import EmbeddedQdrant
from shared.messaging.drafter_registry import DrafterRegistry
from shared.messaging.event_store import EventStore
from shared.runtime.service import create_app
from tests.connected.test_canary import LATER, nothing_waits
from tests.support.drafters import CANDIDATE, LIVE, add, start_canary
from tests.support.embedder import HashEmbedder
from tests.support.examples import DIGEST, PHYSICIAN, STAY, T0, draft_ref
from tests.support.server import NatsServer
from tests.support.service_settings import make_settings
from tests.support.serving import command_json, run_beside, served
from tests.support.stack import until

pytestmark = [pytest.mark.connected, pytest.mark.timeout(180)]

READ, UNREAD = ReadingFigures(seconds=60, parts_viewed=4, parts=4), ReadingFigures(seconds=1, parts_viewed=0, parts=4)
EDITED = Edits(distance=90, changed=(1, 2), counts=(EditCount(part="medications", kind="fact-added", count=3),))


@dataclass
class Events:
    """Cases in the event stream: a draft and the decision about it, an hour later."""

    store: EventStore
    role: DrafterRole = "live"
    answer: AnswerFigures = field(default_factory=lambda: AnswerFigures(supported=4))
    drafted_at: datetime = LATER

    async def signed(self, reading: ReadingFigures, edits: Edits | None = None) -> None:
        draft = self._draft
        given: dict[str, Any] = {"edited": edits is not None, "edits": edits, "reading": reading}
        await self._take(draft, Approved(stay=STAY, draft=draft, signed=DIGEST, by=PHYSICIAN, **given))

    async def rejected(self, action: RejectionAction) -> None:
        draft = self._draft
        given: dict[str, Any] = {"action": action, "reason": DIGEST, "encounter_status": "finished"}
        await self._take(draft, Rejected(stay=STAY, draft=draft, by=PHYSICIAN, **given))

    @property
    def _draft(self) -> DraftRef:
        digest = CANDIDATE.digest if self.role == "canary" else LIVE.digest
        stamp = DrafterStamp(configuration=digest, role=self.role)
        return draft_ref().model_copy(update={"drafter": stamp, "knowledge": 3})

    async def _take(self, draft: DraftRef, decided: CaseEvent) -> None:
        drafted = Drafted(
            stay=STAY, draft=draft, sentences=4, unsupported=0, encounter_status="finished", answer=self.answer
        )
        case, head = CaseRef("cardiology", str(uuid4())), CHAIN_START
        for event, time in ((drafted, self.drafted_at), (decided, LATER + timedelta(hours=1))):
            head = await self.store.append(case, event, after=head, id=str(uuid4()), time=time)


@dataclass
class Evaluator:
    """The evaluator itself, which commands reach by HTTP, and which may be stopped and started again."""

    nats: NatsServer
    directory: Path

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        tokens, token = self.directory / "tokens.json", self.directory / "auditor.token"
        write_tokens(tokens, self.nats.secrets.tokens)
        token.write_text(self.nats.secrets.tokens["auditor"])
        base = EmbeddedQdrant(self.directory / "qdrant")
        seed = SecretStr(self.nats.secrets.seeds["evaluator"])
        settings = make_settings(EvaluatorSettings, nats_url=self.nats.url, nats_seed=seed, tokens_file=tokens)
        app = create_app([build_evaluator(settings, embedder=HashEmbedder(), base=base)])
        async with app.router.lifespan_context(app), served(app) as url:
            words = ("context", "add", "here", "--url", url, "--token-file", str(token))
            assert (await run_beside(*words)).code == 0
            assert (await run_beside("context", "use", "here")).code == 0
            yield
            assert (await run_beside("context", "remove", "here")).code == 0
        await base.close()


@pytest.fixture
async def events(nats: NatsServer, evaluator: DrafterRegistry) -> AsyncIterator[Events]:
    await start_canary(evaluator, await add(evaluator, CANDIDATE), 0.5)
    bus = await nats.connect("admin")
    yield Events(EventStore(bus, "test"))
    await bus.close()


@pytest.fixture
def process(nats: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evaluator:
    for name in (*VARIABLES, "COUNTERSIGN_NATS_URL", "COUNTERSIGN_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return Evaluator(nats, tmp_path)


async def half_of_the_decisions(events: Events) -> None:
    live = Events(events.store)
    canary = Events(events.store, "canary", AnswerFigures(supported=3, contradicted=1))
    await canary.rejected("redraft")
    await live.signed(READ)
    await canary.signed(UNREAD, EDITED)
    await live.signed(READ, EDITED)


async def test_signals_of_both_sides_are_shown_and_go_on_after_a_restart(
    evaluator: DrafterRegistry, events: Events, process: Evaluator
) -> None:
    bus = evaluator._bus
    taken_in = partial(nothing_waits, bus)
    async with process.running():
        await half_of_the_decisions(events)
        await until(taken_in, "every decision to be taken in")
        before = await command_json("drafters", "compare", CANDIDATE.digest)
    await half_of_the_decisions(events)  # while no process runs
    async with process.running():
        await until(taken_in, "what was decided meanwhile to be taken in")
        found = await command_json("drafters", "compare", CANDIDATE.digest)
        shown = await run_beside("drafters", "compare", CANDIDATE.digest)
        details = await command_json("drafters", "show", CANDIDATE.digest)
        summary = await run_beside("drafters", "show", CANDIDATE.digest)
        drift = await command_json("drafters", "drift", LIVE.digest)
    signals = {item["name"]: item for item in found["signals"]}

    def sides(name: str) -> tuple[Any, ...]:
        return tuple(signals[name][key] for key in ("canary", "canary_decisions", "live", "live_decisions"))

    assert sides("redraft") == sides("rejected") == (0.5, 4, 0, 4)
    assert sides("contradicted") == (0.25, 4, 0, 4)
    assert sides("replaced") == (0.5, 2, 0.25, 4)
    assert sides("unread") == (1, 2, 0, 4)
    assert sides("read") == (pytest.approx(1 / 61), 2, 0.5, 4)
    (part,) = found["parts"]
    assert part == {"part": "medications", "canary": 1, "canary_edits": 3, "live": 0.5, "live_edits": 1.5}
    assert (found["canary"]["compared"], found["live"]["compared"]) == (2, 4)
    halves = {item["name"]: (item["canary_decisions"], item["live_decisions"]) for item in before["signals"]}
    assert halves["redraft"] == (2, 2)
    assert details["comparison"] == found
    for out in (" ".join(item.out.split()) for item in (shown, summary)):
        assert "contradicted 25.0% 4 0.0% 4" in out
        assert "medications 100.0% 3.0 50.0% 1.5" in out
    (knowledge,) = drift["knowledge"]
    assert (knowledge["version"], knowledge["contradicted"], knowledge["redraft"], knowledge["unread"]) == (3, 0, 0, 0)


async def test_a_draft_of_before_the_canary_and_one_that_nobody_needed_are_left_out(
    evaluator: DrafterRegistry, events: Events, process: Evaluator
) -> None:
    async with process.running():
        await Events(events.store, "canary").signed(READ)
        await events.rejected("withdraw")
        await Events(events.store, drafted_at=T0 - timedelta(hours=1)).signed(READ)
        await until(partial(nothing_waits, evaluator._bus), "every decision to be taken in")
        found = await command_json("drafters", "compare", CANDIDATE.digest)
    assert {item["live_decisions"] for item in found["signals"]} == {0}
    assert {item["canary_decisions"] for item in found["signals"]} == {1}
