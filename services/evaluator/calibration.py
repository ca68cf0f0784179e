"""Choose the similarity that a passage needs to be cited, on the golden queries. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from shared.contracts.knowledge import DEFAULT_THRESHOLD, RelevanceThreshold
from shared.knowledge.knowledge_file import RelevanceRule

MIN_QUERIES = 10  # of each kind: fewer predict nothing


@dataclass(frozen=True, slots=True)
class Example:
    """A passage that a golden query would cite, and whether the query names it as relevant."""

    similarity: float
    relevant: bool


@dataclass(frozen=True, slots=True)
class _Threshold:
    threshold: float
    precision: float
    recall: float

    @property
    def f1(self) -> float:
        return 2 * self.precision * self.recall / (self.precision + self.recall) if self.recall else 0.0


def choose(examples: Sequence[Example], queries: int, rule: RelevanceRule) -> RelevanceThreshold:
    """Return the threshold with the best F1 among those with the required precision; of equals, the higher.

    A threshold declared in the file is used as it is. With too few queries, or none precise enough, the default is used
    and the reason is stated.
    """
    if rule.threshold is not None:
        return RelevanceThreshold(
            threshold=rule.threshold, origin="declared", queries=queries, reason="declared in the knowledge file"
        )
    relevant = sum(item.relevant for item in examples)
    others = len(examples) - relevant
    if min(relevant, others) < MIN_QUERIES:
        found = f"the golden queries find {relevant} passages that are relevant and {others} that are not"
        return _default_threshold(queries, f"{found}; {MIN_QUERIES} of each are needed to choose a threshold")
    precise = [cut for cut in _thresholds(examples, relevant) if cut.precision >= rule.precision]
    if not precise:
        return _default_threshold(queries, f"no threshold reaches precision {rule.precision:.2f} on the golden queries")
    best = max(precise, key=lambda cut: (cut.f1, cut.threshold))
    return RelevanceThreshold(
        threshold=round(best.threshold, 4),
        origin="golden",
        queries=queries,
        precision=round(best.precision, 4),
        recall=round(best.recall, 4),
        reason=f"best F1 with precision {rule.precision:.2f} or more over {queries} golden queries",
    )


def _default_threshold(queries: int, reason: str) -> RelevanceThreshold:
    return RelevanceThreshold(threshold=DEFAULT_THRESHOLD, origin="default", queries=queries, reason=reason)


def _thresholds(examples: Sequence[Example], relevant: int) -> list[_Threshold]:
    """Return every threshold that separates two similarities: half-way between them."""
    levels = sorted({item.similarity for item in examples}, reverse=True)
    between = [(high + low) / 2 for high, low in pairwise(levels)]
    return [_threshold(threshold, examples, relevant) for threshold in between]


def _threshold(threshold: float, examples: Sequence[Example], relevant: int) -> _Threshold:
    passed = [item.relevant for item in examples if item.similarity >= threshold]
    return _Threshold(threshold, sum(passed) / len(passed), sum(passed) / relevant)
