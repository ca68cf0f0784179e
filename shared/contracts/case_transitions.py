"""Which events a case takes, and what it is after each of them."""

from dataclasses import replace

from shared.contracts.case_state import END_STATES, WITHDRAWABLE_STATES, Case, ChartEntry
from shared.contracts.case_values import CaseState
from shared.contracts.corrections import Addended, Amended, Retracted, RetractionFiled, RetractionRequested
from shared.contracts.envelope import ChainHead, RecordedEvent
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
from shared.contracts.preparation import PreparationEnded, PreparationRequested, Prepared
from shared.contracts.ratings import Rated
from shared.contracts.retention import Erased, ErasureOrdered, HoldPlaced, HoldReleased


def is_expected(case: Case, body: CaseEvent) -> bool:  # noqa: C901 - one arm per event, and nothing else
    """Return whether `body` may be the next event of `case`."""
    taken_back = case.retraction is not None and isinstance(case.retraction.body, Retracted)
    if case.awaits == "erase" and not isinstance(
        body, HoldPlaced | HoldReleased
    ):  # which takes a moment in which no other event may follow
        again = isinstance(body, ErasureOrdered) and body.again
        failed = isinstance(body, Failed) and body.step == "erase"
        return again or failed or isinstance(body, Erased)
    match body:
        case Discharged():
            return not case.exists or case.preparation is not None or case.state in ("withdrawn", "retracted")
        case PreparationRequested():
            again = case.preparation is not None and case.awaits is None
            return not case.exists or again or case.state == "withdrawn"
        case Prepared():
            return case.awaits == "prepare"
        case PreparationEnded():
            return case.preparation is not None
        case HoldPlaced():
            return case.exists and case.hold is None
        case HoldReleased():
            return case.hold is not None
        case ErasureOrdered():
            fresh = not set(body.kinds) <= case.erased_kinds
            return fresh and ((body.again and case.exists) or (case.has_no_pending_step and case.hold is None))
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
            return _may_be_filed(case, by_hand=body.by is not None) and not taken_back
        case RetractionFiled():
            return _may_be_filed(case, by_hand=body.by is not None) and taken_back
        case Withdrawn():
            return case.state in WITHDRAWABLE_STATES and not case.erasing and case.preparation is None
        case Failed():
            return case.awaits == body.step
        case Retried():
            if body.step == "file" and case.awaits == "file":
                return True  # a person has it tried at once, or another way
            return case.state == "failed" and case.failure is not None and case.failure.step == body.step
        case Reimported():
            return _may_have_been_lost(case, body)
        case Rated():
            return case.rateable == body.draft.digest


def _may_be_filed(case: Case, *, by_hand: bool) -> bool:
    """Return whether the filing is awaited. What was held because it failed, a person may take to the chart."""
    held = case.state == "failed" and case.failure is not None and case.failure.step == "file"
    return case.awaits == "file" or (by_hand and held)


def _may_have_been_lost(case: Case, body: Reimported) -> bool:
    """Return whether the chart's entry may be one whose event a restore lost.

    That is a first signature where nothing is filed; a correction, an addendum or a retraction where something is. A
    filing that has given up does not matter.
    """
    filed = any(entry.filed is not None for entry in case.entries)
    if not isinstance(body.signature, Approved):
        gave_up = case.failure is not None and case.failure.step == "file"
        taken_back = case.retraction is not None and isinstance(case.retraction.body, Retracted)
        return filed and not taken_back and (case.state == "filed" or gave_up)
    if case.state == "retracted":
        return case.awaits is None
    # A restore may have lost the discharge, too.
    undecided = case.preparation is not None or case.state in (*WITHDRAWABLE_STATES, "withdrawn")
    return not filed and (not case.exists or undecided)


