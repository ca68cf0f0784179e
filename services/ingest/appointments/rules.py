"""Decide what an Appointment says about a discharge. Pure.

R4 and R5: https://hl7.org/fhir/R4/appointment.html, https://hl7.org/fhir/R5/appointment.html
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from shared.clinical import elements, fhir_datetime, references
from shared.clinical.elements import Resource
from shared.clinical.fhir_client import Capabilities
from shared.contracts.timestamps import format_timestamp

BOOKED = ("booked", "arrived", "checked-in")
# Cancelled, or not booked yet or any more. `fulfilled` says nothing: a discharge is reported by itself.
UNPLANNED = ("cancelled", "noshow", "entered-in-error", "proposed", "pending", "waitlist")
CATEGORIES = {"service-type": "serviceType", "appointment-type": "appointmentType"}  # search parameter → element
OVERDUE = timedelta(days=1)  # after its time an Appointment plans nothing


@dataclass(frozen=True, slots=True)
class AppointmentPlan:
    """A discharge that an Appointment plans for the near future, or no longer plans."""

    status: Literal["planned", "unplanned"]
    at: datetime | None  # its begin; None where it has none, as a cancelled one may


def plan_of(
    appointment: Resource, types: Collection[str], now: datetime, within: timedelta | None
) -> AppointmentPlan | None:
    """Return what an Appointment plans; None where it is of none of `types`, or plans nothing now.

    A discharge more than `within` ahead counts as not planned, unless that is None.
    """
    if not is_discharge(appointment, types):
        return None
    status, start = elements.string(appointment, "status"), fhir_datetime.parse(appointment.get("start"))
    begins = start.begins if start is not None else None
    if status in UNPLANNED:
        return AppointmentPlan("unplanned", begins)
    if status not in BOOKED or begins is None or begins < now - OVERDUE:
        return None
    near = within is None or begins <= now + within
    return AppointmentPlan("planned" if near else "unplanned", begins)


def is_discharge(appointment: Resource, types: Collection[str]) -> bool:
    """Return whether the service or appointment type is one of `types`: `code`, or `system|code`."""
    concepts = [item for name in CATEGORIES.values() for item in elements.items(appointment.get(name))]
    pairs = elements.coding_pairs([item.get("concept") or item for item in concepts])  # R5: a CodeableReference
    return any(code in types or f"{system}|{code}" in types for system, code in pairs)


def encounters_of(appointment: Resource, bases: Collection[str]) -> list[str]:
    """Return the ids of the Encounters that an Appointment names in `supportingInformation`."""
    named = [references.parse(item, bases) for item in elements.items(appointment.get("supportingInformation"))]
    return list(dict.fromkeys(item.id for item in named if item is not None and item.type == "Encounter"))


def is_other_patient(appointment: Resource, encounter: Resource, bases: Collection[str]) -> bool:
    """Return whether an Appointment and an Encounter name different patients."""
    actors = [references.parse(item.get("actor"), bases) for item in elements.children(appointment, "participant")]
    patients = {str(item) for item in actors if item is not None and item.type == "Patient"}
    patient = references.parse(encounter.get("subject"), bases)
    return bool(patients) and patient is not None and str(patient) not in patients


def search_parameters(server: Capabilities) -> Sequence[str]:
    """Return by which parameters the server finds Appointments of a type and a date; none: it cannot be polled."""
    if server.search and not server.supports_parameter("Appointment", "date"):
        return ()
    return [name for name in CATEGORIES if not server.search or server.supports_parameter("Appointment", name)]


def query(parameter: str, types: Collection[str], now: datetime, within: timedelta) -> list[tuple[str, str]]:
    """Return the search for Appointments of these types that are near, by one of `search_parameters`."""
    return [
        (parameter, ",".join(sorted(types))),
        ("date", f"ge{format_timestamp(now - OVERDUE)}"),
        ("date", f"le{format_timestamp(now + within)}"),
    ]
