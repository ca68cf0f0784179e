"""Decide what an EHR message means for a case. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from services.ingest.preparation import rules
from shared.contracts.case import WITHDRAWABLE_STATES, fold, latest_document
from shared.contracts.ehr import EncounterReported
from shared.contracts.envelope import RecordedEvent
from shared.contracts.events import Discharged, Withdrawn
from shared.contracts.subjects import derived_id

DISCHARGED = "discharged"
CANCELLED = "discharge-cancelled"
Route = Literal["adt", "fhir", "other"]  # by which a report came: REST and integration engines are `other`


@dataclass(frozen=True, slots=True)
class DischargeReport:
    """A report about an encounter, and by which route it came."""

    fact: EncounterReported
    route: Route


def discharge(fact: EncounterReported, history: Sequence[RecordedEvent] = ()) -> Discharged:
    """Return the event of a discharge after `history`; it names the draft that was prepared before, if there is one."""
    return Discharged(
        prepared=rules.prepared_draft(fold(history)),
        encounter_id=fact.encounter_id,
        attending=fact.attending,
        occurred_at=fact.occurred_at,
        died=fact.died or None,  # without a reported death, the record decides
    )


def reopens(history: Sequence[RecordedEvent], cause: str, happened: datetime | None = None) -> bool:
    """Return whether a discharge continues an existing case: a prepared, withdrawn or retracted one.

    The same discharge does so once. `happened` is when the patient left; None: it is not known.
    """
    if opened_by(history, cause) or _is_withdrawn_again(history, happened):
        return False
    case = fold(history)
    return case.preparation is not None or (case.ended if case.erasing else case.state) in ("withdrawn", "retracted")


def _is_withdrawn_again(history: Sequence[RecordedEvent], happened: datetime | None) -> bool:
    """Return whether it is the discharge that an operator has withdrawn, reported by another route.

    It happened before it was reported first; the next discharge of the stay happens afterwards.
    """
    ends = [item.body for item in history if isinstance(item.body, Withdrawn)]
    if happened is None or not ends or ends[-1].by is None or fold(history).state != "withdrawn":
        return False
    times = [
        max(item.time, item.body.occurred_at or item.time) for item in history if isinstance(item.body, Discharged)
    ]
    return bool(times) and happened <= max(times)


def opened_by(history: Sequence[RecordedEvent], cause: str) -> bool:
    """Return whether the case was opened by this report."""
    return any(event.id == derived_id(cause, DISCHARGED) for event in history)


def opens_after(discharge: DischargeReport, cancellation: DischargeReport) -> bool:
    """Return whether a discharge that was stored after a cancellation is also the later of the two.

    Each route keeps its own reports in order; two routes are compared by the times of the hospital. If either report
    has no time, the one stored last wins.
    """
    happened, cancelled = _times(discharge, cancellation)
    return happened is None or cancelled is None or happened >= cancelled


def is_later_than(discharge: DischargeReport, cancellation: DischargeReport) -> bool:
    """Return whether a discharge that was stored before a cancellation is nevertheless the later one."""
    happened, cancelled = _times(discharge, cancellation)
    if discharge.route == cancellation.route == "other":
        happened, cancelled = discharge.fact.occurred_at, cancellation.fact.occurred_at
    return happened is not None and cancelled is not None and happened > cancelled


def _times(discharge: DischargeReport, cancellation: DischargeReport) -> tuple[datetime | None, datetime | None]:
    """Return the times by which the two are compared; None for routes that are not compared by time."""
    one, other = discharge.fact, cancellation.fact
    cancelled = other.occurred_at or other.recorded_at
    match discharge.route, cancellation.route:
        case "fhir", "fhir":
            return one.recorded_at, other.recorded_at
        case "adt", "fhir":  # a discharge may be repeated with its first time
            return one.recorded_at or one.occurred_at, cancelled
        case ("fhir", _) | (_, "fhir") | ("other", "adt"):
            return one.occurred_at, cancelled
        case _:
            return None, None


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
