"""Escalations: each once, in order, not before its time, and not late. Pure."""

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from tests.proof.checker.evidence import Event, Evidence, Violation

Window = tuple[datetime, datetime]

SKEW = timedelta(seconds=2)  # the timers are kept by milliseconds, and clocks of two processes differ
DECIDE = ("approved", "rejected", "withdrawn")


def escalations(evidence: Evidence) -> Iterator[Violation]:
    hurt, now = windows(evidence), _end(evidence)
    for case, events in evidence.cases.items():
        yield from _of_case(case, events, hurt, timedelta(seconds=evidence.slack), now)


def windows(evidence: Evidence) -> list[Window]:
    """When something was hurt that an escalation needs, oldest first."""
    found = [
        (datetime.fromisoformat(entry["begin"]), datetime.fromisoformat(entry["end"]))
        for entry in evidence.entries("fault")
    ]
    return sorted(found)


def latest(due: datetime, hurt: Sequence[Window], slack: timedelta) -> datetime:
    """Until when it counts as in time: `slack` after it is due and nothing that it needs is hurt any more."""
    until = due + slack
    for begin, end in hurt:
        if begin <= until and end + slack > until and end >= due:
            until = end + slack
    return until


def _of_case(
    case: str, events: Sequence[Event], hurt: Sequence[Window], slack: timedelta, now: datetime | None
) -> Iterator[Violation]:
    deadlines: list[datetime] = []
    open_review, level = False, 0
    told: Counter[tuple[int, int]] = Counter()
    clock = 0
    for event in events:
        if event.name == "review-requested" or (event.name == "reassigned" and event.body.get("deadlines")):
            deadlines = [datetime.fromisoformat(text) for text in event.body.get("deadlines", ())]
            open_review, level, clock = True, 0, event.message.sequence
        if event.name in DECIDE:
            yield from _missed(case, deadlines[level:], event.time, hurt, slack) if open_review else ()
            open_review = False
        if event.name != "escalated":
            continue
        number = int(event.body.get("level", 0))
        told[clock, number] += 1
        if not open_review:
            yield Violation("escalations", case, f"level {number} was told after the decision")
        elif number != level + 1 or number > len(deadlines):
            yield Violation("escalations", case, f"level {number} follows level {level}")
        else:
            due = deadlines[number - 1]
            if event.time < due - SKEW:
                yield Violation("escalations", case, f"level {number} was told before its time")
            if event.time > (end := latest(due, hurt, slack)):
                late = (event.time - end).total_seconds()
                yield Violation("escalations", case, f"level {number} was told {late:.1f} s too late")
        level = max(level, number)
    for (_, number), count in told.items():
        if count > 1:
            yield Violation("escalations", case, f"level {number} was told {count} times")
    if open_review and now is not None and events[-1].name != "failed":
        yield from _missed(case, deadlines[level:], now, hurt, slack)


def _missed(
    case: str, deadlines: Sequence[datetime], until: datetime, hurt: Sequence[Window], slack: timedelta
) -> Iterator[Violation]:
    """Levels that were due, and nobody was told."""
    for due in deadlines:
        if latest(due, hurt, slack) < until:
            yield Violation("escalations", case, f"what was due at {due.isoformat()} was never told")


def _end(evidence: Evidence) -> datetime | None:
    """When the streams were read."""
    found = [entry["at"] for entry in evidence.entries("end")]
    return datetime.fromisoformat(found[-1]) if found else None
