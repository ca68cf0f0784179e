"""Escalations: each once, in order, not before its time, and not late. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.proof.checker.evidence import Event, Evidence, Violation

Window = tuple[datetime, datetime]

SKEW = timedelta(seconds=2)  # timers are kept by milliseconds, and clocks of two processes differ
DECIDE = ("approved", "rejected", "withdrawn")


def escalations(evidence: Evidence) -> Iterator[Violation]:
    times = Times(windows(evidence), timedelta(seconds=evidence.slack), timedelta(seconds=evidence.recovery))
    ends = [datetime.fromisoformat(entry["at"]) for entry in evidence.entries("end")]
    for case, events in evidence.cases.items():
        clock = Clock(times)
        for event in events:
            for what in clock.hear(event):
                yield Violation("escalations", case, what)
        if ends and events[-1].name != "failed":  # the streams were read after the last of them
            for what in clock.missed(ends[-1]):
                yield Violation("escalations", case, what)


def windows(evidence: Evidence) -> list[Window]:
    """When something was hurt, oldest first. What a moved clock wrote stands in that clock's time."""
    found = []
    for entry in evidence.entries("fault"):
        moved = timedelta(seconds=abs(entry.get("clock", 0)))
        found.append((datetime.fromisoformat(entry["begin"]) - moved, datetime.fromisoformat(entry["end"]) + moved))
    return sorted(found)


@dataclass(frozen=True, slots=True)
class Times:
    """`slack`: how late an escalation may be while nothing is hurt; `recovery`: after something was."""

    hurt: Sequence[Window]
    slack: timedelta
    recovery: timedelta

    def latest(self, due: datetime) -> datetime:
        """Until when what is due counts as in time: no message waits longer than `recovery` for its next attempt."""
        until = due + self.slack
        for begin, end in self.hurt:
            if begin <= until and end + self.recovery > until:
                until = end + self.recovery
        return until


@dataclass
class Clock:
    """The running clock of one case's review; what is heard is what it says of each event."""

    times: Times
    deadlines: list[datetime] = field(default_factory=list)
    level: int = 0
    runs: bool = False

    def hear(self, event: Event) -> Iterator[str]:
        if event.name == "escalated":
            yield from self._escalated(event)
        if event.name in DECIDE:
            yield from self.missed(event.time)
            self.runs = False
        if event.name == "review-requested" or (event.name == "reassigned" and event.body.get("deadlines")):
            yield from self.missed(event.time)
            self.deadlines = [datetime.fromisoformat(text) for text in event.body.get("deadlines", ())]
            self.level, self.runs = 0, True

    def _escalated(self, event: Event) -> Iterator[str]:
        number = int(event.body.get("level", 0))
        if not self.runs:
            yield f"level {number} was told after the decision"
        elif number <= self.level:
            yield f"level {number} was told twice"
        elif number != self.level + 1 or number > len(self.deadlines):
            yield f"level {number} follows level {self.level}"
        else:
            due = self.deadlines[number - 1]
            late = (event.time - self.times.latest(due)).total_seconds()
            if event.time < due - SKEW:
                yield f"level {number} was told before its time"
            if late > 0:
                yield f"level {number} was told {late:.1f} s too late"
        self.level = max(self.level, number)

    def missed(self, until: datetime) -> Iterator[str]:
        """Levels that were due, and nobody was told."""
        for due in self.deadlines[self.level :] if self.runs else ():
            if self.times.latest(due) < until:
                yield f"what was due at {due.isoformat()} was not told"
