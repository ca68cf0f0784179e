"""Metrics of an evaluation of drafters, with confidence intervals, and the gate. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from services.evaluator.part_similarity import PartSimilarity, by_part
from shared.contracts.evaluations import DraftFigures, ItemJudged
from shared.contracts.quality_gate import DEFAULT_LIMITS, GateLimits, MetricLimits

RESAMPLES = 2000  # of the bootstrap
CONFIDENCE = 95  # percent
MIN_JUDGED = 10  # stays without which no evaluation passes
MAX_WORST_STAYS = 5  # stays that a report names
ROUNDING = 1e-9  # of means: a candidate that is exactly at a limit passes


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure of one draft. `compares`: with what was signed for the stay."""

    name: str
    of: Callable[[DraftFigures], float | None]  # None where it was not measured
    larger_is_better: bool
    compares: bool = False


METRICS = (
    Metric("contradicted", lambda item: _share(item.contradicted, item), larger_is_better=False),
    Metric("not-in-record", lambda item: _share(item.not_in_record, item), larger_is_better=False),
    Metric("required-elements", lambda item: _elements_present(item), larger_is_better=True),
    Metric("silent", lambda item: float(item.silent), larger_is_better=False),
    Metric("rouge-l", lambda item: item.rouge_l, larger_is_better=True, compares=True),
    Metric("similarity", lambda item: item.similarity, larger_is_better=True, compares=True),
    Metric("sentence-similarity", lambda item: item.sentence_similarity, larger_is_better=True, compares=True),
    Metric("kept", lambda item: _kept(item), larger_is_better=True, compares=True),
    Metric("facts-omitted", lambda item: _omitted(item), larger_is_better=False, compares=True),
    Metric("open-points", lambda item: float(item.open_points), larger_is_better=False),
    Metric("words", lambda item: float(item.words), larger_is_better=False),
    Metric("reading-grade", lambda item: item.reading_grade, larger_is_better=False),
    Metric("input-tokens", lambda item: item.input_tokens, larger_is_better=False),
    Metric("output-tokens", lambda item: item.output_tokens, larger_is_better=False),
    Metric("cost", lambda item: item.cost, larger_is_better=False),
    Metric("seconds", lambda item: item.seconds, larger_is_better=False),
)
_METRICS = {item.name: item for item in METRICS}


def _share(count: int, item: DraftFigures) -> float:
    """Return the share of the model's sentences; 0 where it wrote none."""
    whole = item.supported + item.contradicted + item.not_in_record
    return count / whole if whole else 0.0


def _kept(item: DraftFigures) -> float | None:
    """Return the share of the draft's sentences that were signed as they are; None where nothing was signed."""
    if item.kept is None:
        return None
    return item.kept / item.sentences if item.sentences else 0.0


def _elements_present(item: DraftFigures) -> float | None:
    """Return the share of the required elements; None in results that were recorded before they were measured."""
    return 1 - len(item.elements_missing) / item.elements_required if item.elements_required else None


def _omitted(item: DraftFigures) -> float | None:
    """Return the share of the facts of the signed narrative; None where it states none."""
    return item.facts_omitted / item.facts_signed if item.facts_signed else None


Bound = Literal["limit", "margin"]


@dataclass(frozen=True, slots=True)
class MetricResult:
    """Means over the stays, and the mean difference (candidate minus live) with its confidence interval.

    Where no stay was measured on both sides there is no difference, and the means are over the stays of their side.
    """

    name: str
    stays: int  # for which it was measured on both sides
    candidate: float | None
    live: float | None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    limit: float | None = None  # of the candidate's mean, whatever live has
    margin: float | None = None  # by which the candidate's mean may be worse than live's
    failed: tuple[Bound, ...] = ()  # what the candidate's mean is beyond

    @property
    def passed(self) -> bool | None:
        """Whether the gate lets it through; None where it does not look at it."""
        return None if self.limit is None and self.margin is None else not self.failed

    @property
    def reasons(self) -> tuple[str, ...]:
        """Return in words why the gate holds it back."""
        return tuple(_reason(self, bound) for bound in self.failed)


@dataclass(frozen=True, slots=True)
class DepartmentResult:
    """The metrics of one department's stays. They are shown: its stays alone are too few for a gate."""

    department: str
    judged: int
    metrics: tuple[MetricResult, ...]


@dataclass(frozen=True, slots=True)
class EvaluationResult:
    """`worst` are the cases in which the candidate is worst against the live configuration; `parts` are those of the
    document, the worst first.

    `conclusive`: there is a verdict, as every stay was tried and enough could be judged. `absent` are the metrics that
    compare with what was signed, where nothing was signed for any stay.
    """

    judged: int
    left_out: int
    metrics: tuple[MetricResult, ...]
    departments: tuple[DepartmentResult, ...]
    conclusive: bool
    passed: bool
    reasons: tuple[str, ...]
    worst: tuple[str, ...]
    parts: tuple[PartSimilarity, ...] = ()
    absent: tuple[str, ...] = ()


