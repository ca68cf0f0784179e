"""Decide whether a version is promoted. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from shared.contracts.knowledge import Pin, QueryResult, RetrievalMetrics
from shared.knowledge.knowledge_file import Promotion

MAX_WORST_LISTED = 10


@dataclass(frozen=True, slots=True)
class PromotionDecision:
    """Whether a version is promoted, and why."""

    promote: bool
    reason: str


def decide_promotion(
    candidate: RetrievalMetrics | None, live: RetrievalMetrics | None, rule: Promotion
) -> PromotionDecision:
    """Promote a version that is good enough and not worse than the live one by more than the margin."""
    if candidate is None:
        return PromotionDecision(
            False, "there are no golden queries to judge it by: add some, or name a file as 'golden'"
        )
    found = candidate.mrr_at_10
    if found < rule.mrr:
        return PromotionDecision(False, f"MRR@10 is {found:.3f}; at least {rule.mrr:.3f} is asked for")
    if live is not None and found < live.mrr_at_10 - rule.margin:
        return PromotionDecision(
            False, f"MRR@10 is {found:.3f}; what is live has {live.mrr_at_10:.3f}, margin {rule.margin:.3f}"
        )
    compared = f", what was live {live.mrr_at_10:.3f}" if live is not None else ", nothing was live"
    return PromotionDecision(True, f"MRR@10 is {found:.3f}{compared}")


def apply_pin(decision: PromotionDecision, pin: Pin | None, live: int | None, target: int) -> PromotionDecision:
    """Hold back version `target` if it would be promoted in place of version `live`, which is pinned."""
    if not decision.promote or pin is None or live == target:
        return decision
    return PromotionDecision(
        False,
        f"pinned: version {live} stays live until it is unpinned ({pin.by}, {pin.since:%Y-%m-%d %H:%M} UTC: "
        f"{pin.reason}); it would have been promoted: {decision.reason}",
    )


def worst(results: Sequence[QueryResult]) -> tuple[str, ...]:
    """Return the ids of the queries with the worst results, without the perfect ones."""
    flawed = [item for item in results if item.reciprocal_rank < 1]
    return tuple(
        item.id for item in sorted(flawed, key=lambda item: (item.reciprocal_rank, item.ndcg_at_10))[:MAX_WORST_LISTED]
    )
