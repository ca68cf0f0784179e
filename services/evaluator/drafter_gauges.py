"""Gauges of drafters: the canary's evidence, drift of the live configuration, evaluations that are not complete."""

from collections.abc import Mapping
from datetime import timedelta

from services.evaluator.canary import Comparison
from services.evaluator.decision_projection import WATCH, DecisionProjection
from services.evaluator.drift import Drift
from services.evaluator.drift_watch import DriftWatch
from services.evaluator.evaluation_progress import EvaluationProgress, ProgressReader
from services.evaluator.evaluations import Evaluations, shadow_evaluation
from shared.contracts.drafter_states import DocumentDrafters
from shared.messaging.drafter_registry import DrafterRegistry
from shared.messaging.event_store import Clock
from shared.telemetry.instruments import Attributes, replace_gauge
from shared.telemetry.metric_definitions import DOCUMENT, DRAFTER_ROLE, PERIOD, SIGNAL

ROLLBACKS_SHOWN = timedelta(days=7)
Values = list[tuple[Attributes, float]]


class DrafterGauges:
    def __init__(
        self,
        registry: DrafterRegistry,
        watch: DecisionProjection,
        drift: DriftWatch,
        evaluations: Evaluations,
        progress: ProgressReader,
        clock: Clock,
    ) -> None:
        self._registry = registry
        self._watch = watch
        self._drift = drift
        self._evaluations = evaluations
        self._progress = progress
        self._clock = clock
        self._passed: dict[str, tuple[int, bool]] = {}  # by evaluation: stays that were judged, and the verdict then

    async def collect(self) -> None:
        """Set the gauges of every kind of document. Raises TransientError, PermanentError."""
        found = dict(await self._registry.states())
        await self._collect_canaries(found)
        await self._collect_drift(found)
        await self._collect_evaluations(found)

    async def _collect_canaries(self, found: Mapping[str, DocumentDrafters]) -> None:
        evidence: Values = []
        means: Values = []
        rolled_back: Values = []
        for document, state in found.items():
            where = {DOCUMENT: document}
            if state.canary is not None:
                comparison = await self._watch.comparison(state.canary)
                current = comparison is not None and comparison.began == state.canary.began
                evidence.append((where, comparison.evidence if comparison is not None and current else 1.0))
                means += _canary_means(document, comparison) if comparison is not None and current else []
            ages = [
                self._clock() - entry.since
                for entry in state.entries.values()
                if entry.rolled_back and entry.by == WATCH.subject
            ]
            if ages and min(ages) < ROLLBACKS_SHOWN:
                rolled_back.append((where, min(ages).total_seconds()))
        replace_gauge("countersign.drafter.canary.evidence", evidence)
        replace_gauge("countersign.drafter.canary.signal", means)
        replace_gauge("countersign.drafter.rollback.age", rolled_back)

    async def _collect_drift(self, found: Mapping[str, DocumentDrafters]) -> None:
        shares: Values = []
        means: Values = []
        for document, state in found.items():
            drift = await self._drift.of(state.live) if state.live is not None else None
            if drift is not None:
                shares += _shares(document, drift, self._drift.threshold)
                means += _means(document, drift)
        replace_gauge("countersign.drafter.drift", shares)
        replace_gauge("countersign.drafter.signal", means)

    async def _collect_evaluations(self, found: Mapping[str, DocumentDrafters]) -> None:
        progress = await self._progress.read()
        now = self._clock()
        places = [(document, role) for document in found for role in ("candidate", "shadow")]
        replace_gauge(
            "countersign.drafter.evaluation.stalled",
            [
                ({DOCUMENT: document, DRAFTER_ROLE: role}, progress.stalled(document, role, now))
                for document, role in places
            ],
        )
        replace_gauge(
            "countersign.drafter.evaluation.waiting",
            [({DOCUMENT: document, DRAFTER_ROLE: role}, progress.waiting(document, role)) for document, role in places],
        )
        replace_gauge("countersign.drafter.evaluation.passed", await self._verdicts(found, progress))

    async def _verdicts(self, found: Mapping[str, DocumentDrafters], progress: EvaluationProgress) -> Values:
        """Return 1 where the evaluation that was completed last, or the shadow so far, passes the gate; else 0."""
        verdicts: Values = [
            ({DOCUMENT: document, DRAFTER_ROLE: "candidate"}, await self._has_passed(id, 0))
            for document, id in progress.complete.items()
        ]
        for document, state in found.items():
            shadow = shadow_evaluation(state.shadow) if state.shadow is not None else ""
            if (judged := progress.judged(shadow)) > 0:
                place = {DOCUMENT: document, DRAFTER_ROLE: "shadow"}
                verdicts.append((place, await self._has_passed(shadow, judged)))
        return verdicts

    async def _has_passed(self, evaluation: str, judged: int) -> bool:
        """Return the verdict of an evaluation. It is made anew where a tenth more stays were judged."""
        before = self._passed.get(evaluation)
        if before is None or judged > before[0] * 1.1:
            result = await self._evaluations.find(evaluation)
            before = self._passed[evaluation] = judged, result is not None and result.result.passed
        return before[1]


def _canary_means(document: str, found: Comparison) -> Values:
    return [
        ({DOCUMENT: document, DRAFTER_ROLE: role, SIGNAL: name}, item.mean)
        for role, side in (("canary", found.of_canary), ("live", found.of_live))
        for name, item in side.signals.items()
        if item.mean is not None
    ]


def _shares(document: str, drift: Drift, threshold: float) -> Values:
    return [({DOCUMENT: document, SIGNAL: name}, drift.share(name, threshold)) for name in drift.tested]


def _means(document: str, drift: Drift) -> Values:
    return [
        ({DOCUMENT: document, SIGNAL: name, PERIOD: period}, value)
        for name, state in drift.signals.items()
        for period, value in (("baseline", state.baseline), ("recent", state.recent))
    ]
