"""Adverse events and warnings reach the physician; questionnaires are named, as their answers are not read."""

from typing import Any

import pytest

from services.drafter import searches
from services.drafter.record import build_context
from shared.clinical.capabilities import Capabilities
from shared.contracts.context import EncounterContext
from tests.unit.test_record import ENC, record
from tests.unit.test_untrusted_record import lines


def drafted(**entries: list[dict[str, Any]]) -> EncounterContext:
    return build_context(record(entries))


def event(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "AdverseEvent",
        "id": "a",
        "actuality": "actual",
        "subject": {"reference": "Patient/p1"},
        "encounter": ENC,
        "event": {"text": "Anaphylaxis"},
        "date": "2026-06-02T10:00:00Z",
        "seriousness": {"coding": [{"code": "serious", "display": "Serious"}]},
        "outcome": {"text": "Resolved"},
        "suspectEntity": [{"instance": {"reference": "MedicationRequest/m"}}],
    } | more


ORDER = {"resourceType": "MedicationRequest", "id": "m", "medicationCodeableConcept": {"text": "Amoxicillin"}}
TOLD = "Adverse event: Anaphylaxis (serious; outcome: resolved; suspected: Amoxicillin)"


def test_an_adverse_event_of_the_stay_is_told_and_asked_about() -> None:
    for entry in (event(), event(encounter=None)):
        found = drafted(AdverseEvent=[entry], MedicationRequest=[ORDER])
        assert TOLD in lines(found)
        assert any(point.text.startswith(TOLD) for point in found.open_points)


@pytest.mark.parametrize(
    ("name", "more", "asked"),
    [
        ("Fall from bed", {"suspectEntity": []}, False),
        ("Pressure ulcer stage 2", {"suspectEntity": []}, False),
        ("Fall from bed", {}, True),
        ("Rash", {"suspectEntity": []}, True),
    ],
)
def test_an_allergy_is_asked_about_only_where_there_may_be_one(name: str, more: dict[str, Any], asked: bool) -> None:
    found = drafted(AdverseEvent=[event(event={"text": name}, **more)], MedicationRequest=[ORDER])
    points = [point.text for point in found.open_points if point.text.startswith(f"Adverse event: {name}")]
    assert [("allergy" in text) for text in points] == [asked]


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (event(actuality="potential"), "which did not happen to the patient"),
        (event(date="2026-06-09", encounter=None), "from after the discharge"),
        (event(date="2026-06-02", encounter={"reference": "Encounter/other"}), "of another encounter"),
        (event(date=None, encounter=None), "without a date"),
    ],
)
def test_an_adverse_event_of_another_time_or_that_did_not_happen_is_left_out(
    entry: dict[str, Any], reason: str
) -> None:
    found = drafted(AdverseEvent=[entry])
    assert not found.diagnoses
    assert found.left_out == (f"Adverse event: Anaphylaxis, {reason}",)


def issue(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "DetectedIssue",
        "id": "d",
        "status": "final",
        "severity": "high",
        "code": {"text": "Drug interaction"},
        "identifiedDateTime": "2026-06-03T08:00:00Z",
        "implicated": [{"reference": "MedicationRequest/m"}, {"display": "Methotrexate"}],
        "detail": "Raised methotrexate levels",
    } | more


@pytest.mark.parametrize(
    ("entry", "severity"),
    [
        (issue(), "high"),
        (issue(severity="moderate"), "moderate"),
        (issue(identifiedDateTime=None), "high"),
        (issue(severity=None), "severity not recorded"),
    ],
)
def test_a_warning_is_asked_about(entry: dict[str, Any], severity: str) -> None:
    points = [point.text for point in drafted(DetectedIssue=[entry], MedicationRequest=[ORDER]).open_points]
    names = "Drug interaction: Amoxicillin, Methotrexate; Raised methotrexate levels"
    assert f"The chart warns ({severity}): {names}" in points


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (issue(severity="low"), "of severity low"),
        (issue(status="cancelled"), "cancelled"),
        (issue(status="entered-in-error"), "entered in error"),
        (issue(identifiedDateTime="2026-06-09"), "from after the discharge"),
        (issue(identifiedDateTime="2019"), "from before this stay"),
    ],
)
def test_any_other_warning_is_left_out_and_named(entry: dict[str, Any], reason: str) -> None:
    found = drafted(DetectedIssue=[entry])
    assert found.left_out == (f"Warning: Drug interaction: Methotrexate, {reason}",)
    assert not any("warns" in point.text for point in found.open_points)


def answers(id: str, **more: Any) -> dict[str, Any]:
    made = {"resourceType": "QuestionnaireResponse", "id": id, "status": "completed", "authored": "2026-06-02"}
    return made | more


def test_questionnaires_of_the_stay_are_named() -> None:
    shown = {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/display", "valueString": "Fall risk"}]}
    found = drafted(
        QuestionnaireResponse=[
            answers("1", questionnaire="http://ehr.example/Questionnaire/phq-9|2.0", encounter=ENC),
            answers("2", questionnaire="http://ehr.example/Questionnaire/77", _questionnaire=shown),
            answers("3", contained=[{"resourceType": "Questionnaire", "id": "q", "title": "Nutrition"}]),
            answers("4", questionnaire="http://ehr.example/Questionnaire/later", authored="2026-07-01"),
            answers("5", status="entered-in-error", questionnaire="http://ehr.example/Questionnaire/wrong"),
        ]
    )
    named = "Fall risk of 2026-06-02; Nutrition of 2026-06-02; phq-9 of 2026-06-02"
    assert f"Questionnaires: {named}, whose answers are not read" in found.left_out
    assert not any("later" in line for line in found.left_out)


@pytest.mark.parametrize("type", ["AdverseEvent", "DetectedIssue", "QuestionnaireResponse"])
def test_they_are_asked_for_only_where_the_server_has_them(type: str) -> None:
    assert not searches.can_ask(Capabilities({}), type)
    assert not searches.can_ask(Capabilities({"Condition": frozenset({"patient"})}), type)
    assert searches.can_ask(Capabilities({type: frozenset({"subject"})}), type)


@pytest.mark.parametrize("junk", [None, 1, "x", [], ["x"], {"text": 1}, [{"coding": "x"}]])
def test_no_odd_value_stops_a_draft(junk: Any) -> None:
    for made in (event(), issue(), answers("1")):
        for name in [*made.keys() - {"resourceType", "id"}, "_questionnaire", "contained", "mitigation"]:
            assert drafted(**{made["resourceType"]: [made | {name: junk}]})