def evaluate(
    items: Sequence[ItemJudged], wanted: int = 0, seed: int = 1, limits: GateLimits = DEFAULT_LIMITS
) -> EvaluationResult:
    """Return the result of the stays that were drafted so far; `wanted` is how many there are
    to be, 0 where they come in as they are signed.

    It passes when every stay was tried, enough could be judged, and no mean is beyond its limit, or worse than the live
    configuration's by more than its margin. A metric that was not measured holds nothing back.
    """
    ordered = sorted(items, key=lambda item: item.number)
    measured = [item for item in ordered if item.candidate is not None and item.live is not None]
    pairs = _pairs(measured)
    results = _results(pairs, seed, limits)
    reasons = [reason for item in results for reason in item.reasons]
    if len(pairs) < MIN_JUDGED:
        reasons.append(f"{len(pairs)} stays were judged, {MIN_JUDGED} are needed")
    answered = sum(not candidate.silent for candidate, _ in pairs)
    if answered < MIN_JUDGED <= len(pairs):  # where both models say nothing there is no difference to be found
        reasons.append(f"the candidate's model answered for {answered} stays, {MIN_JUDGED} are needed")
    if len(ordered) < wanted:
        reasons.append(f"{wanted - len(ordered)} of {wanted} stays are still to be drafted")
    worst = sorted(range(len(pairs)), key=lambda at: _harm(*pairs[at]), reverse=True)[:MAX_WORST_STAYS]
    return EvaluationResult(
        judged=len(pairs),
        left_out=len(ordered) - len(pairs),
        metrics=results,
        departments=_by_department(measured, seed, limits),
        conclusive=len(pairs) >= MIN_JUDGED and len(ordered) >= wanted,
        passed=not reasons,
        reasons=tuple(reasons),
        worst=tuple(measured[at].case for at in worst if _harm(*pairs[at]) > (0.0, 0.0, 0.0)),
        parts=by_part(pairs),
        absent=_absent(pairs),
    )


Pair = tuple[DraftFigures, DraftFigures]


def _pairs(items: Sequence[ItemJudged]) -> list[Pair]:
    """Return candidate and live of each stay for which both were drafted."""
    return [(item.candidate, item.live) for item in items if item.candidate is not None and item.live is not None]


def _absent(pairs: Sequence[Pair]) -> tuple[str, ...]:
    signed = any(item.rouge_l is not None for pair in pairs for item in pair)
    return tuple(item.name for item in METRICS if item.compares) if pairs and not signed else ()


def _by_department(items: Sequence[ItemJudged], seed: int, limits: GateLimits) -> tuple[DepartmentResult, ...]:
    departments = sorted({item.department for item in items if item.department})
    found = {name: _pairs([item for item in items if item.department == name]) for name in departments}
    return tuple(DepartmentResult(name, len(pairs), _results(pairs, seed, limits)) for name, pairs in found.items())


def _results(pairs: Sequence[Pair], seed: int, limits: GateLimits) -> tuple[MetricResult, ...]:
    """Return each metric that was measured, over the stays for which it was measured on both sides."""
    found = []
    for metric in METRICS:
        values = [(metric.of(candidate), metric.of(live)) for candidate, live in pairs]
        both = [(one, other) for one, other in values if one is not None and other is not None]
        if both:
            found.append(_judged(metric, _result(metric, both, seed), limits.get(metric.name)))
        elif any(value is not None for pair in values for value in pair):
            candidate, live = (_mean([pair[side] for pair in values]) for side in (0, 1))
            alone = MetricResult(metric.name, 0, candidate, live)
            found.append(_judged(metric, alone, limits.get(metric.name)))
    return tuple(found)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _result(metric: Metric, pairs: Sequence[tuple[float, float]], seed: int) -> MetricResult:
    candidate, live = np.array(pairs, dtype=float).T
    difference = candidate - live
    chance = np.random.default_rng(seed)
    means = difference[chance.integers(0, len(pairs), (RESAMPLES, len(pairs)))].mean(axis=1)
    tail = (100 - CONFIDENCE) / 2
    low, high = np.percentile(means, [tail, 100 - tail])
    return MetricResult(
        name=metric.name,
        stays=len(pairs),
        candidate=float(candidate.mean()),
        live=float(live.mean()),
        difference=float(difference.mean()),
        low=float(low),
        high=float(high),
    )


def _judged(metric: Metric, found: MetricResult, limits: MetricLimits | None) -> MetricResult:
    """Return a result with what the gate says of it."""
    if limits is None:
        return found
    sign = -1 if metric.larger_is_better else 1
    failed: list[Bound] = []
    if limits.limit is not None and found.candidate is not None and sign * (found.candidate - limits.limit) > ROUNDING:
        failed.append("limit")
    if (
        limits.margin is not None
        and found.difference is not None
        and sign * found.difference - limits.margin > ROUNDING
    ):
        failed.append("margin")
    return replace(found, limit=limits.limit, margin=limits.margin, failed=tuple(failed))


def _reason(found: MetricResult, bound: Bound) -> str:
    live = f", live {found.live:.3f}" if found.live is not None else ""
    if bound == "margin":
        return f"{found.name} is {found.candidate:.3f}{live}: worse by more than the margin of {found.margin:g}"
    side = "under" if _METRICS[found.name].larger_is_better else "over"
    return f"{found.name} is {found.candidate:.3f}{live}: {side} the limit of {found.limit:g}"


def _harm(candidate: DraftFigures, live: DraftFigures) -> tuple[float, float, float]:
    """Return how much worse a stay's draft is: contradictions first, then what is not in the record, then the text."""
    return (
        _share(candidate.contradicted, candidate) - _share(live.contradicted, live),
        _share(candidate.not_in_record, candidate) - _share(live.not_in_record, live),
        (live.rouge_l or 0.0) - (candidate.rouge_l or 0.0),
    )
