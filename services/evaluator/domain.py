"""Whether a version may go live. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.contracts.knowledge import Metrics, QueryResult
from shared.knowledge.config import Promotion

WORST = 10


@dataclass(frozen=True, slots=True)
class Verdict:
    promote: bool
    reason: str


def judge(candidate: Metrics | None, live: Metrics | None, rule: Promotion) -> Verdict:
    """A version goes live if it is good enough, and not worse than what is live by more than the margin."""
    if candidate is None:
        return Verdict(False, "there are no golden queries to judge it by: name a file as 'golden'")
    found = candidate.mrr_at_10
    if found < rule.mrr:
        return Verdict(False, f"MRR@10 is {found:.3f}; at least {rule.mrr:.3f} is asked for")
    if live is not None and found < live.mrr_at_10 - rule.margin:
        return Verdict(False, f"MRR@10 is {found:.3f}; what is live has {live.mrr_at_10:.3f}, margin {rule.margin:.3f}")
    compared = f", what was live {live.mrr_at_10:.3f}" if live is not None else ", nothing was live"
    return Verdict(True, f"MRR@10 is {found:.3f}{compared}")


def worst(results: Sequence[QueryResult]) -> tuple[str, ...]:
    """Ids of the queries that did worst, of those that are not perfect."""
    flawed = [item for item in results if item.reciprocal_rank < 1]
    return tuple(item.id for item in sorted(flawed, key=lambda item: (item.reciprocal_rank, item.ndcg_at_10))[:WORST])
