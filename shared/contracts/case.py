"""A case's state: a pure fold over its events. The history is the state; nothing else stores it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal, NamedTuple

from shared.contracts.corrections import Addended, Amended, Retracted, RetractionFiled, RetractionRequested
from shared.contracts.envelope import START, Head, Recorded, digest
from shared.contracts.events import (
    Approved,
    CaseEvent,
    Closed,
    ContextExtracted,
    Discharged,
    Drafted,
    Escalated,
    Failed,
    Filed,
    Reassigned,
    RedraftRequested,
    Rejected,
    Retried,
    ReviewRequested,
    StepName,
    Withdrawn,
)

State = Literal["drafting", "awaiting-review", "approved", "filed", "closed", "withdrawn", "failed", "retracted"]

# Which events a step works on. A step runs when the case awaits it; anything else it is handed is a duplicate.
CONSUMED: dict[StepName, tuple[str, ...]] = {
    "extract": ("discharged",),
    "draft": ("context-extracted", "redraft-requested"),
    "request-review": ("drafted",),
    "file": ("approved", "amended", "addended", "retracted"),
    "settle-rejection": ("rejected",),
}
WITHDRAWABLE: tuple[State, ...] = ("drafting", "awaiting-review", "failed")


class ChartEntry(NamedTuple):
    """A text that was signed, and where it was filed; None: not yet."""

    signature: Recorded  # an approval, a correction or an addendum
    filed: Filed | None = None

    @property
    def whole(self) -> bool:
        """Whether it is a whole document, not an addendum to one."""
        return not isinstance(self.signature.body, Addended)


@dataclass(frozen=True, slots=True)
class Case:
    """What a case's events add up to."""

    state: State = "drafting"
    awaits: StepName | None = None  # the step whose turn it is; None while a person's decision or nothing is awaited
    head: Head = START
    review: ReviewRequested | None = None  # the review that is open, or was last
    owner: str | None = None
    requested_at: datetime | None = None  # when that review was asked for
    level: int = 0  # highest escalation so far of the open review's clock
    clock: str | None = None  # id of the event that started it: the request of the review, or a reassignment
    decision: Recorded | None = None  # the approval or rejection
    document: Filed | None = None  # the whole one that counts; addenda are among the entries
    entries: tuple[ChartEntry, ...] = ()  # every text that was signed for this discharge, oldest first
    earlier: tuple[ChartEntry, ...] = ()  # those of discharges of the same stay that were taken back
    retraction: Recorded | None = None  # the request that waits for a second person, then the confirmation
    retracted: RetractionFiled | None = None
    failure: Failed | None = None
    reopened: bool = False  # by a discharge after one that was taken back

    @property
    def exists(self) -> bool:
        return self.head.sequence > 0

    @property
    def open(self) -> bool:
        return self.state == "awaiting-review"


def fold(history: Iterable[Recorded]) -> Case:
    """The case after all of `history`, which is in stream order. What does not fit its state changes nothing but where
    the next event has to follow.
    """
    case = Case()
    for event in history:
        case = apply(case, event) if fits(case, event.body) else replace(case, head=event.head)
    return case


def misfits(history: Iterable[Recorded]) -> list[Recorded]:
    """The events of `history` that nothing of ours appends to a case in the state that it was in."""
    case, found = Case(), []
    for event in history:
        if fits(case, event.body):
            case = apply(case, event)
        else:
            case = replace(case, head=event.head)
            found.append(event)
    return found


def fits(case: Case, body: CaseEvent) -> bool:  # noqa: C901 - one arm per event, and nothing else
    """Whether `body` may be the next event of `case`."""
    taken_back = case.retraction is not None and isinstance(case.retraction.body, Retracted)
    match body:
        case Discharged():
            return not case.exists or case.state in ("withdrawn", "retracted")
        case ContextExtracted():
            return case.awaits == "extract"
        case Drafted():
            return case.awaits == "draft"
        case ReviewRequested():
            return case.awaits == "request-review"
        case Escalated() | Reassigned() | Approved() | Rejected():
            return case.open
        case RedraftRequested() | Closed():
            refusal = case.decision.body if case.decision is not None else None
            redraft = isinstance(refusal, Rejected) and refusal.action == "redraft"
            return case.awaits == "settle-rejection" and redraft == isinstance(body, RedraftRequested)
        case Amended() | Addended() | RetractionRequested():
            return case.state == "filed"
        case Retracted():
            return case.state == "filed" and case.retraction is not None
        case Filed():
            return case.awaits == "file" and not taken_back
        case RetractionFiled():
            return case.awaits == "file" and taken_back
        case Withdrawn():
            return case.state in WITHDRAWABLE
        case Failed():
            return case.awaits == body.step
        case Retried():
            return case.state == "failed" and case.failure is not None and case.failure.step == body.step


