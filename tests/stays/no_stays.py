"""Encounters that are no finished stays: nothing may be drafted of them, whatever the server holds."""

from typing import Any

from tests.stays.build import Chart
from tests.stays.elements import dosage
from tests.stays.model import Stay


def _visit(name: str, about: str, **changes: Any) -> Stay:
    """A record that has enough to tempt a drafter, of an Encounter with these elements."""
    chart = Chart(name, "no stays", about, start="2026-05-05T09:00:00Z", end="2026-05-05T09:40:00Z", disposition=None)
    chart.condition("Essential hypertension")
    chart.lab("Potassium", 5.9, "mmol/L", low=3.5, high=5.1, flag="H")
    chart.medicine("lisinopril 10 mg tablet", dosage(dose=(10, "mg"), frequency=1))
    chart.encounter.update({element.rstrip("_"): value for element, value in changes.items()})
    return chart.stay(expect="no-draft")


def _act(code: str) -> dict[str, str]:
    return {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": code}


def ambulatory() -> Stay:
    return _visit("no-ambulatory", "a visit to the clinic", class_=_act("AMB"))


def virtual() -> Stay:
    return _visit("no-virtual", "a visit by video", class_=_act("VR"))


def home_health() -> Stay:
    return _visit("no-home-health", "a nurse's visit at home", class_=_act("HH"))


def in_error() -> Stay:
    return _visit("no-error", "an inpatient Encounter entered in error", status="entered-in-error")


def planned() -> Stay:
    return _visit("no-planned", "an admission that is only planned", status="planned", period=None)


def still_here() -> Stay:
    return _visit(
        "no-end", "a patient who is still here", status="in-progress", period={"start": "2026-05-05T09:00:00Z"}
    )


def cancelled() -> Stay:
    return _visit("no-cancelled", "an admission that was cancelled", status="cancelled")


STAYS = (ambulatory, virtual, home_health, in_error, planned, still_here, cancelled)
