"""What decides a case's state, without anything else of it: `fold` one event at a time, at a few bytes a case. Pure.

The rules are those of `fold`. Events and bodies that a case refers to are replaced with stubs of their type, so that
all cases in the same condition share one object.
"""

from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, NamedTuple, get_args

from shared.contracts.case import Case, ChartEntry, evolve, is_expected
from shared.contracts.case_values import CaseState
from shared.contracts.corrections import Retracted, RetractionRequested
from shared.contracts.envelope import ChainHead, RecordedEvent
from shared.contracts.events import (
    Approved,
    CaseEvent,
    Closed,
    ContextExtracted,
    Discharged,
    Drafted,
    Failed,
    Filed,
    Rejected,
    RejectionAction,
    ReviewRequested,
    StepName,
)
from shared.contracts.preparation import PreparationRequested
from shared.contracts.retention import ErasureOrdered, HoldPlaced, TextKind
from shared.contracts.subjects import CaseRef

CONDITIONS = 4096  # more than there are in practice
_HEAD = ChainHead(1, "")


def _empty(kind: type[Any], **values: Any) -> Any:
    """Return a body of which only its type counts, and `values`."""
    return kind.model_construct(**values)


def _stub(body: CaseEvent) -> RecordedEvent:
    return RecordedEvent(CaseRef("", ""), "", "", datetime.fromtimestamp(0, UTC), "", body, _HEAD)


_REQUESTED = _stub(_empty(RetractionRequested))
_RETRACTED = _stub(_empty(Retracted))
_HOLD = _stub(_empty(HoldPlaced))
_ORDERED = _stub(_empty(ErasureOrdered))
_PREPARATION = _empty(PreparationRequested)
_SIGNED = ChartEntry(_stub(Closed()))
_FILED = _SIGNED._replace(filed=Filed(document_reference="", provenance=""))
_FAILED = {step: Failed(step=step, reason="", attempts=0) for step in get_args(StepName)}
_REJECTED = {action: _stub(_empty(Rejected, action=action)) for action in get_args(RejectionAction)}


NEW = Case()  # before its first event
_KEPT = "the owner stays"  # no FHIR reference
# Events of which a case's next condition does not depend on what they say; most events are among them.
_PLAIN = (Discharged, ContextExtracted, Drafted, ReviewRequested, Approved, Closed)


class _Transition(NamedTuple):
    """What an event of one type makes of a condition. `owner`: None, _KEPT, or another: that of the event."""

    before: Case  # referred to, so that its id is of no other object
    after: Case
    owner: str | None


_transitions: dict[tuple[int, type[CaseEvent]], _Transition] = {}


def slim_after(case: Case, owner: str | None, event: RecordedEvent) -> tuple[Case, str | None]:
    """Return the case after one more event, without what does not decide its state, and its owner then.

    `case` is NEW, or what this function has returned.
    """
    body = event.body
    if not isinstance(body, _PLAIN) and not (isinstance(body, Filed) and body.by is None):
        return _evolved(case, owner, event)
    key = id(case), type(body)
    if (known := _transitions.get(key)) is None:
        known = _transitions[key] = _Transition(case, *_evolved(case, _KEPT, event))
    if known.owner == _KEPT:
        return known.after, owner
    return known.after, getattr(body, "owner", None)


def _evolved(case: Case, owner: str | None, event: RecordedEvent) -> tuple[Case, str | None]:
    case = replace(case, owner=owner) if owner is not None else case
    after = evolve(case, event) if is_expected(case, event.body) else replace(case, head=event.head)
    return _slim(after), after.owner


def _slim(case: Case) -> Case:
    refusal = case.decision.body if case.decision is not None and case.awaits == "settle-rejection" else None
    return _shared(
        case.state,
        case.awaits,
        any(entry.filed is not None for entry in case.entries),
        bool(case.entries) and case.entries[-1].filed is None,
        None if case.retraction is None else isinstance(case.retraction.body, Retracted),
        case.failure.step if case.failure is not None else None,
        case.hold is not None,
        case.ended,
        case.erasure is not None,
        case.erased_kinds,
        case.preparation is not None,
        refusal.action if isinstance(refusal, Rejected) else None,
    )


@lru_cache(CONDITIONS)
def _shared(
    state: CaseState,
    awaits: StepName | None,
    filed: bool,
    unfiled: bool,
    retracted: bool | None,
    failed: StepName | None,
    held: bool,
    ended: CaseState | None,
    ordered: bool,
    erased: frozenset[TextKind],
    preparing: bool,
    refused: RejectionAction | None,
) -> Case:
    return Case(
        state=state,
        awaits=awaits,
        head=_HEAD,
        entries=(*((_FILED,) if filed else ()), *((_SIGNED,) if unfiled else ())),
        retraction=None if retracted is None else _RETRACTED if retracted else _REQUESTED,
        failure=_FAILED[failed] if failed is not None else None,
        hold=_HOLD if held else None,
        ended=ended,
        erasure=_ORDERED if ordered else None,
        erased_kinds=erased,
        preparation=_PREPARATION if preparing else None,
        decision=_REJECTED[refused] if refused is not None else None,
    )