def apply(case: Case, recorded: Recorded) -> Case:  # noqa: C901 - one arm per event, and nothing else
    """The case after one more event."""
    case = replace(case, head=recorded.head)
    state: State
    match recorded.body:
        case Discharged():  # also a discharge after a withdrawn one: the case starts again
            earlier = case.earlier + case.entries
            return Case(awaits="extract", head=recorded.head, earlier=earlier, reopened=case.state != "drafting")
        case ContextExtracted() | RedraftRequested():
            return replace(case, state="drafting", awaits="draft")
        case Drafted():
            return replace(case, state="drafting", awaits="request-review")
        case ReviewRequested() as review:
            case = replace(case, state="awaiting-review", awaits=None, review=review, owner=review.owner, decision=None)
            return replace(case, level=0, clock=recorded.id, requested_at=recorded.time)
        case Escalated() as escalated:
            return replace(case, level=escalated.level, owner=escalated.owner or case.owner)
        case Reassigned() as reassigned:
            return _reassigned(replace(case, owner=reassigned.owner), reassigned, recorded.id)
        case Approved():
            return _signed(replace(case, decision=recorded), recorded)
        case Amended() | Addended():  # who signs one takes a request for a retraction for settled
            return _signed(replace(case, retraction=None), recorded)
        case RetractionRequested():
            return replace(case, state="filed", retraction=recorded)
        case Retracted():
            return replace(case, state="retracted", awaits="file", retraction=recorded)
        case RetractionFiled() as retraction:
            return replace(case, state="retracted", awaits=None, retracted=retraction)
        case Rejected() as rejected:
            state = "drafting" if rejected.action == "redraft" else "closed"
            return replace(case, state=state, awaits="settle-rejection", decision=recorded)
        case Filed() as filed:
            return _filed(replace(case, state="filed", awaits=None), filed)
        case Closed():
            return replace(case, state="closed", awaits=None)
        case Withdrawn():
            return replace(case, state="withdrawn", awaits=None, failure=None)
        case Failed() as failed:
            return replace(case, state="failed", awaits=None, failure=failed)
        case Retried() as retried:
            taken_back = case.retraction is not None and isinstance(case.retraction.body, Retracted)
            state = "retracted" if taken_back else state_before(retried.step)
            return replace(case, state=state, awaits=retried.step, failure=None)


def _signed(case: Case, recorded: Recorded) -> Case:
    return replace(case, state="approved", awaits="file", entries=(*case.entries, ChartEntry(recorded)))


def _filed(case: Case, filed: Filed) -> Case:
    """What was signed last stands in the chart. Where no signature is known, the document is all there is."""
    if not case.entries:
        return replace(case, document=filed)
    last = case.entries[-1]._replace(filed=filed)
    entries = (*case.entries[:-1], last)
    return replace(case, entries=entries, document=filed if last.whole else case.document)


def _reassigned(case: Case, reassigned: Reassigned, id: str) -> Case:
    """With a clock of its own, where the reassignment started one."""
    if case.review is None or reassigned.deadlines is None:
        return case
    review = case.review.model_copy(update={"deadlines": reassigned.deadlines})
    return replace(case, review=review, level=0, clock=id)


def final(case: Case) -> ChartEntry | None:
    """The whole document that was signed last; None before the first signature."""
    return next((entry for entry in reversed(case.entries) if entry.whole), None)


def addenda(case: Case) -> tuple[ChartEntry, ...]:
    return tuple(entry for entry in case.entries if not entry.whole)


def standing(case: Case) -> str:
    """The digest of the document as it stands: of the final text or, with addenda, of the digests of all of them in
    order. Empty before the first signature.
    """
    last = final(case)
    signed = [text_of(entry) for entry in (last, *addenda(case)) if entry is not None]
    return signed[0] if len(signed) == 1 else digest("\n".join(signed).encode()) if signed else ""


def text_of(entry: ChartEntry) -> str:
    """SHA-256 of the text that was signed."""
    body = entry.signature.body
    return body.signed if isinstance(body, Approved | Amended | Addended) else ""


def state_before(step: StepName) -> State:
    """What a case is while it waits for `step`."""
    return "approved" if step == "file" else "drafting"


def cause_of(step: StepName, history: Sequence[Recorded]) -> Recorded | None:
    """The latest event that `step` works on; one that did not fit the case is none."""
    case, found = Case(), None
    for event in history:
        if not fits(case, event.body):
            case = replace(case, head=event.head)
            continue
        case = apply(case, event)
        found = event if event.name in CONSUMED[step] else found
    return found
