"""The live configuration drifts: an alert is sent once, whatever dies and comes twice; nothing is rolled back."""

import asyncio
import json
import random
import sys
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from cli.contexts import VARIABLES
from cli.stack.ports import free_port
from cli.stack.secrets import write_tokens
from services.evaluator.decision_projection import DecisionProjection
from services.evaluator.drift import BASELINE_DECISIONS, Drift
from services.evaluator.drift_watch import BUCKET, DriftWatch, drift_key
from services.evaluator.evaluations import Evaluations
from services.evaluator.main import build as build_evaluator
from services.evaluator.settings import EvaluatorSettings
from shared.contracts.envelope import RecordedEvent
from shared.contracts.events import Approved, Rejected
from shared.knowledge.embedded_qdrant import EmbeddedQdrant
from shared.messaging import dead_letter_queue
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection
from shared.messaging.drafter_registry import DrafterRegistry
from shared.messaging.evaluations import EvaluationLog
from shared.messaging.event_store import EventStore
from shared.messaging.stream_pages import read_stream_pages
from shared.runtime.service import create_app
from tests.connected.test_canary import LATER, Decisions, nothing_waits
from tests.support.drafters import DOCUMENT, LIVE
from tests.support.embedder import HashEmbedder
from tests.support.processes import ServiceProcess
from tests.support.server import NatsServer
from tests.support.service_settings import make_settings
from tests.support.serving import command_json, run_beside, served
from tests.support.stack import until

pytestmark = [pytest.mark.connected, pytest.mark.system, pytest.mark.timeout(240)]

THRESHOLD = 100.0
FEW = 20  # decisions of a baseline, where a test sets that
KILLS = 3
BECAUSE = ("--reason", "more transfers since the new ward opened")


@pytest.fixture
async def decisions(nats: NatsServer, evaluator: DrafterRegistry) -> AsyncIterator[Decisions]:
    """Decisions about drafts of the live configuration."""
    bus = await nats.connect("admin")
    yield Decisions(bus)
    await bus.close()


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.evaluator.drift.BASELINE_DECISIONS", FEW)


def slow_fall(seed: int, baseline: int, ramp: int) -> list[str]:
    """A tenth of the drafts is rejected at first, then more and more, in the end most of them."""
    chance = random.Random(seed)
    shares = [0.1] * baseline + [0.1 + 0.7 * number / ramp for number in range(ramp)]
    return ["redraft" if chance.random() < share else "signed" for share in shares]


async def drift(bus: NatsConnection) -> Drift | None:
    stored = await Bucket(bus, BUCKET).get(drift_key(LIVE.digest))
    return Drift.read(stored.value) if stored is not None else None


async def alerts(bus: NatsConnection) -> list[dict[str, Any]]:
    found = [item async for page in read_stream_pages(bus, "ALERTS", "alert.warning.drafter-drift") for item in page]
    return [json.loads(item.data) for item in found]


