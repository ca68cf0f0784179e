"""Current state of a visit: the latest fact wins, by its own time and not by arrival. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.contracts.case import END_STATES, Case
from shared.contracts.visits import CANCELLED, DISCHARGED, PENDING, PENDING_CANCELLED, VisitReported

INPATIENT_CLASSES = ("IMP", "ACUTE", "NONAC")  # HL7 v3 ActCode: inpatient encounters


@dataclass(frozen=True, slots=True)
class StoredVisit:
    """A fact, and where it is stored on the EHR stream."""

    fact: VisitReported
    sequence: int


def is_current(fact: VisitReported, history: Sequence[StoredVisit]) -> bool:
    """Return whether `fact` is the current state of its visit.

    A pending discharge is current until a later fact arrives. A discharge stays current when a pending one is reported.
    """
    last = latest(history, pending=is_pending(fact))
    return last is not None and last.key == fact.key


def latest(history: Sequence[StoredVisit], *, pending: bool = False) -> VisitReported | None:
    """Return the latest discharge or cancellation of a visit, with `pending` of one that is to come too; None without.

    Facts of the same second follow each other as they were first stored; a resend counts as the first.
    """
    first: dict[str, StoredVisit] = {}
    counted = (DISCHARGED, *CANCELLED, *((PENDING, PENDING_CANCELLED) if pending else ()))
    for item in history:
        if item.fact.event in counted:
            first.setdefault(item.fact.key, item)
    found = max(first.values(), key=lambda item: (item.fact.recorded_at, item.sequence), default=None)
    return found.fact if found is not None else None


def is_pending(fact: VisitReported) -> bool:
    """Return whether a fact is about a discharge that is still to come."""
    return fact.event in (PENDING, PENDING_CANCELLED)


def was_discharged(history: Iterable[StoredVisit]) -> bool:
    """Return whether a discharge of the visit was ever reported."""
    return any(item.fact.event == DISCHARGED for item in history)


def was_pending(history: Iterable[StoredVisit]) -> bool:
    """Return whether a discharge of the visit was ever reported as pending."""
    return any(item.fact.event == PENDING for item in history)


def merged_away(fact: VisitReported, merge: VisitReported) -> bool:
    """Return whether the patient of a discharge is one that `merge` ended."""
    return fact.event == DISCHARGED and not set(fact.patients).isdisjoint(merge.priors)


def is_open(case: Case) -> bool:
    """Return whether somebody still works on the case."""
    return case.exists and case.state not in END_STATES


def is_inpatient(encounter: dict[str, Any]) -> bool:
    """Return whether an Encounter's class is that of an inpatient stay."""
    found = encounter.get("class")
    return isinstance(found, dict) and found.get("code") in INPATIENT_CLASSES


def discharged_at(fact: VisitReported, end: object) -> datetime | None:
    """Return when the discharge happened; None where the Encounter's own `end`, an instant, says it better."""
    if fact.occurred_at is not None:
        return fact.occurred_at
    known = isinstance(end, str) and "T" in end
    return None if known else fact.recorded_at
