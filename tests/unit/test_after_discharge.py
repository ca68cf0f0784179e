"""What is from after the discharge is not told, but what was ordered or taken for the stay is named as pending."""

from datetime import UTC, datetime
from typing import Any

import pytest

from services.drafter.record import build_context
from services.drafter.source_record import SourceRecord
from shared.contracts.context import EncounterContext
from tests.unit.test_record import ENC, encounter, observation, record
from tests.unit.test_untrusted_record import lines

AFTER = "2026-06-09T09:00:00Z"
OTHER = {"reference": "Encounter/other"}


def context(people: dict[str, Any] | None = None, **entries: list[dict[str, Any]]) -> EncounterContext:
    made = record(entries)
    made.people = people or {}
    return build_context(made)


def report(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "DiagnosticReport",
        "id": "r",
        "status": "final",
        "code": {"text": "Histology of the colon"},
        "issued": AFTER,
        "conclusion": "Adenocarcinoma",
    } | more


def request(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "ServiceRequest",
        "id": "s",
        "status": "completed",
        "intent": "order",
        "code": {"text": "Histology"},
        "encounter": ENC,
        "authoredOn": "2026-06-02",
    } | more


def specimen(collected: str) -> dict[str, Any]:
    return {"resourceType": "Specimen", "id": "p", "collection": {"collectedDateTime": collected}}


ON_REQUEST = {"basedOn": [{"reference": "ServiceRequest/s"}]}
OF_SPECIMEN = {"specimen": [{"reference": "Specimen/p"}]}
CONTAINED = {"contained": [specimen("2026-06-03T09:00:00Z")], "specimen": [{"reference": "#p"}]}


@pytest.mark.parametrize("time", [{}, {"effectiveDateTime": "2026-06-03"}, {"effectiveDateTime": AFTER}])
def test_a_report_that_nothing_ties_to_the_stay_is_left_out_when_it_was_issued_later(time: dict[str, str]) -> None:
    found = context(DiagnosticReport=[report(**time)])
    assert "Report: Histology of the colon, from after the discharge" in found.left_out
    assert "Adenocarcinoma" not in lines(found)
    assert not found.pending


def test_a_report_of_the_last_hours_is_told_only_if_it_names_the_stay() -> None:
    later = {"effectiveDateTime": "2026-06-03", "issued": "2026-06-04T12:00:00Z"}
    assert "Adenocarcinoma" not in lines(context(DiagnosticReport=[report(**later)]))
    assert "Adenocarcinoma" in lines(context(DiagnosticReport=[report(**later, encounter=ENC)]))
    assert "Adenocarcinoma" in lines(context(DiagnosticReport=[report(effectiveDateTime="2026-06-03", issued=None)]))


@pytest.mark.parametrize("tie", [ON_REQUEST, OF_SPECIMEN, CONTAINED])
@pytest.mark.parametrize("time", [{}, {"effectiveDateTime": "2026-06-03"}])
def test_a_report_on_a_request_or_a_specimen_of_the_stay_was_pending(tie: dict[str, Any], time: dict[str, str]) -> None:
    taken = {"Specimen/p": specimen("2026-06-03T09:00:00Z")}
    found = context(taken, DiagnosticReport=[report(**tie, **time)], ServiceRequest=[request()])
    assert [item.text for item in found.pending] == [
        "Histology of the colon (reported 2026-06-09, after the discharge)"
    ]
    assert "Adenocarcinoma" not in lines(found)


@pytest.mark.parametrize(
    ("entry", "order", "taken"),
    [
        (report(**ON_REQUEST), request(encounter=OTHER), ""),
        (report(**ON_REQUEST), request(occurrenceDateTime="2026-07-01"), ""),
        (report(**ON_REQUEST), request(encounter={}, authoredOn="2026-06-08"), ""),
        (report(**ON_REQUEST, encounter=OTHER), request(), ""),
        (report(**OF_SPECIMEN), request(), "2026-06-08T09:00:00Z"),
        (report(**OF_SPECIMEN), request(), "2026-05-01"),
    ],
)
def test_a_tie_to_another_time_is_none(entry: dict[str, Any], order: dict[str, Any], taken: str) -> None:
    found = context({"Specimen/p": specimen(taken)}, DiagnosticReport=[entry], ServiceRequest=[order])
    assert "Histology of the colon" not in " ".join(item.text for item in found.pending)
    assert any(line.startswith("Report: Histology of the colon") for line in found.left_out)


def test_a_result_without_an_encounter_that_was_issued_later_is_pending() -> None:
    late = observation("o", "2026-06-04T09:00:00Z", 7.7, encounter=None, issued="2026-06-04T11:00:00Z")
    found = context(Observation=[late])
    assert "7.7" not in lines(found)
    assert [item.text for item in found.pending] == ["Potassium (resulted 2026-06-04, after the discharge)"]


def diagnosis(**more: Any) -> dict[str, Any]:
    active = {"coding": [{"code": "active"}]}
    return {"resourceType": "Condition", "id": "c", "code": {"text": "Sarcoidosis"}, "clinicalStatus": active} | more


@pytest.mark.parametrize("named", [{}, {"encounter": OTHER}])
@pytest.mark.parametrize(
    "begun", [{}, {"onsetDateTime": "2026-06-02"}, {"onsetDateTime": "2019"}, {"onsetString": "x"}]
)
def test_a_diagnosis_recorded_after_the_discharge_is_left_out(named: dict[str, Any], begun: dict[str, Any]) -> None:
    found = context(Condition=[diagnosis(recordedDate="2026-06-20", **named, **begun)])
    assert not found.diagnoses
    assert found.left_out == ("Diagnosis: Sarcoidosis, recorded after the discharge",)


@pytest.mark.parametrize(
    "entry",
    [diagnosis(recordedDate="2026-06-20", encounter=ENC), diagnosis(recordedDate="2026-06-04"), diagnosis()],
)
def test_a_diagnosis_of_the_stay_or_recorded_by_its_last_day_is_told(entry: dict[str, Any]) -> None:
    assert [item.text for item in context(Condition=[entry]).diagnoses] == ["Sarcoidosis"]


@pytest.mark.parametrize("status", ["in-progress", "onleave", "arrived"])
@pytest.mark.parametrize("planned", ["2026-06-08T10:00:00Z", "2026-06-05", "2027"])
def test_a_planned_end_is_not_the_discharge(status: str, planned: str) -> None:
    made = encounter(status=status, period={"start": "2026-06-01T08:00:00Z", "end": planned})
    left = datetime(2026, 6, 3, 9, tzinfo=UTC)
    later = observation("o", "2026-06-03T12:00:00Z", 7.7, encounter=None)
    found = build_context(
        SourceRecord(made, {"resourceType": "Patient", "id": "p1"}, {}, {"Observation": [later]}, left)
    )
    assert found.end == left
    assert "7.7" not in lines(found)


def test_the_end_of_a_finished_stay_is_the_discharge() -> None:
    left = datetime(2026, 6, 3, 9, tzinfo=UTC)
    found = build_context(SourceRecord(encounter(), {"resourceType": "Patient", "id": "p1"}, {}, {}, left))
    assert found.end == datetime(2026, 6, 4, 10, tzinfo=UTC)
