"""Decide what a pending discharge means for a case, and whether its cancellation ends anything. Pure."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Literal

from shared.contracts.case import Case, fold
from shared.contracts.ehr import EncounterReported
from shared.contracts.envelope import RecordedEvent
from shared.contracts.events import name_of
from shared.contracts.preparation import PreparationEnded, PreparationRequested
from shared.contracts.subjects import CaseRef, derived_id

PENDING = "discharge-pending"
PENDING_CANCELLED = "discharge-pending-cancelled"
REQUESTED = name_of(PreparationRequested)

# known: the same report was taken up before. preparing: a draft is being prepared now. wait: its texts are being
# erased. discharged: the stay has ended, its draft is that of the discharge.
Refusal = Literal["known", "preparing", "wait", "discharged"]


def request(
    history: Sequence[RecordedEvent], fact: EncounterReported, cause: str, now: datetime, ends_after: timedelta
) -> PreparationRequested | Refusal:
    """Return the event of a pending discharge, or why there is none.

    The preparation ends `ends_after` the expected discharge, or after `now` where that is later or none is expected.
    """
    if any(event.id == derived_id(cause, REQUESTED) for event in history):
        return "known"
    case = fold(history)
    if case.erasing:
        return "wait"
    if case.exists and case.preparation is None and case.state != "withdrawn":
        return "discharged"
    if case.awaits is not None:
        return "preparing"
    return PreparationRequested(
        encounter_id=fact.encounter_id,
        attending=fact.attending,
        trigger=fact.trigger or "pending-discharge",
        expected_at=fact.expected_at,
        ends_at=max(now, fact.expected_at or now) + ends_after,
        number=1 + sum(isinstance(event.body, PreparationRequested) for event in history),
        prepared=prepared_draft(case),
        tokens=fact.tokens,
    )


def prepared_draft(case: Case) -> str | None:
    """Return the digest of the draft that was prepared last; None where there is none, or its texts were erased."""
    if case.prepared is None or case.erased_kinds:
        return None
    return case.prepared.draft.digest


def cancels(cancellation: EncounterReported, report: EncounterReported) -> bool:
    """Return whether a cancellation is about a report: that of an Appointment is only about what that had planned."""
    return cancellation.appointment is None or cancellation.appointment == report.appointment


def end(history: Sequence[RecordedEvent], of: Collection[str] | None = None) -> PreparationEnded | None:
    """Return the event of a cancelled pending discharge; None where nothing is being prepared.

    With `of`, ids of reports, only if the last preparation was requested by one of them.
    """
    if fold(history).preparation is None:
        return None
    asked = next(event for event in reversed(history) if isinstance(event.body, PreparationRequested))
    if of is not None and asked.id not in {derived_id(cause, REQUESTED) for cause in of}:
        return None
    return PreparationEnded(reason="cancelled")


def case_after(known: CaseRef, fact: EncounterReported, default_department: str) -> CaseRef:
    """Return the case as its next event names it: in the department of `fact`, where the patient is now.

    A report that names no department has the default one, and leaves the case where it is.
    """
    if fact.department is None or fact.department == default_department:
        return known
    return CaseRef(fact.department, known.id)