def evolve(case: Case, recorded: RecordedEvent) -> Case:  # noqa: C901 - one arm per event, and nothing else
    """Return the case after one more event."""
    case = replace(case, head=recorded.head)
    state: CaseState
    match recorded.body:
        case Discharged():  # also a discharge after a withdrawn one: the case starts again
            earlier = case.earlier + case.entries
            reopened = case.state != "drafting" and not case.never_discharged
            return Case(awaits="extract", head=recorded.head, earlier=earlier, hold=case.hold, reopened=reopened)
        case PreparationRequested() as request:
            return _after_preparation_request(case, request)
        case Prepared() as prepared:
            return replace(case, state="prepared", awaits=None, prepared=prepared, owner=prepared.stay.attending)
        case PreparationEnded():
            return replace(case, state="withdrawn", awaits=None, failure=None, preparation=None)
        case Rated():
            return replace(case, rating=recorded)
        case HoldPlaced():
            return replace(case, hold=recorded)
        case HoldReleased():
            return replace(case, hold=None)
        case ErasureOrdered() as order:
            return _after_erasure_order(case, recorded, order)
        case Erased():
            return replace(case, awaits=None)
        case ContextExtracted() | RedraftRequested():
            return replace(case, state="drafting", awaits="draft")
        case Drafted():
            return replace(case, state="drafting", awaits="request-review")
        case ReviewRequested() as review:
            case = replace(case, state="awaiting-review", awaits=None, review=review, owner=review.owner, decision=None)
            return replace(case, level=0, escalation_run=recorded.id, requested_at=recorded.time)
        case Escalated() as escalated:
            return replace(case, level=escalated.level, owner=escalated.owner or case.owner)
        case Reassigned() as reassigned:
            return _after_reassignment(replace(case, owner=reassigned.owner), reassigned, recorded.id)
        case Approved():
            return _after_signature(replace(case, decision=recorded), recorded)
        case Amended() | Addended():  # signing a correction settles a requested retraction
            return _after_signature(replace(case, retraction=None), recorded)
        case RetractionRequested():
            return replace(case, state="filed", retraction=recorded)
        case Retracted():
            return replace(case, state="retracted", awaits="file", retraction=recorded)
        case RetractionFiled() as retraction:
            return replace(case, state="retracted", awaits=None, failure=None, retracted=retraction)
        case Rejected() as rejected:
            state = "drafting" if rejected.action == "redraft" else "closed"
            return replace(case, state=state, awaits="settle-rejection", decision=recorded)
        case Filed() as filed:
            return _after_filing(replace(case, state="filed", awaits=None, failure=None), filed)
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
            return _after_reimport(case, reimported, restored_event(recorded))


def _after_preparation_request(case: Case, request: PreparationRequested) -> Case:
    """Return the case while a draft is prepared. What was prepared before stays readable until then."""
    never_discharged = case.state == "drafting" or case.never_discharged
    return Case(
        state="preparing",
        awaits="prepare",
        head=case.head,
        owner=case.owner if case.preparation is not None else None,
        earlier=case.earlier + case.entries,
        hold=case.hold,
        reopened=case.reopened or not never_discharged,
        preparation=request,
        prepared=case.prepared if request.prepared is not None else None,
        never_discharged=never_discharged,
    )


def _after_erasure_order(case: Case, recorded: RecordedEvent, order: ErasureOrdered) -> Case:
    """Return the case after an erasure order: a failed case, or one restored to before its end, is closed."""
    stays_open: CaseState = "withdrawn" if case.preparation is not None else "closed"  # for the discharge
    state: CaseState = case.state if case.state in END_STATES else stays_open
    gone = case.erased_kinds | set(order.kinds)
    case = replace(case, state=state, ended=state, awaits="erase", failure=None, erased_kinds=gone, preparation=None)
    return replace(case, erasure=recorded) if order.whole else case


def _after_signature(case: Case, recorded: RecordedEvent) -> Case:
    return replace(case, state="approved", awaits="file", entries=(*case.entries, ChartEntry(recorded)))


def _after_filing(case: Case, filed: Filed) -> Case:
    """Return the case after the latest signed text was filed; without a known signature only the document is known."""
    if not case.entries:
        return replace(case, document=filed)
    last = case.entries[-1]._replace(filed=filed)
    entries = (*case.entries[:-1], last)
    return replace(case, entries=entries, document=filed if last.whole else case.document)


def restored_event(recorded: RecordedEvent) -> RecordedEvent:
    """Return the lost event that a `reimported` stands for: its body, its time, and its digest from the chart.

    The id and the sequence are those of the `reimported`; so is the digest, where the chart had none.
    """
    body = recorded.body
    if not isinstance(body, Reimported):
        return recorded
    head = ChainHead(recorded.head.sequence, body.chain_head or recorded.head.digest)
    return replace(recorded, time=body.signed_at, body=body.signature, head=head)


def _after_reimport(case: Case, reimported: Reimported, lost: RecordedEvent) -> Case:
    """Return the case after a signature or retraction that is in the chart already.

    A later signature that could not be filed beside it is dropped.
    """
    body, filed = reimported.signature, reimported.filed
    case = replace(case, preparation=None)  # the restore has lost the discharge, too
    if isinstance(filed, RetractionFiled):
        return replace(case, state="retracted", awaits=None, failure=None, retraction=lost, retracted=filed)
    case = replace(case, entries=tuple(entry for entry in case.entries if entry.filed is not None))
    if isinstance(body, Approved):
        if case.state == "retracted":
            case = replace(case, entries=(), earlier=case.earlier + case.entries, retracted=None)
        case = replace(case, decision=lost, owner=case.owner or body.signer)
    case = _after_signature(replace(case, retraction=None, failure=None), lost)
    return _after_filing(replace(case, state="filed", awaits=None), filed)


def _after_reassignment(case: Case, reassigned: Reassigned, id: str) -> Case:
    """Return the case after a reassignment, with a new escalation run where it started one."""
    if case.review is None or reassigned.deadlines is None:
        return case
    review = case.review.model_copy(update={"deadlines": reassigned.deadlines})
    return replace(case, review=review, level=0, escalation_run=id)


def state_before(step: StepName) -> CaseState:
    """Return the state of a case while it waits for `step`."""
    return "approved" if step == "file" else "preparing" if step == "prepare" else "drafting"
