"""Rules of escalation: levels and deadlines of an open review, who is notified, how an escalation ends. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from shared.contracts.case import Case, evolve, fold
from shared.contracts.envelope import RecordedEvent
from shared.contracts.events import Approved, Escalated, Reassigned, Reimported, Rejected, ReviewRequested, Withdrawn

# 1: the supervisor is notified. 2: again, with the deputies. 3: the supervisor takes over, operators are alerted.
WITH_DEPUTIES = 2
TAKES_OVER = 3
MAX_POSTPONEMENT = 2  # times the delay of the last level; a reassignment postpones it no further
MAX_CLOCK_SKEW = timedelta(seconds=30)  # between two servers
TIMER_PRECISION = timedelta(milliseconds=1)  # of the times in timers


def deadlines(now: datetime, after: Sequence[timedelta], since: datetime | None = None) -> tuple[datetime, ...]:
    """Return the deadlines of a review that somebody gets at `now`, one for each level.

    `since`: when it was first asked for. Repeated reassignment cannot postpone it for ever: the supervisor takes over
    after twice the usual time at the latest, so a late owner has less time.
    """
    over = (
        max(now + after[-1] - (since + MAX_POSTPONEMENT * after[-1]), timedelta()) if since and after else timedelta()
    )
    return tuple(max(now + wait - over, now) for wait in after)


def escalate(
    history: Sequence[RecordedEvent],
    clock: str,
    level: int,
    due: datetime,
    supervisor: str | None,
    deputies: Sequence[str] = (),
) -> Escalated | None:
    """Return the escalation of a fired timer; None where the review is decided, or the level or the clock is past.

    `supervisor` takes over at the last level; None for the others. `deputies` are notified at level 2.
    """
    case = fold(history)
    if not is_current(case, clock) or level != case.level + 1:
        return None
    notified = tuple(deputies) if level == WITH_DEPUTIES else ()
    return Escalated(level=level, due=due, owner=supervisor, deputies=notified)


def is_current(case: Case, clock: str | None) -> bool:
    """Return whether the clock that the event with id `clock` started is still running."""
    return case.open and case.escalation_run == clock


def next_deadline(case: Case, clock: str, level: int) -> datetime | None:
    """Return when the level after `level` is due; None where there is none, or the review is decided."""
    if case.review is None or not is_current(case, clock) or level >= len(case.review.deadlines):
        return None
    return case.review.deadlines[level]


def timing(due: datetime, deadline: datetime | None, now: datetime) -> Literal["due", "early", "superseded"]:
    """Return whether a timer that was set for `due` and has fired is due by the `deadline` of the event stream.

    `early`: the clock of the server that fires timers is ahead of ours by more than two servers may differ.
    `superseded`: it was set for an earlier time, by an attempt to request the review that was not completed.
    """
    if deadline is None or deadline <= now:
        return "due"
    if due <= deadline - TIMER_PRECISION:
        return "superseded"
    return "early" if deadline - now > MAX_CLOCK_SKEW else "due"


@dataclass(frozen=True, slots=True)
class EscalationRecord:
    """One escalation of the case's events, with the clock that it belongs to."""

    event: RecordedEvent
    clock: str
    level: int
    deputies: tuple[str, ...]
    review: ReviewRequested


def escalations(history: Iterable[RecordedEvent]) -> list[EscalationRecord]:
    """Return every escalation of the case, oldest first."""
    case, found = Case(), []
    for event in history:
        case = evolve(case, event)
        if isinstance(body := event.body, Escalated) and case.escalation_run is not None and case.review is not None:
            found.append(EscalationRecord(event, case.escalation_run, body.level, body.deputies, case.review))
    return found


def possible(history: Sequence[RecordedEvent], deputies: Sequence[str]) -> list[EscalationRecord]:
    """Return every level of the review's last clock, whether or not it was reached.

    An event stream that was restored from a backup may lack levels that were.
    """
    case = fold(history)
    if case.review is None or case.escalation_run is None:
        return []
    return [
        EscalationRecord(
            history[-1], case.escalation_run, level, tuple(deputies) if level == WITH_DEPUTIES else (), case.review
        )
        for level in range(1, len(case.review.deadlines) + 1)
    ]


@dataclass(frozen=True, slots=True)
class EscalationEnd:
    """How an escalation ended: `done` by a decision, otherwise for another reason."""

    outcome: str
    done: bool


def ended_by(escalation: EscalationRecord, history: Iterable[RecordedEvent]) -> EscalationEnd | None:
    """Return how an escalation ended; None while its clock runs."""
    for event in history:
        if event.head.sequence <= escalation.event.head.sequence:
            continue
        match event.body:
            case Approved() | Reimported():
                return EscalationEnd("approved", done=True)
            case Rejected() as rejected:
                return EscalationEnd(f"rejected-{rejected.action}", done=True)
            case Withdrawn() as withdrawn:
                return EscalationEnd("withdrawn" if withdrawn.by else "discharge-cancelled", done=False)
            case Reassigned() as reassigned if reassigned.deadlines is not None:
                return EscalationEnd("reassigned", done=False)
    return None


def waiting_since(history: Iterable[RecordedEvent]) -> datetime | None:
    """Return when the last review was requested; a reassignment does not change how long the document waits."""
    return next((event.time for event in reversed(list(history)) if event.name == "review-requested"), None)
