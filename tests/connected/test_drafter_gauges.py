"""What the evaluator exports about drafters: the canary, drift, evaluations that wait, the last gate."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from functools import partial

import pytest

from services.evaluator.decision_projection import DecisionProjection
from services.evaluator.drafter_gauges import DrafterGauges
from services.evaluator.drift_watch import DriftWatch
from services.evaluator.evaluation_progress import ProgressReader
from services.evaluator.evaluations import Evaluations, shadow_evaluation
from shared.contracts import drafter_states as states
from shared.contracts.evaluations import DraftFigures, EvaluationItem, EvaluationRequested, ItemJudged
from shared.messaging.drafter_registry import DrafterRegistry
from shared.messaging.evaluations import EvaluationLog
from shared.telemetry import instruments, tracing
from tests.connected.test_canary import LATER, Decisions
from tests.connected.test_drift import recorded, take_in
from tests.support.drafters import CANDIDATE, DOCUMENT, LIVE, WHO, add, start_canary
from tests.support.examples import DIGEST, T0
from tests.support.server import NatsServer
from tests.unit.test_telemetry import Exported

pytestmark = [pytest.mark.connected, pytest.mark.timeout(120)]

STAYS = tuple(EvaluationItem(case=f"c{number}", department="icu", context=DIGEST, signed=DIGEST) for number in (1, 2))


@pytest.fixture
def exported() -> Iterator[Exported]:
    yield Exported()
    instruments.install(None)
    tracing.install(None)


@pytest.fixture
async def decisions(nats: NatsServer, evaluator: DrafterRegistry) -> AsyncIterator[Decisions]:
    await start_canary(evaluator, await add(evaluator, CANDIDATE), 0.5)
    bus = await nats.connect("admin")
    yield Decisions(bus)
    await bus.close()


async def test_what_is_exported_of_a_canary_of_drift_and_of_evaluations(
    evaluator: DrafterRegistry, decisions: Decisions, exported: Exported, nats: NatsServer
) -> None:
    bus = evaluator._bus
    log = EvaluationLog(bus, "evaluator", lambda: LATER)
    evaluations, drift = Evaluations(log), DriftWatch(bus, 100.0)
    watch = DecisionProjection(bus, evaluator, evaluations, 20.0, drift)
    now = LATER + timedelta(hours=5)
    gauges = DrafterGauges(evaluator, watch, drift, evaluations, ProgressReader(bus), lambda: now)

    await gauges.collect()
    assert exported.points("countersign.drafter.canary.evidence") == {(DOCUMENT,): 1.0}
    assert exported.points("countersign.drafter.canary.signal") == {}
    assert exported.points("countersign.drafter.drift") == {}
    assert exported.points("countersign.drafter.evaluation.stalled")[DOCUMENT, "shadow"] == 0

    for _ in range(4):
        await decisions.take("live", "signed")
        await decisions.take("canary", "redraft")
    await take_in(watch, await recorded(bus))
    pair = {"candidate": CANDIDATE.digest, "live": LIVE.digest}
    request = EvaluationRequested(document=DOCUMENT, items=STAYS, by=WHO, reason="x", **pair)
    evaluation = await evaluations.begin(request)
    await gauges.collect()
    assert exported.points("countersign.drafter.canary.evidence")[DOCUMENT,] > 5
    of_both = exported.points("countersign.drafter.canary.signal")
    assert {of_both[DOCUMENT, "canary", name] for name in ("rejected", "redraft")} == {1}
    assert {of_both[DOCUMENT, "live", name] for name in ("rejected", "redraft", "replaced")} == {0}
    assert exported.points("countersign.drafter.drift")[DOCUMENT, "rejected"] == 0
    assert exported.points("countersign.drafter.signal")[DOCUMENT, "rejected", "baseline"] == 0
    assert exported.points("countersign.drafter.rollback.age") == {}
    assert exported.points("countersign.drafter.decisions")[DOCUMENT, "canary", "rejected"] == 4
    waiting = {("discharge-summary", "candidate"): 2, ("discharge-summary", "shadow"): 0}
    assert waiting.items() <= exported.points("countersign.drafter.evaluation.waiting").items()
    assert exported.points("countersign.drafter.evaluation.stalled")[DOCUMENT, "candidate"] == 5 * 3600

    drafter = await nats.connect("drafter")
    judged = EvaluationLog(drafter, "drafter", lambda: now)
    for number in (1, 2):
        await judged.append(evaluation, ItemJudged(number=number, case=f"c{number}", left_out="erased"))
    await drafter.close()
    for _ in range(4):
        await decisions.take("live", "signed")
        await decisions.take("canary", "redraft")
    await take_in(watch, await recorded(bus))
    await gauges.collect()
    assert exported.points("countersign.drafter.canary.evidence") == {}
    assert exported.points("countersign.drafter.canary.signal") == {}
    rolled_back_at = T0  # by the registry's clock
    expected = (now - rolled_back_at).total_seconds()
    assert exported.points("countersign.drafter.rollback.age") == {(DOCUMENT,): expected}
    assert exported.points("countersign.drafter.evaluation.waiting")[DOCUMENT, "candidate"] == 0
    assert exported.points("countersign.drafter.evaluation.passed") == {
        (DOCUMENT, "candidate"): 0
    }  # none could be judged


async def test_the_verdict_on_a_shadow_follows_its_stays(
    nats: NatsServer, evaluator: DrafterRegistry, exported: Exported, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.evaluator.draft_metrics.MIN_JUDGED", 2)
    bus, now = evaluator._bus, LATER + timedelta(hours=5)
    log = EvaluationLog(bus, "evaluator", lambda: LATER)
    evaluations, drift = Evaluations(log), DriftWatch(bus, 100.0)
    watch = DecisionProjection(bus, evaluator, evaluations, 20.0, drift)
    gauges = DrafterGauges(evaluator, watch, drift, evaluations, ProgressReader(bus), lambda: now)
    digest = await add(evaluator, CANDIDATE)
    await evaluator.move(DOCUMENT, partial(states.start_shadow, digest=digest, by=WHO, reason="try it"))
    admin, drafter = await nats.connect("admin"), await nats.connect("drafter")
    decisions, judged = Decisions(admin), EvaluationLog(drafter, "drafter", lambda: now)
    shadow = (await evaluator.state(DOCUMENT)).shadow
    assert shadow is not None
    verdicts = []
    for count in (1, 2):
        await decisions.take("live", "signed")
        await take_in(watch, await recorded(bus))
        await gauges.collect()
        assert exported.points("countersign.drafter.evaluation.waiting")[DOCUMENT, "shadow"] == 1
        number = (await recorded(bus))[-1].head.sequence
        good = DraftFigures(supported=4, sentences=4, kept=4, rouge_l=1.0, similarity=1.0)
        await judged.append(shadow_evaluation(shadow), ItemJudged(number=number, case="c", candidate=good, live=good))
        await gauges.collect()
        assert exported.points("countersign.drafter.evaluation.waiting")[DOCUMENT, "shadow"] == 0
        verdicts.append((count, exported.points("countersign.drafter.evaluation.passed")[DOCUMENT, "shadow"]))
    await admin.close()
    await drafter.close()
    assert verdicts == [(1, 0), (2, 1)]
