"""Decide what an Encounter means for its discharge. Pure.

R4 and R5: https://hl7.org/fhir/R4/encounter.html, https://hl7.org/fhir/R5/encounter.html
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from services.ingest.domain import DischargeReport
from services.ingest.hl7.visits import INPATIENT_CLASSES
from shared.clinical import elements, fhir_datetime
from shared.clinical.elements import Resource

Decision = Literal["discharged", "cancelled"]

ENDED = ("finished", "discharged", "completed")  # R4; R5
GOES_ON = ("arrived", "triaged", "in-progress", "onleave", "on-hold")
VOID = ("cancelled", "entered-in-error", "discontinued")
STATUSES = (*ENDED, *GOES_ON, *VOID)  # the others say nothing about a discharge: planned, unknown
# An Encounter that is still in progress shortly after its discharge was reported may just lag behind that report.
LAG = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class EncounterState:
    """What an Encounter says. `ended_at` is None where it has no end or only the day of it."""

    status: str
    inpatient: bool
    has_end: bool
    ended_at: datetime | None
    updated_at: datetime | None  # meta.lastUpdated, in the EHR's time

    @property
    def discharged(self) -> bool:
        """Return whether it says that an inpatient was discharged."""
        return self.status in ENDED and self.inpatient and self.has_end


def state_of(encounter: Resource) -> EncounterState:
    """Return what an Encounter of R4 or R5 says."""
    period = elements.child(encounter, "period") or elements.child(encounter, "actualPeriod")
    end = fhir_datetime.parse(period.get("end"))
    instant = isinstance(period.get("end"), str) and "T" in period["end"]
    return EncounterState(
        status=elements.string(encounter, "status") or "",
        inpatient=not elements.codes(encounter.get("class")).isdisjoint(INPATIENT_CLASSES),
        has_end=end is not None,
        ended_at=end.begins if end is not None and instant else None,
        updated_at=last_updated(encounter),
    )


def last_updated(resource: Resource) -> datetime | None:
    """Return `meta.lastUpdated`; None where it is missing or not an instant."""
    value = elements.child(resource, "meta").get("lastUpdated")
    found = fhir_datetime.parse(value)
    return found.begins if found is not None and isinstance(value, str) and "T" in value else None


def decide(
    state: EncounterState, *, reported: DischargeReport | None, is_open: bool, since: datetime | None
) -> Decision | None:
    """Return what to report; None: nothing.

    `reported` is the last report of its discharge, None where a cancellation followed. `is_open`: whether somebody
    works on its case. Discharges before `since` are not reported.
    """
    if state.discharged:
        return None if since is not None and _is_before(state, since) else "discharged"
    if state.status in VOID:
        return "cancelled" if is_open or reported is not None else None
    if state.status in GOES_ON and (is_open or reported is not None):
        return "cancelled" if _is_taken_back(state, reported) else None
    return None


def _is_before(state: EncounterState, since: datetime) -> bool:
    return state.ended_at is not None and state.ended_at < since


def _is_taken_back(state: EncounterState, reported: DischargeReport | None) -> bool:
    """Return whether an Encounter in progress takes back the discharge, rather than being older than it."""
    if reported is None or state.updated_at is None:
        return True
    fact = reported.fact
    known = fact.occurred_at if reported.route == "other" else fact.recorded_at or fact.occurred_at
    if known is None:
        return True
    return state.updated_at > (known + LAG if fact.finished is False else known)


def department_of(encounter: Resource, departments: dict[str, str]) -> str | None:
    """Return the department of a table by codes of the service type, ids of the provider or of locations."""
    return next((departments[key] for key in _places(encounter) if key in departments), None)


def _places(encounter: Resource) -> Iterable[str]:
    service = encounter.get("serviceType")  # R5: a list of CodeableReference
    for item in elements.items(service):
        yield from elements.codes(item) or elements.codes(item.get("concept"))
        yield elements.string(item, "text") or ""
    yield _id_in(elements.child(encounter, "serviceProvider"))
    for item in reversed(elements.children(encounter, "location")):
        yield _id_in(elements.child(item, "location"))


def _id_in(reference: Resource) -> str:
    return (elements.string(reference, "reference") or "").rpartition("/")[2]
