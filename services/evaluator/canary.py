"""Compare what becomes of a canary's drafts with what becomes of the live configuration's. Pure.

Decisions are paired in the order in which they come: one about a draft of the canary, one about a draft of the live
configuration. For a canary that is no worse, a pair that differs speaks against it like a fair coin, at most. The
evidence is a mixture of the likelihood ratios of all coins that are biased against it, by that of the fair coin. It may
be looked at after every pair: the probability that it ever reaches 20 is at most 1/20 for a canary that is no worse
(Ville's inequality). https://en.wikipedia.org/wiki/E-values
"""

from collections.abc import Mapping
from fractions import Fraction
from math import comb
from typing import Self

from pydantic import Field

from services.evaluator.decision_sums import PartEdits, SignalSum, with_edits, with_signals
from shared.contracts.draft import DrafterRole
from shared.contracts.events import Approved, Drafted, EditCount, Rejected
from shared.contracts.model import Model

MAX_WAITING = 200  # decisions of one side that wait for one of the other; older ones are dropped
MIN_CANARY_DECISIONS = 5  # before it may be rolled back


class CanaryOutcome(Model):
    """What became of a draft. Figures without text."""

    rejected: bool = False
    replaced: float = 0.0  # share of its sentences that the signed text does not have
    distance: int = 0  # characters between draft and signed text (Levenshtein)

    @property
    def order(self) -> tuple[bool, float, int]:
        """Return the sort key of outcomes: higher is worse."""
        return self.rejected, self.replaced, self.distance


class OutcomeCounts(Model):
    """Sums over the decisions about the drafts of one side."""

    decisions: int = 0
    rejected: int = 0
    edited: int = 0
    replaced: float = 0.0
    distance: int = 0
    signals: Mapping[str, SignalSum] = Field(default_factory=dict)  # each over its own decisions
    compared: int = 0  # signed drafts whose edits were counted by part
    parts: Mapping[str, PartEdits] = Field(default_factory=dict)

    def plus(
        self, outcome: CanaryOutcome, measured: Mapping[str, float], edits: tuple[EditCount, ...] | None = None
    ) -> "OutcomeCounts":
        """Return the sums with one more decision. `edits`: None where they were not counted by part."""
        return OutcomeCounts(
            decisions=self.decisions + 1,
            rejected=self.rejected + outcome.rejected,
            edited=self.edited + (outcome.distance > 0),
            replaced=self.replaced + outcome.replaced,
            distance=self.distance + outcome.distance,
            signals=with_signals(self.signals, measured),
            compared=self.compared + (edits is not None),
            parts=with_edits(self.parts, edits or ()),
        )

    def signal(self, name: str) -> SignalSum:
        return self.signals.get(name, SignalSum())

    def part(self, code: str) -> PartEdits:
        return self.parts.get(code, PartEdits())


class Comparison(Model):
    """The comparison of one canary with the live configuration, as far as the decision at `last`."""

    canary: str  # digest
    began: int  # sequence of the event that made it a canary
    last: int = 0  # sequence of the last decision in the DISCHARGE stream that was added
    worse: int = 0  # pairs in which the canary's outcome is worse
    better: int = 0
    same: int = 0
    waiting: tuple[CanaryOutcome, ...] = ()  # of the side `waiting_role`, oldest first
    waiting_role: DrafterRole = "live"
    of_canary: OutcomeCounts = OutcomeCounts()
    of_live: OutcomeCounts = OutcomeCounts()

    @property
    def evidence(self) -> float:
        """Return the evidence that the canary is worse: an e-value."""
        return evidence(self.worse, self.worse + self.better)

    def add(
        self,
        role: DrafterRole,
        outcome: CanaryOutcome,
        sequence: int,
        measured: Mapping[str, float],
        edits: tuple[EditCount, ...] | None = None,
    ) -> Self:
        """Return the comparison with one more decision; the same if it has been taken in.

        Only the outcome is tested. What is `measured`, and the `edits` by part, are shown.
        """
        if sequence <= self.last:
            return self
        mine = "of_canary" if role == "canary" else "of_live"
        update: dict[str, object] = {"last": sequence, mine: getattr(self, mine).plus(outcome, measured, edits)}
        if not self.waiting or self.waiting_role == role:
            waiting = (*self.waiting, outcome)[-MAX_WAITING:]
            return self.model_copy(update=update | {"waiting": waiting, "waiting_role": role})
        other, *rest = self.waiting
        canary, live = (outcome, other) if role == "canary" else (other, outcome)
        result = "worse" if canary.order > live.order else "better" if canary.order < live.order else "same"
        return self.model_copy(update=update | {"waiting": tuple(rest), result: getattr(self, result) + 1})

    def is_worse(self, threshold: float) -> bool:
        return self.of_canary.decisions >= MIN_CANARY_DECISIONS and self.evidence >= threshold


def evidence(worse: int, pairs: int) -> float:
    """Return the e-value of `worse` of `pairs` against "at most half of them are worse".

    It is 2^n times the integral of 2 p^k (1-p)^(n-k) over p from 1/2 to 1: all biased coins, with the same weight.
    """
    n, k = pairs, worse
    heads, ways = 1, 1  # ways to get at most, and exactly, so many heads with n + 1 fair coins
    for number in range(1, k + 1):
        ways = ways * (n + 2 - number) // number
        heads += ways
    # The integral is B(k+1, n-k+1) times heads / 2^(n+1), and B(k+1, n-k+1) is 1 / ((n+1) comb(n, k)).
    return float(min(Fraction(heads, (n + 1) * comb(n, k)), Fraction(10**300)))


def outcome_of(drafted: Drafted, decided: Approved | Rejected) -> CanaryOutcome | None:
    """Return what became of a draft; None where no document was needed, which says nothing about the draft."""
    if isinstance(decided, Rejected):
        return None if decided.action == "withdraw" else CanaryOutcome(rejected=True)
    if decided.edits is None or not decided.edited:
        return CanaryOutcome()
    share = len(decided.edits.changed) / drafted.sentences if drafted.sentences else 0.0
    return CanaryOutcome(replaced=min(share, 1.0), distance=decided.edits.distance)
