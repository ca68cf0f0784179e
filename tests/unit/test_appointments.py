"""What an Appointment says about a discharge, and what the doctor says about such Appointments."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from cli.doctor.appointments import check_appointments
from sandbox_ehr.quirks import Quirks
from services.ingest.appointments import rules
from services.ingest.appointments.rules import AppointmentPlan
from services.ingest.notifications import parse_notification
from services.ingest.settings import AppointmentSettings
from shared.clinical.fhir_client import Capabilities
from shared.contracts.ehr import AppointmentChanged
from shared.runtime.checks.findings import Group
from tests.support.ehr import client, sandbox

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
SOON, DAYS = NOW + timedelta(hours=20), timedelta(days=2)
TYPES = frozenset({"DISCH", "urn:site|77"})
CONCEPT = {"coding": [{"system": "urn:local", "code": "DISCH"}]}
OLD, LATER = NOW - timedelta(days=3), NOW + timedelta(days=9)


def appointment(status: str = "booked", start: datetime | None = SOON, **more: Any) -> dict[str, Any]:
    begins = {"start": start.isoformat()} if start is not None else {}
    return {"resourceType": "Appointment", "id": "a1", "status": status, "serviceType": [CONCEPT]} | begins | more


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (appointment(), AppointmentPlan("planned", SOON)),
        (appointment("arrived"), AppointmentPlan("planned", SOON)),
        (appointment("cancelled"), AppointmentPlan("unplanned", SOON)),
        (appointment("cancelled", None), AppointmentPlan("unplanned", None)),
        (appointment("entered-in-error"), AppointmentPlan("unplanned", SOON)),
        (appointment("waitlist"), AppointmentPlan("unplanned", SOON)),
        (appointment("fulfilled"), None),
        (appointment(start=None), None),
        (appointment(start=OLD), None),
        (appointment(start=LATER), AppointmentPlan("unplanned", LATER)),
        (appointment(serviceType=[]), None),
        (appointment(serviceType=[{"coding": [{"system": "urn:other", "code": "77"}]}]), None),
        (appointment(serviceType=[], appointmentType={"coding": [{"system": "urn:site", "code": "77"}]}), "planned"),
        (appointment(serviceType=[{"concept": CONCEPT}]), "planned"),
    ],
)
def test_what_an_appointment_plans(found: dict[str, Any], expected: AppointmentPlan | str | None) -> None:
    plan = rules.plan_of(found, TYPES, NOW, DAYS)
    assert (plan.status if plan is not None and isinstance(expected, str) else plan) == expected


def test_without_a_poll_a_discharge_is_planned_however_far_ahead_it_is() -> None:
    assert rules.plan_of(appointment(start=LATER), TYPES, NOW, None) == AppointmentPlan("planned", LATER)


def test_no_type_is_taken_for_a_discharge_by_default() -> None:
    assert rules.plan_of(appointment(), AppointmentSettings().types, NOW, DAYS) is None
    for code in ("", "a,b", "urn:x|a|b", "a b", "|"):
        with pytest.raises(ValidationError):
            AppointmentSettings(types=frozenset({code}))


def test_an_appointment_of_another_patient_is_noticed() -> None:
    encounter = {"subject": {"reference": "https://ehr.test/fhir/Patient/p1"}}
    bases = frozenset({"ehr.test/fhir"})

    def of(*actors: str) -> dict[str, Any]:
        return appointment(participant=[{"actor": {"reference": item}} for item in actors])

    assert not rules.is_other_patient(of("Practitioner/d1", "Patient/p1"), encounter, bases)
    assert not rules.is_other_patient(of("Practitioner/d1"), encounter, bases)
    assert rules.is_other_patient(of("Patient/p2"), encounter, bases)


def test_encounters_are_named_by_reference() -> None:
    named = (
        "Encounter/e1",
        "DocumentReference/d1",
        "https://ehr.test/fhir/Encounter/e2",
        "https://x/fhir/Encounter/e3",
    )
    found = appointment(supportingInformation=[{"reference": item} for item in (*named, "Encounter/e1")])
    assert rules.encounters_of(found, {"ehr.test/fhir"}) == ["e1", "e2"]


def test_a_server_is_searched_by_the_parameters_that_it_states() -> None:
    assert rules.search_parameters(Capabilities({})) == ["service-type", "appointment-type"]
    some = Capabilities({"Appointment": frozenset({"date", "appointment-type"})})
    assert rules.search_parameters(some) == ["appointment-type"]
    assert rules.search_parameters(Capabilities({"Appointment": frozenset({"service-type"})})) == ()


def test_a_notification_names_appointments() -> None:
    changed = parse_notification(appointment(meta={"versionId": "3"}))
    assert changed.changes == (AppointmentChanged(appointment_id="a1", version="3"),)
    deleted = {"request": {"method": "DELETE", "url": "Appointment/a1"}}
    gone = parse_notification({"resourceType": "Bundle", "type": "history", "entry": [deleted]})
    assert gone.changes == (AppointmentChanged(appointment_id="a1", deleted=True),)


async def checked(quirks: Quirks | None = None, *found: dict[str, Any], types: frozenset[str] = TYPES) -> list[str]:
    ehr, group = sandbox(quirks=quirks), Group("x")
    for item in found:
        ehr.store.put(item)
    asked = client(ehr)
    await check_appointments(group, asked, await asked.capabilities(), AppointmentSettings(types=types), NOW)
    return [f"{item.level}: {item.says}" for item in group.found]


async def test_the_doctor_searches_as_the_poll_does() -> None:
    two_days = "2 days, 0:00:00"
    assert await checked(None, appointment(), appointment("cancelled", id="a2"), appointment(start=LATER, id="a3")) == [
        f"ok: 1 discharges are planned within {two_days}"
    ]
    assert await checked() == [f"warning: of 0 Appointments that were found none plans a discharge within {two_days}"]
    (line,) = await checked(Quirks(refused_searches={"Appointment": 403}))
    assert line.startswith("fault: the EHR cannot be searched for Appointments: ")
    assert await checked(types=frozenset()) == []
