"""From FHIR resources to the context of a stay: what is kept, what is left out and named, who died."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.drafter.record import build_context
from services.drafter.record.quantities import format_quantity
from services.drafter.source_record import SourceRecord
from shared.clinical import elements, fhir_datetime, references
from shared.contracts.errors import PermanentError

ENC = {"reference": "Encounter/e1"}
START, END = "2026-06-01T08:00:00Z", "2026-06-04T10:00:00Z"
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def encounter(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "id": "e1",
        "status": "finished",
        "subject": {"reference": "Patient/p1"},
        "period": {"start": START, "end": END},
    } | more


def record(entries: dict[str, list[dict[str, Any]]] | None = None, **more: Any) -> SourceRecord:
    patient = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Doe", "given": ["Ann"]}], "gender": "female"}
    return SourceRecord(encounter(**more), patient | more.pop("patient", {}), {}, entries or {})


def observation(id: str, time: str, value: float, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": id,
        "status": "final",
        "encounter": ENC,
        "category": [{"coding": [{"code": "laboratory"}]}],
        "code": {"coding": [{"code": "2823-3", "display": "Potassium"}]},
        "effectiveDateTime": time,
        "valueQuantity": {"value": value, "unit": "mmol/L"},
        "referenceRange": [{"low": {"value": 3.5, "unit": "mmol/L"}, "high": {"value": 5.1, "unit": "mmol/L"}}],
    } | more


def procedure(id: str, time: str | None = "2026-06-02", **more: Any) -> dict[str, Any]:
    found = {"resourceType": "Procedure", "id": id, "status": "completed", "encounter": ENC, "code": {"text": "Biopsy"}}
    return (found | {"performedDateTime": time} if time else found) | more


def test_a_series_keeps_first_last_and_the_most_abnormal_value() -> None:
    values = [
        ("o1", "2026-06-01", 4.0),
        ("o2", "2026-06-02", 6.8),
        ("o3", "2026-06-03", 5.4),
        ("o4", "2026-06-04", 4.4),
    ]
    found = build_context(record({"Observation": [observation(*item) for item in reversed(values)]}))
    (series,) = found.labs
    assert (series.first.value, series.last.value, series.count) == ("4.0 mmol/L", "4.4 mmol/L", 4)
    assert series.worst is not None
    assert (series.worst.value, series.worst.flag, series.range) == ("6.8 mmol/L", "high", "3.5-5.1 mmol/L")


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (procedure("x", code={"coding": [{"code": ""}]}), "Procedure: without a name, which nothing names"),
        (procedure("x", status="entered-in-error"), "Procedure: Biopsy, entered in error"),
        (procedure("x", status="not-done"), "Procedure: Biopsy, not done"),
        (procedure("x", encounter={"reference": "Encounter/other"}), "Procedure: Biopsy, of another encounter"),
        (procedure("x", "2026-06-05"), "Procedure: Biopsy, from after the discharge"),
        (procedure("x", None, encounter={}), "Procedure: Biopsy, without a date"),
    ],
)
def test_what_cannot_be_used_is_left_out_and_named(entry: dict[str, Any], reason: str) -> None:
    found = build_context(record({"Procedure": [procedure("ok"), entry]}))
    assert [item.source for item in found.procedures] == ["Procedure/ok"]
    assert found.left_out == (reason,)


def test_many_entries_of_one_kind_are_counted() -> None:
    others = [procedure(f"x{index}", encounter={"reference": f"Encounter/{index}"}) for index in range(9)]
    assert build_context(record({"Procedure": others})).left_out == ("Procedure: 9 entries, of another encounter",)


def test_a_result_issued_after_the_discharge_was_pending_then() -> None:
    late = observation("o1", "2026-06-03", 4.0, issued="2026-06-09T00:00:00Z")
    found = build_context(record({"Observation": [late]}))
    assert found.labs == ()
    assert [item.text for item in found.pending] == ["Potassium (resulted 2026-06-09, after the discharge)"]


def test_a_stay_that_has_not_ended_is_refused_unless_the_event_says_when_it_did() -> None:
    open_stay = record(status="in-progress", period={"start": START})
    with pytest.raises(PermanentError, match="not finished"):
        build_context(open_stay)
    open_stay.occurred_at = datetime(2026, 6, 4, 10, tzinfo=UTC)
    assert build_context(open_stay).end == open_stay.occurred_at


@pytest.mark.parametrize(
    ("more", "kind"),
    [
        ({}, "discharge-summary"),
        ({"hospitalization": {"dischargeDisposition": {"coding": [{"code": "exp"}]}}}, "death-summary"),
        ({"patient": {"deceasedDateTime": "2026-06-04T09:00:00Z"}}, "death-summary"),
        ({"patient": {"deceasedDateTime": "2026-08-04T09:00:00Z"}}, "discharge-summary"),
    ],
)
def test_a_patient_who_died_in_this_stay_gets_the_other_document(more: dict[str, Any], kind: str) -> None:
    assert build_context(record(**more)).kind == kind


def test_allergy_lists_say_none_known_and_leave_refuted_ones_out() -> None:
    entries = [
        {"resourceType": "AllergyIntolerance", "id": "a1", "code": {"text": "Penicillin"}},
        {
            "resourceType": "AllergyIntolerance",
            "id": "a2",
            "code": {"text": "Latex"},
            "verificationStatus": {"coding": [{"code": "refuted"}]},
        },
    ]
    found = build_context(record({"AllergyIntolerance": entries}))
    assert [item.text for item in found.allergies] == ["Penicillin"]


def order(id: str, name: str, category: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "id": id,
        "status": "active",
        "encounter": ENC,
        "category": [{"coding": [{"code": category}]}],
        "medicationCodeableConcept": {"text": name},
        "authoredOn": "2026-06-02",
        "dosageInstruction": [{"text": "5 mg PO daily"}],
    } | more


def test_medicines_are_told_apart_by_where_they_are_taken() -> None:
    entries = [
        order("m1", "Lisinopril", "community"),
        order("m2", "Cefazolin", "inpatient"),
        order("m3", "Cephalexin", "discharge"),
        order("m4", "Metoprolol", "discharge", status="stopped"),
    ]
    found = build_context(record({"MedicationRequest": entries}))
    lists = (found.home_medicines, found.hospital_medicines, found.discharge_medicines)
    assert [[item.name for item in items] for items in lists] == [["Lisinopril"], ["Cefazolin"], ["Cephalexin"]]


@given(st.dictionaries(st.sampled_from(["text", "coding", "value", "unit", "start", "reference"]), JUNK), JUNK)
def test_reading_never_raises_on_dirt(element: dict[str, Any], other: Any) -> None:
    for item in (element, other):
        elements.concept_or_code(item)
        elements.codes(item)
        elements.person_name({"name": item})
        references.parse(item)
        fhir_datetime.parse(item)
        format_quantity(item)


TYPES = (
    "Observation",
    "Procedure",
    "Condition",
    "MedicationRequest",
    "AllergyIntolerance",
    "DiagnosticReport",
    "CarePlan",
)
FIELDS = (
    "code", "status", "category", "effectiveDateTime", "performedDateTime", "valueQuantity", "referenceRange",
    "component", "interpretation", "medicationCodeableConcept", "dosageInstruction", "authoredOn", "reaction",
    "clinicalStatus", "conclusion", "activity", "encounter", "issued",
)  # fmt: skip


@given(st.lists(st.tuples(st.sampled_from(TYPES), st.dictionaries(st.sampled_from(FIELDS), JUNK)), max_size=5))
def test_no_dirt_in_the_entries_stops_a_summary(entries: list[tuple[str, dict[str, Any]]]) -> None:
    found: dict[str, list[dict[str, Any]]] = {}
    for index, (type, fields) in enumerate(entries):
        found.setdefault(type, []).append(fields | {"resourceType": type, "id": f"x{index}"})
    assert build_context(record(found)).patient.name == "Ann Doe"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026", ("2026-01-01", "2026-12-31", "2026")),
        ("2026-06", ("2026-06-01", "2026-06-30", "2026-06")),
        ("2026-06-04", ("2026-06-04", "2026-06-04", "2026-06-04")),
        ("2026-06-04T23:30:00-07:00", ("2026-06-04", "2026-06-04", "2026-06-04")),
        ("junk", None),
        ("", None),
    ],
)
def test_dates_keep_the_precision_they_were_written_in(text: str, expected: tuple[str, str, str] | None) -> None:
    found = fhir_datetime.parse(text)
    shown = found and (found.begins.date().isoformat(), found.ends.date().isoformat(), found.text)
    assert shown == expected


ENCOUNTER_FIELDS = ("participant", "serviceProvider", "hospitalization", "reasonCode", "diagnosis", "serviceType")
PATIENT_FIELDS = ("name", "identifier", "birthDate", "gender", "deceasedDateTime")


@given(
    st.dictionaries(st.sampled_from(ENCOUNTER_FIELDS), JUNK),
    st.dictionaries(st.sampled_from(PATIENT_FIELDS), JUNK),
)
def test_no_dirt_in_encounter_or_patient_stops_a_summary(stay: dict[str, Any], patient: dict[str, Any]) -> None:
    assert build_context(record(**stay, patient=patient)).encounter == "Encounter/e1"
