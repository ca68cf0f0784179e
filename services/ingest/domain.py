"""Decide what an EHR message means for a case. Pure."""

from collections.abc import Sequence
from typing import Literal

from services.ingest.preparation import rules
from shared.contracts.case import WITHDRAWABLE_STATES, fold, latest_document
from shared.contracts.ehr import EncounterReported
from shared.contracts.envelope import RecordedEvent
from shared.contracts.events import Discharged, Withdrawn
from shared.contracts.preparation import PreparationRequested
from shared.contracts.subjects import derived_id

DISCHARGED = "discharged"
CANCELLED = "discharge-cancelled"


def discharge(fact: EncounterReported, history: Sequence[RecordedEvent] = ()) -> Discharged:
    """Return the event of a discharge after `history`; it names the draft that was prepared before, if there is one."""
    return Discharged(
        prepared=rules.prepared_draft(fold(history)),
        encounter_id=fact.encounter_id,
        attending=fact.attending,
        occurred_at=fact.occurred_at,
        died=fact.died or None,  # a report without a death leaves it to the record
    )


def reopens(history: Sequence[RecordedEvent], cause: str) -> bool:
    """Return whether a discharge continues an existing case: a prepared, withdrawn or retracted one.

    The same discharge does so once.
    """
    if opened_by(history, cause):
        return False
    case = fold(history)
    return case.preparation is not None or (case.ended if case.erasing else case.state) in ("withdrawn", "retracted")


def opened_by(history: Sequence[RecordedEvent], cause: str) -> bool:
    """Return whether the case was opened by this report."""
    return any(event.id == derived_id(cause, DISCHARGED) for event in history)


def last_opened_by(history: Sequence[RecordedEvent], cause: str) -> bool:
    """Return whether this report, and no later one, opened a case that was prepared before."""
    prepared = any(isinstance(event.body, PreparationRequested) for event in history)
    last = next((event for event in reversed(history) if isinstance(event.body, Discharged)), None)
    return prepared and last is not None and last.id == derived_id(cause, DISCHARGED)


def precedes(one: EncounterReported, other: EncounterReported) -> bool:
    """Return whether both reports say when it happened, and `one` was first."""
    first, second = one.occurred_at, other.occurred_at
    return first is not None and second is not None and first < second


def must_wait(history: Sequence[RecordedEvent]) -> bool:
    """Return whether a reopened case must wait for its documents' retraction or for the erasure of its texts."""
    case = fold(history)
    return case.erasing or (case.state == "retracted" and case.awaits is not None)


def withdraw(history: Sequence[RecordedEvent]) -> Withdrawn | Literal["too-late", "unknown", "done"]:
    """Return the event of a cancelled discharge, or why there is none.

    Before the signature the case is withdrawn; afterwards a person has to act (`too-late`).
    """
    case = fold(history)
    if not case.exists:
        return "unknown"
    if case.state == "retracted" or case.erasing or case.preparation is not None:
        return "done"
    if latest_document(case) is not None:  # also where its filing has failed
        return "too-late"
    return Withdrawn(reason=CANCELLED) if case.state in WITHDRAWABLE_STATES else "done"
