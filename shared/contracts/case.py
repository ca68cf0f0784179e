"""A case's state: a pure fold over its events. The history is the state; nothing else stores it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import NamedTuple

from shared.contracts.corrections import Addended, Amended, Retracted, RetractionFiled, RetractionRequested
from shared.contracts.ending import Erased, ErasureOrdered, HoldPlaced, HoldReleased, TextKind
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
    Reimported,
    Rejected,
    Retried,
    ReviewRequested,
    StepName,
    Withdrawn,
)
from shared.contracts.steps import STEPS
from shared.contracts.values import State as State

# Which events a step works on. A step runs when the case awaits it; anything else it is handed is a duplicate.
CONSUMED: dict[StepName, tuple[str, ...]] = {step.name: step.consumed_names for step in STEPS}
ENDED: tuple[State, ...] = ("filed", "closed", "withdrawn", "retracted")
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
    hold: Recorded | None = None  # nothing is erased while it is there
    ended: State | None = None  # what it had come to when texts of it were ordered to be erased
    erasure: Recorded | None = None  # the last order to erase all texts
    gone: frozenset[TextKind] = frozenset()  # kinds of which the texts were ordered to be erased
    reopened: bool = False  # by a discharge after one that was taken back

    @property
    def exists(self) -> bool:
        return self.head.sequence > 0

    @property
    def at_rest(self) -> bool:
        """Whether nothing is awaited of it: it has ended, or has failed before anything was signed."""
        if self.awaits is not None or self.erasing:
            return False
        return self.state in ENDED or (self.state == "failed" and not self.entries)

    @property
    def erasing(self) -> bool:
        """Whether an erasure was ordered and is not carried out; it may have stopped."""
        return self.awaits == "erase" or (self.failure is not None and self.failure.step == "erase")

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
    if case.awaits == "erase" and not isinstance(
        body, HoldPlaced | HoldReleased
    ):  # which takes a moment, and nothing may come in between
        again = isinstance(body, ErasureOrdered) and body.again
        failed = isinstance(body, Failed) and body.step == "erase"
        return again or failed or isinstance(body, Erased)
    match body:
        case Discharged():
            return not case.exists or case.state in ("withdrawn", "retracted")
        case HoldPlaced():
            return case.exists and case.hold is None
        case HoldReleased():
            return case.hold is not None
        case ErasureOrdered():
            fresh = not set(body.kinds) <= case.gone
            return fresh and ((body.again and case.exists) or (case.at_rest and case.hold is None))
        case Erased():
            return False
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
            return case.state == "filed" and case.erasure is None
        case Retracted():
            return case.state == "filed" and case.erasure is None and case.retraction is not None
        case Filed():
            return case.awaits == "file" and not taken_back
        case RetractionFiled():
            return case.awaits == "file" and taken_back
        case Withdrawn():
            return case.state in WITHDRAWABLE and not case.erasing
        case Failed():
            return case.awaits == body.step
        case Retried():
            return case.state == "failed" and case.failure is not None and case.failure.step == body.step
        case Reimported():
            return _was_lost(case, body)


def _was_lost(case: Case, body: Reimported) -> bool:
    """Whether what the chart has may have followed where the trail ends: a first signature where nothing is filed, a
    correction, an addendum or a retraction where something is. A filing that has given up is in nobody's way.
    """
    filed = any(entry.filed is not None for entry in case.entries)
    if not isinstance(body.signature, Approved):
        gave_up = case.failure is not None and case.failure.step == "file"
        taken_back = case.retraction is not None and isinstance(case.retraction.body, Retracted)
        return filed and not taken_back and (case.state == "filed" or gave_up)
    if case.state == "retracted":
        return case.awaits is None
    return not filed and (not case.exists or case.state in WITHDRAWABLE or case.state == "withdrawn")


def apply(case: Case, recorded: Recorded) -> Case:  # noqa: C901 - one arm per event, and nothing else
    """The case after one more event."""
    case = replace(case, head=recorded.head)
    state: State
    match recorded.body:
        case Discharged():  # also a discharge after a withdrawn one: the case starts again
            earlier = case.earlier + case.entries
            reopened = case.state != "drafting"
            return Case(awaits="extract", head=recorded.head, earlier=earlier, hold=case.hold, reopened=reopened)
        case HoldPlaced():
            return replace(case, hold=recorded)
        case HoldReleased():
            return replace(case, hold=None)
        case ErasureOrdered() as order:
            return _ordered(case, recorded, order)
        case Erased():
            return replace(case, awaits=None)
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
        case Retried(step="erase"):
            return replace(case, state=case.ended or "closed", awaits="erase", failure=None)
        case Retried() as retried:
            taken_back = case.retraction is not None and isinstance(case.retraction.body, Retracted)
            state = "retracted" if taken_back else state_before(retried.step)
            return replace(case, state=state, awaits=retried.step, failure=None)
        case Reimported() as reimported:
            return _taken_over(case, reimported, as_it_was(recorded))


def _ordered(case: Case, recorded: Recorded, order: ErasureOrdered) -> Case:
    """A case that has failed, or that a restore brought back before its end, is worked on no more."""
    state: State = case.state if case.state in ENDED else "closed"
    gone = case.gone | set(order.kinds)
    case = replace(case, state=state, ended=state, awaits="erase", failure=None, gone=gone)
    return replace(case, erasure=recorded) if order.whole else case


def _signed(case: Case, recorded: Recorded) -> Case:
    return replace(case, state="approved", awaits="file", entries=(*case.entries, ChartEntry(recorded)))


def _filed(case: Case, filed: Filed) -> Case:
    """What was signed last stands in the chart. Where no signature is known, the document is all there is."""
    if not case.entries:
        return replace(case, document=filed)
    last = case.entries[-1]._replace(filed=filed)
    entries = (*case.entries[:-1], last)
    return replace(case, entries=entries, document=filed if last.whole else case.document)


def as_it_was(recorded: Recorded) -> Recorded:
    """The lost event that a `reimported` stands for: with its body, its time, and the digest that the chart has of it.
    The id and the sequence are those of the `reimported`.
    """
    body = recorded.body
    if not isinstance(body, Reimported):
        return recorded
    head = Head(recorded.head.sequence, body.chain_head)
    return replace(recorded, time=body.signed_at, body=body.signature, head=head)


def _taken_over(case: Case, reimported: Reimported, lost: Recorded) -> Case:
    """After a signature or retraction that stands in the chart already. What was signed again since, and could not be
    filed beside it, is nothing that was ever filed.
    """
    body, filed = reimported.signature, reimported.filed
    if isinstance(filed, RetractionFiled):
        return replace(case, state="retracted", awaits=None, failure=None, retraction=lost, retracted=filed)
    case = replace(case, entries=tuple(entry for entry in case.entries if entry.filed is not None))
    if isinstance(body, Approved):
        if case.state == "retracted":
            case = replace(case, entries=(), earlier=case.earlier + case.entries, retracted=None)
        case = replace(case, decision=lost, owner=case.owner or body.signer)
    case = _signed(replace(case, retraction=None, failure=None), lost)
    return _filed(replace(case, state="filed", awaits=None), filed)


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
