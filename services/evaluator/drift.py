"""Watch what becomes of the live configuration's drafts against its own first decisions. Pure.

The first decisions are the baseline of a signal. With each later one a bet begins that the signal's mean is above the
level that the baseline cannot rule out, and is kept. The sum of all bets is a Shiryaev-Roberts e-detector: while the
mean, given all that came before, is no higher than that level, the average number of decisions until the sum reaches a
threshold is at least the threshold, whatever the distribution of the signal.
Shin, Ramdas and Rinaldo, E-detectors, https://arxiv.org/abs/2203.03532
"""

from collections.abc import Mapping
from datetime import datetime
from math import sqrt
from typing import Self

from pydantic import Field

from services.evaluator.canary import CanaryOutcome, OutcomeCounts
from services.evaluator.decision_signals import TESTED
from shared.contracts.model import Model

BASELINE_DECISIONS = 200  # decisions
CONFIDENCE_Z = 1.645  # 95 %, one-sided
# Shares of the most that may be bet. A small one finds a small rise, slowly.
BETS = (0.02, 0.05, 0.1, 0.2, 0.4)
RECENT_DECISIONS = 100  # decisions that the recent mean is of, about
MAX_KNOWLEDGE = 6  # versions of the knowledge base whose figures are kept, the newest ones
MAX_STATISTIC = 1e300


class SignalState(Model):
    """A signal's baseline, its recent mean, and the sums of its bets."""

    count: int = 0
    total: float = 0.0  # over the baseline
    recent: float = 0.0  # exponentially weighted mean
    bets: tuple[float, ...] = (0.0,) * len(BETS)

    @property
    def complete(self) -> bool:
        return self.count >= BASELINE_DECISIONS

    @property
    def baseline(self) -> float:
        """Return the mean over the baseline, as far as it goes; 0 without a decision."""
        return self.total / min(self.count, BASELINE_DECISIONS) if self.count else 0.0

    @property
    def tolerated(self) -> float:
        """Return the highest mean that the baseline cannot rule out."""
        return upper_bound(self.baseline, min(self.count, BASELINE_DECISIONS))

    @property
    def statistic(self) -> float:
        return sum(self.bets) / len(self.bets)

    def add(self, value: float, *, bet: bool) -> Self:
        """Return the state after a decision with `value` (0 to 1). Without `bet` the sums stay as they are."""
        count = self.count + 1
        if not self.complete:
            total = self.total + value
            return self.model_copy(update={"count": count, "total": total, "recent": total / count})
        recent = self.recent + (value - self.recent) / RECENT_DECISIONS
        bets = bet_on(self.bets, value, self.tolerated) if bet else self.bets
        return self.model_copy(update={"count": count, "recent": recent, "bets": bets})


def upper_bound(mean: float, count: int) -> float:
    """Return Wilson's upper limit (95 %) of the mean of `count` values from 0 to 1; 1 without any.

    No such variable varies more than one that is 0 or 1. https://doi.org/10.1080/01621459.1927.10502953
    """
    if not count:
        return 1.0
    z = CONFIDENCE_Z
    centre = mean + z * z / (2 * count)
    spread = z * sqrt(mean * (1 - mean) / count + z * z / (4 * count * count))
    return min((centre + spread) / (1 + z * z / count), 1.0)


def bet_on(sums: tuple[float, ...], value: float, tolerated: float) -> tuple[float, ...]:
    """Return the sums of the bets after one more value; what is bet pays 1 or less while the mean is tolerated."""
    return tuple(
        min((before + 1) * (1 + share * (value - tolerated) / tolerated), MAX_STATISTIC)
        for before, share in zip(sums, BETS, strict=True)
    )


class Drifted(Model):
    """The signal that has risen, and when that was found."""

    signal: str
    sequence: int  # of the decision
    time: datetime
    decisions: int
    baseline: float
    recent: float


class KnowledgeFigures(Model):
    """Sums over the decisions about drafts that one version of the knowledge base was queried for; None: none was."""

    version: int | None = None
    figures: OutcomeCounts = OutcomeCounts()


class Drift(Model):
    """The watch of one live configuration, as far as the decision at `last`."""

    configuration: str  # digest
    began: int  # sequence of the event that made it live, or reset its baseline
    last: int = 0  # sequence of the last decision in the DISCHARGE stream that was added
    decisions: int = 0
    signals: Mapping[str, SignalState] = Field(default_factory=dict)
    knowledge: tuple[KnowledgeFigures, ...] = ()  # the version that came last at the end
    drifted: Drifted | None = None
    announced: bool = False  # whether the alert was sent

    def add(
        self,
        measured: Mapping[str, float],
        outcome: CanaryOutcome,
        knowledge: int | None,
        *,
        sequence: int,
        time: datetime,
        threshold: float,
    ) -> Self:
        """Return the watch with one more decision; the same if it has been taken in.

        Once a signal has drifted no further one is found: a person looks at all of them.
        """
        if sequence <= self.last:
            return self
        bet = self.drifted is None
        changed = {
            name: self.signals.get(name, SignalState()).add(value, bet=bet and name in TESTED)
            for name, value in measured.items()
        }
        after = self.model_copy(
            update={
                "last": sequence,
                "decisions": self.decisions + 1,
                "signals": {**self.signals, **changed},
                "knowledge": _with_decision(self.knowledge, knowledge, outcome, measured),
            }
        )
        found = after.highest(threshold) if bet else None
        if found is None or after.share(found, threshold) < 1:
            return after
        return after.model_copy(update={"drifted": after._drifted(found, sequence, time)})

    def _drifted(self, signal: str, sequence: int, time: datetime) -> Drifted:
        state = self.signals[signal]
        return Drifted(
            signal=signal,
            sequence=sequence,
            time=time,
            decisions=self.decisions,
            baseline=state.baseline,
            recent=state.recent,
        )

    @property
    def tested(self) -> tuple[str, ...]:
        """Return the signals that are tested and that a decision was about."""
        return tuple(name for name in TESTED if name in self.signals)

    def share(self, signal: str, threshold: float) -> float:
        """Return a signal's statistic as a share of its threshold: from 1 on it has drifted.

        Each of n signals needs n times `threshold`, so that together they take `threshold` decisions on average.
        """
        state = self.signals.get(signal)
        return state.statistic / (threshold * len(TESTED)) if state is not None else 0.0

    def highest(self, threshold: float) -> str | None:
        """Return the tested signal that is next to its threshold; None without a decision."""
        return max(self.tested, key=lambda name: self.share(name, threshold), default=None)


def _with_decision(
    before: tuple[KnowledgeFigures, ...], version: int | None, outcome: CanaryOutcome, measured: Mapping[str, float]
) -> tuple[KnowledgeFigures, ...]:
    found = next((item for item in before if item.version == version), KnowledgeFigures(version=version))
    others = [item for item in before if item.version != version]
    return (*others, KnowledgeFigures(version=version, figures=found.figures.plus(outcome, measured)))[-MAX_KNOWLEDGE:]
