"""What a fact from the EHR means for a case. Pure."""

from collections.abc import Sequence
from typing import Literal

from shared.contracts.case import WITHDRAWABLE_STATES, fold, latest_document
from shared.contracts.ehr import EncounterReported
from shared.contracts.envelope import RecordedEvent
from shared.contracts.events import Discharged, Withdrawn
from shared.contracts.subjects import derived_id

DISCHARGED = "discharged"
CANCELLED = "discharge-cancelled"


def discharge(fact: EncounterReported) -> Discharged:
    return Discharged(encounter_id=fact.encounter_id, attending=fact.attending, occurred_at=fact.occurred_at)


def reopens(history: Sequence[RecordedEvent], cause: str) -> bool:
    """Whether a discharge starts an existing case again: only a withdrawn or retracted one, and not by a discharge that
    it has begun with.
    """
    known = any(event.id == derived_id(cause, DISCHARGED) for event in history)
    case = fold(history)
    return (case.ended if case.erasing else case.state) in ("withdrawn", "retracted") and not known


def must_wait(history: Sequence[RecordedEvent]) -> bool:
    """Whether a case that starts again has to wait: for the chart to say that its documents are retracted, or for its
    texts to be erased.
    """
    case = fold(history)
    return case.erasing or (case.state == "retracted" and case.awaits is not None)


def withdraw(history: Sequence[RecordedEvent]) -> Withdrawn | Literal["too-late", "unknown", "done"]:
    """What an un-discharge does: before the signature it withdraws the case, after it only a person can act."""
    case = fold(history)
    if not case.exists:
        return "unknown"
    if case.state == "retracted" or case.erasing:
        return "done"
    if latest_document(case) is not None:  # also where its filing has failed
        return "too-late"
    return Withdrawn(reason=CANCELLED) if case.state in WITHDRAWABLE_STATES else "done"
