"""A case as operators read it: its events with the time between them, and what it waits for now. Pure."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from services.approval.review.operator_reasons import reason_digest
from services.approval.review.views import NO_REASONS, trace_id
from services.approval.settings import TRACE_ID
from shared.contracts.case import Case
from shared.contracts.envelope import RecordedEvent
from shared.contracts.events import Escalated, Failed, Reassigned, Rejected, Retried, StepName, Withdrawn
from shared.contracts.steps import step_named

STEP_LABELS: dict[StepName, str] = {
    "extract": "the record is read from the EHR",
    "draft": "the draft is written",
    "request-review": "the review is requested in the EHR",
    "settle-rejection": "the rejection is carried out",
    "file": "the signed document is filed in the chart",
    "erase": "the texts are erased",
    "prepare": "a draft is prepared before the discharge",
}


class HistoryEntry(NamedTuple):
    """One event of a case."""

    event: RecordedEvent
    after: float | None  # seconds since the event before; None for the first
    detail: str
    trace: str | None  # trace id
    reason: str | None = None  # an operator's words

    @property
    def failed(self) -> bool:
        return isinstance(self.event.body, Failed)

    @property
    def person(self) -> bool:
        """Return whether a person did it, not a service."""
        return getattr(self.event.body, "by", None) is not None


class WaitingFor(NamedTuple):
    """What a case waits for. `deadline_words` says what happens at the deadline."""

    words: str
    since: datetime
    deadline: datetime | None = None
    deadline_words: str = ""


def lines(history: Sequence[RecordedEvent], reasons: Mapping[str, str] = NO_REASONS) -> list[HistoryEntry]:
    """Return the events of a case, oldest first. `reasons`: the words of operators by their digest."""
    found: list[HistoryEntry] = []
    before: RecordedEvent | None = None
    for event in history:
        after = (event.time - before.time).total_seconds() if before else None
        reason = reasons.get(reason_digest(event) or "")
        found.append(HistoryEntry(event, after, _detail(event), trace_id(event), reason))
        before = event
    return found


class Trace(NamedTuple):
    """A trace of the work on a case. `url` is empty where no pages show traces."""

    id: str
    url: str


def traces(history: Sequence[RecordedEvent], template: str) -> list[Trace]:
    """Return the traces of the case's events, each once; `template` is the URL of a trace, or empty."""
    ids = dict.fromkeys(id for event in history if (id := trace_id(event)) is not None)
    return [Trace(id, template.replace(TRACE_ID, id)) for id in ids]


def _detail(event: RecordedEvent) -> str:
    match event.body:
        case Failed() as failed:
            tries = "1 attempt" if failed.attempts == 1 else f"{failed.attempts} attempts"
            return f"Step {failed.step}, after {tries}: {failed.reason}"
        case Retried() as retried:
            return f"Step {retried.step}"
        case Escalated() as escalated:
            return f"Level {escalated.level}" + (f", to {escalated.owner}" if escalated.owner else "")
        case Reassigned() as reassigned:
            return f"To {reassigned.owner}"
        case Withdrawn() as withdrawn:
            return {
                "discharge-cancelled": "The discharge was cancelled",
                "encounter-not-finished": "The stay continues in the EHR",
                "operator": "An operator withdrew it",
            }[withdrawn.reason]
        case Rejected() as rejected:
            return {
                "redraft": "Another draft is wanted",
                "close": "The physician writes it in the EHR",
                "withdraw": "No document is needed",
            }[rejected.action]
        case _:
            return ""


def waiting_for(case: Case, history: Sequence[RecordedEvent]) -> WaitingFor | None:
    """Return what the case waits for now; None where it has ended."""
    last = history[-1].time
    if case.failure is not None:
        failed = next((item.time for item in reversed(history) if isinstance(item.body, Failed)), last)
        return WaitingFor(f"An operator: the step “{case.failure.step}” gave up", failed)
    if case.awaits is not None:
        words = f"{step_named(case.awaits).service.capitalize()}: {STEP_LABELS[case.awaits]}"
        return WaitingFor(words, history[-1].time)
    if case.open and case.review is not None:
        return _review(case, last)
    if case.preparation is not None:
        ends = case.preparation.ends_at
        return WaitingFor("The discharge of the patient", last, ends, "the preparation ends without a discharge")
    if case.state == "filed" and case.retraction is not None:
        return WaitingFor("A second person, who confirms that the document is retracted", case.retraction.time)
    return None


def _review(case: Case, last: datetime) -> WaitingFor:
    deadlines = case.review.deadlines if case.review is not None else ()
    whom = f"A decision of {case.owner}" if case.owner else "A decision of any physician of the department"
    since = case.requested_at or last
    if case.level >= len(deadlines):
        return WaitingFor(f"{whom}; the last escalation was sent", since)
    return WaitingFor(whom, since, deadlines[case.level], f"it is escalated to level {case.level + 1}")


def format_duration(seconds: float) -> str:
    """Format the time between two events: `240 ms`, `3.2 s`, `4 min 10 s`, `5 h 12 min`, `3 d 4 h`."""
    if seconds < 1:
        return f"{max(round(seconds * 1000), 0)} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    whole = int(seconds)
    for size, unit, smaller, name in ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // smaller
            return f"{whole // size} {unit}" + (f" {rest} {name}" if rest else "")
    return f"{whole} s"
