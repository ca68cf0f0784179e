"""Ranking metrics over documents, as TREC defines them (trec_eval); the tests compare with it. Pure.

A ranking is a list of document ids, best first, each once. `grades` are those of the relevant documents, above 0.
"""

from collections.abc import Mapping, Sequence
from math import log2

from shared.contracts.knowledge import QueryResult, RetrievalMetrics


def reciprocal_rank(ranking: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """Return 1 ÷ the rank of the first relevant document among the first `k`; 0 without one."""
    return next((1 / rank for rank, document in enumerate(ranking[:k], 1) if document in grades), 0.0)


def recall(ranking: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """Return the share of the relevant documents that is among the first `k`."""
    return sum(document in grades for document in ranking[:k]) / len(grades) if grades else 0.0


def ndcg(ranking: Sequence[str], grades: Mapping[str, int], k: int) -> float:
    """Return the discounted cumulative gain of the first `k` as a share of the best possible; the gain is the grade."""
    gained = sum(grades.get(document, 0) / log2(rank + 1) for rank, document in enumerate(ranking[:k], 1))
    best = sum(grade / log2(rank + 1) for rank, grade in enumerate(sorted(grades.values(), reverse=True)[:k], 1))
    return gained / best if best else 0.0


def measure(id: str, ranking: Sequence[str], grades: Mapping[str, int]) -> QueryResult:
    """Return all metrics of one query."""
    return QueryResult(
        id=id,
        reciprocal_rank=round(reciprocal_rank(ranking, grades, 10), 4),
        recall_at_5=round(recall(ranking, grades, 5), 4),
        recall_at_10=round(recall(ranking, grades, 10), 4),
        ndcg_at_10=round(ndcg(ranking, grades, 10), 4),
        found=tuple(ranking[:3]),
    )


def mean_metrics(results: Sequence[QueryResult]) -> RetrievalMetrics:
    """Return the means over all queries, of which there must be one."""
    count = len(results)
    return RetrievalMetrics(
        queries=count,
        mrr_at_10=round(sum(item.reciprocal_rank for item in results) / count, 4),
        recall_at_5=round(sum(item.recall_at_5 for item in results) / count, 4),
        recall_at_10=round(sum(item.recall_at_10 for item in results) / count, 4),
        ndcg_at_10=round(sum(item.ndcg_at_10 for item in results) / count, 4),
    )
