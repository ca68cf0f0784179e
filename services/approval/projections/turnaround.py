"""Turnaround of reviews and escalations of the last weeks, in memory.

The index of all cases gives it the events, in the background after a start: until it has, `since` and the page say so.
"""

from collections import deque
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import quantiles
from typing import NamedTuple

from services.approval.escalation.rules import TAKES_OVER
from shared.contracts.envelope import RecordedEvent
from shared.messaging.steps import Clock

OPENS, SIGNED, LEVEL, RESTARTS = "review-requested", "approved", "escalated", "reassigned"
ENDS = ("rejected", "withdrawn", "erasure-ordered", "reimported")
EVENTS = (OPENS, SIGNED, LEVEL, RESTARTS, *ENDS)
KEPT = timedelta(days=30)  # the longest period of figures


class Signature(NamedTuple):
    department: str
    at: datetime
    seconds: float | None  # from the request of the signed draft; None where that is not known


class Escalation(NamedTuple):
    department: str
    at: datetime
    takes_over: bool


@dataclass(slots=True)
class PendingReview:
    """An open review: since when, and how often it escalated since its clock started."""

    since: datetime
    level: int = 0


@dataclass(frozen=True, slots=True)
class TurnaroundFigures:
    """Turnaround of one period. `median` and `p90` are seconds; None without a signature."""

    signed: int
    median: float | None
    p90: float | None
    unknown: int  # signatures whose request is older than what was read
    notified: int  # escalations that notified the supervisor
    taken_over: int


class TurnaroundProjection:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[str, PendingReview] = {}
        self._signatures: deque[Signature] = deque()
        self._escalations: deque[Escalation] = deque()
        self.since: datetime | None = None  # of the first event that was read

    def clear(self) -> None:
        """Forget everything."""
        for known in (self._waiting, self._signatures, self._escalations):
            known.clear()
        self.since = None

    def apply_event(self, event: RecordedEvent) -> None:
        """Apply one event. Those that say nothing about turnaround change nothing."""
        if event.name in EVENTS:
            self.apply(event.case.department, event.case.id, event.name, event.time)

    def apply(self, department: str, case: str, name: str, at: datetime) -> None:
        """Apply one event."""
        self.since = self.since or at
        waiting = self._waiting.get(case)
        if name == OPENS:
            self._waiting[case] = PendingReview(at)
        elif name == SIGNED:
            seconds = (at - waiting.since).total_seconds() if waiting is not None else None
            self._signatures.append(Signature(department, at, seconds))
        elif name == LEVEL and waiting is not None:
            waiting.level += 1
            self._escalations.append(Escalation(department, at, waiting.level >= TAKES_OVER))
        elif name == RESTARTS and waiting is not None:
            waiting.level = 0
        if name in (SIGNED, *ENDS):
            self._waiting.pop(case, None)
        self._forget(self._clock() - KEPT)

    def _forget(self, before: datetime) -> None:
        for kept in (self._signatures, self._escalations):
            while kept and kept[0].at < before:
                kept.popleft()

    def figures(self, departments: Collection[str] | None, period: timedelta) -> TurnaroundFigures:
        """Return the figures of the last `period`, at most KEPT, of the departments. None: all departments."""
        since = self._clock() - period
        signed = [
            item.seconds
            for item in self._signatures
            if item.at >= since and (departments is None or item.department in departments)
        ]
        taken_over = [
            item.takes_over
            for item in self._escalations
            if item.at >= since and (departments is None or item.department in departments)
        ]
        known = [seconds for seconds in signed if seconds is not None]
        median, p90 = _percentiles(known, 50, 90)
        return TurnaroundFigures(
            signed=len(signed),
            median=median,
            p90=p90,
            unknown=len(signed) - len(known),
            notified=len(taken_over) - sum(taken_over),
            taken_over=sum(taken_over),
        )


def _percentiles(values: list[float], *percents: int) -> list[float | None]:
    """Return percentiles, interpolated; None without values."""
    if len(values) < 2:
        return [values[0] if values else None for _ in percents]
    found = quantiles(values, n=100, method="inclusive")
    return [found[percent - 1] for percent in percents]