def process(nats: NatsServer, directory: Path) -> ServiceProcess:
    port = free_port()
    write_tokens(directory / "tokens.json", nats.secrets.tokens)
    environment = {
        "COUNTERSIGN_MODE": "demo",
        "COUNTERSIGN_NATS_URL": nats.url,
        "COUNTERSIGN_NATS_SEED": nats.secrets.seeds["evaluator"],
        "COUNTERSIGN_TOKENS_FILE": str(directory / "tokens.json"),
        "COUNTERSIGN_PORT": str(port),
        "COUNTERSIGN_DRIFT_DECISIONS": str(THRESHOLD),
        "COUNTERSIGN_QDRANT_URL": "http://127.0.0.1:1",  # not needed for decisions
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    command = [sys.executable, "-m", "services.evaluator.main"]
    health = f"http://127.0.0.1:{port}/healthz"
    return ServiceProcess("evaluator", command, health, directory / "evaluator.log", environment)


async def test_a_slow_fall_is_announced_once_although_the_process_is_killed(
    nats: NatsServer, evaluator: DrafterRegistry, decisions: Decisions, tmp_path: Path
) -> None:
    planted = slow_fall(seed=4, baseline=BASELINE_DECISIONS, ramp=150)
    service = process(nats, tmp_path)
    for decided in planted[:40]:
        await decisions.take("live", decided)
    service.start()

    async def reached(count: int) -> Drift | None:
        found = await drift(evaluator._bus)
        return found if found is not None and found.decisions >= count else None

    try:
        for number, decided in enumerate(planted[40:], 40):
            await decisions.take("live", decided)
            if number % 100 == 0:
                await until(partial(reached, number - 50), f"{number - 50} decisions to be taken in", patience=100)
                service.kill()
                service.start()
        await until(partial(nothing_waits, decisions.bus), "every decision to be taken in", patience=100)
    finally:
        service.kill()
    found = await drift(evaluator._bus)
    assert found is not None
    assert (found.decisions, found.signals["redraft"].count) == (len(planted), len(planted)), (
        "none is lost or counted twice"
    )
    assert sum(item.figures.rejected for item in found.knowledge) == planted.count("redraft")
    assert found.announced
    assert found.drifted is not None
    assert BASELINE_DECISIONS < found.drifted.decisions <= len(planted)
    (alert,) = await alerts(decisions.bus)
    assert (alert["document"], alert["configuration"], alert["signal"]) == (DOCUMENT, LIVE.digest, "rejected")
    assert (await evaluator.state(DOCUMENT)).assign("any-case") == (LIVE.digest, "live"), "nothing is rolled back"


def watching(registry: DrafterRegistry) -> DecisionProjection:
    log = EvaluationLog(registry._bus, "evaluator", lambda: LATER)
    evaluations = Evaluations(log)
    return DecisionProjection(registry._bus, registry, evaluations, 20.0, DriftWatch(registry._bus, THRESHOLD))


async def recorded(bus: NatsConnection) -> list[RecordedEvent]:
    events, unreadable = await EventStore(bus, "evaluator").recent(1000)
    assert unreadable == []
    return [item for item in events if isinstance(item.body, Approved | Rejected)]


async def take_in(watch: DecisionProjection, items: Sequence[RecordedEvent]) -> None:
    for item in items:
        assert isinstance(item.body, Approved | Rejected)
        await watch._add_decision(item, item.body)


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("dies_at", ["before the alert", "after the alert", "before any write"])
async def test_a_process_that_dies_at_a_write_announces_once(
    evaluator: DrafterRegistry, decisions: Decisions, monkeypatch: pytest.MonkeyPatch, dies_at: str
) -> None:
    for decided in ["signed"] * FEW + ["redraft"] * 20:
        await decisions.take("live", decided)
    watch, items = watching(evaluator), await recorded(evaluator._bus)
    sent: list[str] = []
    publish, put = dead_letter_queue.publish_alert, DriftWatch._put
    dying = True

    async def counted(*arguments: Any, **facts: Any) -> None:
        if dying and dies_at == "before the alert":
            raise asyncio.CancelledError
        await publish(*arguments, **facts)
        sent.append(facts["id"])

    async def put_or_die(self: DriftWatch, found: Drift, revision: int) -> int:
        if dying and (
            found.announced if dies_at == "after the alert" else dies_at == "before any write" and found.drifted
        ):
            raise asyncio.CancelledError
        return await put(self, found, revision)

    monkeypatch.setattr(dead_letter_queue, "publish_alert", counted)
    monkeypatch.setattr(DriftWatch, "_put", put_or_die)
    with pytest.raises(asyncio.CancelledError):
        await take_in(watch, items)
    dying = False
    again = watching(evaluator)  # another process; what was delivered is delivered again, and out of order
    await take_in(again, [*items, *items[-5:], *items[:3]])
    found = await drift(evaluator._bus)
    assert found is not None
    assert (found.decisions, found.announced, len(sent)) == (len(items), True, 1)
    assert len(await alerts(decisions.bus)) == 1


@pytest.mark.usefixtures("few")
async def test_without_a_fall_there_is_no_alert_and_other_decisions_do_not_count(
    evaluator: DrafterRegistry, decisions: Decisions
) -> None:
    for _ in range(30):
        for decided in ("signed", "edited", "redraft"):
            await decisions.take("live", decided)
    await decisions.take("live", "withdraw")  # no document was needed
    await decisions.take("canary", "redraft")  # of a configuration that is not live
    await take_in(watching(evaluator), await recorded(evaluator._bus))
    found = await drift(evaluator._bus)
    assert found is not None
    assert (found.decisions, found.drifted) == (90, None)
    assert await alerts(decisions.bus) == []


@pytest.fixture
async def commands(
    nats: NatsServer, decisions: Decisions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Decisions]:
    """An evaluator that commands reach by HTTP."""
    for name in (*VARIABLES, "COUNTERSIGN_NATS_URL", "COUNTERSIGN_DATA_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    tokens = tmp_path / "tokens.json"
    write_tokens(tokens, nats.secrets.tokens)
    base = EmbeddedQdrant(tmp_path / "qdrant")
    seed = SecretStr(nats.secrets.seeds["evaluator"])
    wanted = {"nats_url": nats.url, "nats_seed": seed, "tokens_file": tokens, "drift_decisions": THRESHOLD}
    app = create_app([build_evaluator(make_settings(EvaluatorSettings, **wanted), embedder=HashEmbedder(), base=base)])
    async with app.router.lifespan_context(app), served(app) as url:
        file = tmp_path / "operator.token"
        file.write_text(nats.secrets.tokens["operator"])
        assert (await run_beside("context", "add", "here", "--url", url, "--token-file", str(file))).code == 0
        assert (await run_beside("context", "use", "here")).code == 0
        yield decisions
    await base.close()


@pytest.mark.usefixtures("few")
async def test_an_operator_looks_at_a_drift_and_accepts_it(evaluator: DrafterRegistry, commands: Decisions) -> None:
    live = LIVE.digest[:12]
    done = await run_beside("drafters", "drift", live)
    assert (done.code, "Nothing was decided yet" in done.err) == (2, True), done
    for decided in ["signed"] * FEW + ["edited"] * 30:
        await commands.take("live", decided)
    await until(partial(nothing_waits, commands.bus), "every decision to be taken in")
    found = await command_json("drafters", "drift", live)
    signals = {item["name"]: item for item in found["signals"]}
    assert found["drifted"]["signal"] in ("replaced", "changed")
    assert (found["decisions"], found["knowledge"][0]["edited"]) == (FEW + 30, 30)
    assert (signals["rejected"]["share"] < 1, signals["redraft"]["share"]) == (True, None)
    shown = await run_beside("drafters", "drift", live)
    assert found["drifted"]["signal"] in shown.out.splitlines()[-1]
    assert (await command_json("drafters", "show", live))["drifted"] == found["drifted"]["signal"]

    assert (await command_json("drafters", "reset-baseline", live, *BECAUSE))["state"] == "live"
    done = await run_beside("drafters", "reset-baseline", live, *BECAUSE)
    assert (done.code, "has not drifted" in done.err) == (1, True), done
    assert (await command_json("drafters", "show", live))["drifted"] is None
    moves = [(item.body.event, item.actor) for item in await evaluator.history(DOCUMENT)]
    assert moves == [("declared", "drafter"), ("baseline-reset", "demo-operator")]
    for decided in ["edited"] * (FEW + 30):  # what was a drift is the level now
        await commands.take("live", decided)
    await until(partial(nothing_waits, commands.bus), "every decision to be taken in")
    found = await command_json("drafters", "drift", live)
    assert (found["decisions"], found["drifted"]) == (FEW + 30, None)
    assert len(await alerts(commands.bus)) == 1
