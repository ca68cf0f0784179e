"""What a record says of allergies, medicines, results, plans and diagnoses is told, and nothing beyond it."""

from typing import Any

import pytest

from services.drafter.record import build_context
from shared.contracts.context import EncounterContext
from tests.unit.test_record import ENC, observation, order, record
from tests.unit.test_untrusted_record import lines


def context(**entries: list[dict[str, Any]]) -> EncounterContext:
    return build_context(record(entries))


def allergy(code: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"resourceType": "AllergyIntolerance", "id": "a", "code": code} | more


UNKNOWN = {"system": "http://terminology.hl7.org/CodeSystem/data-absent-reason", "code": "unknown"}


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (allergy({"text": "Penicillin", "coding": [UNKNOWN]}), "Penicillin"),
        (
            allergy({"text": "Unknown allergen"}, reaction=[{"manifestation": [{"text": "Anaphylaxis"}]}]),
            "Unknown allergen (Anaphylaxis)",
        ),
        (allergy({"text": "Unknown allergen"}, criticality="high"), "Unknown allergen (high criticality)"),
        (
            allergy({"text": "No known drug allergies except penicillin (rash)"}),
            "No known drug allergies except penicillin (rash)",
        ),
    ],
)
def test_an_allergy_is_told_whatever_it_is_called(entry: dict[str, Any], told: str) -> None:
    found = context(AllergyIntolerance=[entry])
    assert [item.text for item in found.allergies] == [told]
    assert not found.allergies_unknown


def test_a_closed_statement_of_no_allergies_says_so() -> None:
    entry = allergy({"text": "No known allergies"}, clinicalStatus={"coding": [{"code": "resolved"}]})
    (told,) = context(AllergyIntolerance=[entry]).allergies
    assert told.text == "No known allergies (recorded as no longer active: ask the patient)"


def test_nobody_asked_where_the_record_says_so() -> None:
    assert context(AllergyIntolerance=[allergy({"coding": [UNKNOWN]})]).allergies_unknown


def test_a_stop_without_a_date_is_not_called_one_of_before() -> None:
    stopped = order("m", "Ramipril 5 mg", "community", status="stopped", statusReason={"text": "Acute kidney injury"})
    stopped.pop("encounter", None)
    found = context(MedicationRequest=[stopped | {"authoredOn": "2019-01-01"}])
    reason = "Medication order: Ramipril 5 mg, stopped, the record does not say when: Acute kidney injury"
    assert reason in found.left_out
    assert any("Acute kidney injury" in point.text for point in found.open_points)


def test_a_statement_stopped_and_asserted_in_the_stay_is_one_of_the_stay() -> None:
    statement = {
        "resourceType": "MedicationStatement",
        "id": "s",
        "status": "stopped",
        "medicationCodeableConcept": {"text": "Naproxen"},
        "dateAsserted": "2026-06-03",
        "statusReason": [{"text": "do not restart"}],
    }
    assert "Stopped, do not take any more: Naproxen (do not restart)" in lines(context(MedicationStatement=[statement]))


def test_a_statement_that_ended_years_ago_is_not_taken_at_home() -> None:
    statement = {
        "resourceType": "MedicationStatement",
        "id": "s",
        "status": "active",
        "medicationCodeableConcept": {"text": "Amoxicillin"},
        "effectivePeriod": {"start": "2019-01-01", "end": "2019-01-08"},
    }
    found = context(MedicationStatement=[statement])
    assert not found.home_medicines
    assert "Medication statement: Amoxicillin, ended 2019-01-08, before this stay" in found.left_out


def test_why_a_ward_order_was_stopped_is_told() -> None:
    stopped = order("m", "Apixaban 5 mg", "inpatient", status="stopped", statusReason={"text": "GI bleed"})
    assert "stopped in the stay: GI bleed" in lines(context(MedicationRequest=[stopped]))


def test_both_extremes_of_a_value_that_crossed_both_limits_are_told() -> None:
    values = [(1, 7.4), (2, 2.2), (3, 6.0), (4, 4.2)]
    found = [observation(f"o{day}", f"2026-06-0{day}T08:30:00Z", value) for day, value in values]
    (told,) = (line for line in lines(context(Observation=found)).splitlines() if line.startswith("Potassium"))
    assert told.startswith("Potassium 7.4 mmol/L (high), then 2.2 mmol/L (low), then 4.2 mmol/L")


def test_an_old_vital_sign_has_its_day() -> None:
    vital = {"category": [{"coding": [{"code": "vital-signs"}]}], "code": {"coding": [{"code": "59408-5"}]}}
    first = observation("o", "2026-06-01T09:00:00Z", 81, **vital)
    assert " on 2026-06-01" in lines(context(Observation=[first]))
    last = observation("o", "2026-06-04T09:00:00Z", 81, **vital)
    assert "81 mmol/L on" not in lines(context(Observation=[last]))


def test_a_culture_that_resulted_after_the_discharge_was_pending() -> None:
    culture = observation("o", "2026-06-02", 1) | {
        "category": [{"coding": [{"code": "microbiology"}]}],
        "code": {"text": "Blood culture"},
        "valueQuantity": None,
        "valueString": "Staphylococcus aureus",
        "issued": "2026-06-07T08:00:00Z",
    }
    found = context(Observation=[culture])
    assert not found.microbiology
    assert [item.text for item in found.pending] == ["Blood culture (resulted 2026-06-07, after the discharge)"]


def test_the_conclusion_of_a_laboratory_report_is_told() -> None:
    report = {
        "resourceType": "DiagnosticReport",
        "id": "r",
        "status": "final",
        "encounter": ENC,
        "category": [{"coding": [{"code": "LAB"}]}],
        "code": {"text": "Blood smear"},
        "effectiveDateTime": "2026-06-02",
        "result": [{"reference": "Observation/o"}],
        "conclusion": "Consistent with acute promyelocytic leukemia",
    }
    told = lines(context(DiagnosticReport=[report], Observation=[observation("o", "2026-06-02", 4.0)]))
    assert "acute promyelocytic leukemia" in told


def test_what_is_not_to_be_done_is_told() -> None:
    scan = {
        "resourceType": "ServiceRequest",
        "id": "s",
        "status": "active",
        "intent": "order",
        "doNotPerform": True,
        "encounter": ENC,
        "authoredOn": "2026-06-03",
        "category": [{"text": "Imaging"}],
        "code": {"text": "MRI"},
    }
    plan = {
        "resourceType": "CarePlan",
        "id": "c",
        "status": "active",
        "intent": "plan",
        "encounter": ENC,
        "created": "2026-06-03",
        "activity": [{"detail": {"code": {"text": "Weight bearing on left leg"}, "doNotPerform": True}}],
    }
    told = lines(context(ServiceRequest=[scan], CarePlan=[plan]))
    assert "Not to be done: MRI" in told
    assert "Not to be done: Weight bearing on left leg" in told


def coded(letter: str = "", side: str = "") -> dict[str, Any]:
    extensions = [{"url": "http://fhir.de/icd-10-gm-diagnosesicherheit", "valueCoding": {"code": letter}}] * bool(
        letter
    )
    extensions += [{"url": "http://fhir.de/seitenlokalisation", "valueCoding": {"code": side}}] * bool(side)
    return {"coding": [{"code": "I26.9", "display": "Lungenembolie", "extension": extensions}]}


def test_a_german_state_after_and_side_are_told() -> None:
    after = {"resourceType": "Condition", "id": "c", "code": coded("Z")}
    right = {"resourceType": "Condition", "id": "d", "code": coded("G", "R")}
    told = lines(context(Condition=[after, right]))
    assert "State after: Lungenembolie" in told
    assert "Lungenembolie (right)" in told


def test_a_record_number_in_force_for_long_is_in_force() -> None:
    def number(end: str) -> str | None:
        identifier = {"type": {"coding": [{"code": "MR"}]}, "value": "77", "period": {"end": end}}
        return build_context(record(patient={"identifier": [identifier]})).patient.mrn

    assert number("2099-12-31") == "77"
    assert number("2019-12-31") is None


@pytest.mark.parametrize(
    ("status", "more", "told"),
    [
        ({"coding": [{"code": "remission"}]}, {}, "Leukaemia (in remission)"),
        ({"coding": [{"code": "remission"}]}, {"abatementDateTime": "2024"}, "Leukaemia (in remission since 2024)"),
        ({"coding": [{"code": "inactive"}, {"code": "remission"}]}, {}, "Leukaemia (in remission)"),
        ({"text": "In remission"}, {}, "Leukaemia (in remission)"),
        ({"coding": [{"code": "relapse"}]}, {}, "Leukaemia (relapse)"),
        ({"coding": [{"code": "active"}]}, {}, "Leukaemia"),
        ({"coding": [{"code": "inactive"}]}, {"encounter": ENC}, "Leukaemia (inactive)"),
        ({"coding": [{"code": "resolved"}]}, {"encounter": ENC}, "Leukaemia (resolved)"),
        ({"coding": [{"code": "resolved"}]}, {"abatementDateTime": "2026-06-03"}, "Leukaemia (resolved 2026-06-03)"),
        ({"coding": [{"code": "resolved"}]}, {"abatementDateTime": "2026-07-01"}, "Leukaemia"),
    ],
)
def test_a_state_of_a_diagnosis_is_told_as_recorded(status: dict[str, Any], more: dict[str, Any], told: str) -> None:
    entry = {"resourceType": "Condition", "id": "c", "code": {"text": "Leukaemia"}, "clinicalStatus": status} | more
    assert [item.text for item in context(Condition=[entry]).diagnoses] == [told]


@pytest.mark.parametrize(
    ("status", "more", "reason"),
    [
        ("inactive", {}, "recorded as inactive"),
        ("resolved", {}, "resolved, the record does not say when"),
        ("resolved", {"recordedDate": "2020-01-01"}, "resolved, the record does not say when"),
        ("resolved", {"abatementDateTime": "2021-02-01"}, "resolved before this stay"),
    ],
)
def test_a_problem_that_is_over_is_left_out_as_recorded(status: str, more: dict[str, Any], reason: str) -> None:
    entry = {"resourceType": "Condition", "id": "c", "code": {"text": "Asthma"}} | more
    found = context(Condition=[entry | {"clinicalStatus": {"coding": [{"code": status}]}}])
    assert found.left_out == (f"Diagnosis: Asthma, {reason}",)


@pytest.mark.parametrize(
    ("form", "reason"),
    [
        ([{"contentType": "application/pdf", "data": "JVBERi0="}], "only in an attached file: read it in the chart"),
        ([{"contentType": "application/rtf", "url": "Binary/7"}], "only in an attached file: read it in the chart"),
        ([], "without a conclusion or text"),
    ],
)
def test_a_report_that_is_only_a_file_is_said_to_be_one(form: list[dict[str, Any]], reason: str) -> None:
    entry = {"resourceType": "DiagnosticReport", "id": "r", "status": "final", "code": {"text": "Echo"}}
    entry |= {"encounter": ENC, "effectiveDateTime": "2026-06-02"}
    assert context(DiagnosticReport=[entry | {"presentedForm": form}]).left_out == (f"Report: Echo, {reason}",)


def test_an_alert_is_no_directive() -> None:
    alert = {"resourceType": "Flag", "id": "f", "status": "active", "code": {"text": "Risk of suicide"}}
    assert [item.text for item in context(Flag=[alert]).directives] == ["Alert: Risk of suicide"]


def test_an_autopsy_that_is_asked_for_is_not_told_as_done_and_the_dead_are_not_asked() -> None:
    request = {"resourceType": "ServiceRequest", "id": "s", "status": "active", "code": {"text": "Autopsy"}}
    died = {"hospitalization": {"dischargeDisposition": {"coding": [{"code": "exp"}]}}}
    found = build_context(record({"ServiceRequest": [request]}, **died))
    assert [item.text for item in found.outcome] == ["Autopsy (requested)"]
    assert not any("ask the patient" in point.text for point in found.open_points)


@pytest.mark.parametrize(
    ("note", "words"),
    [
        ("Moderately hemolyzed. Performed at the main laboratory.", "4.4 mmol/L (remark: Moderately hemolyzed)"),
        (
            "Corrected result; previously reported as 7.1",
            "4.4 mmol/L (remark: Corrected result; previously reported as 7.1)",
        ),
        ("Performed at the main laboratory.", "4.4 mmol/L"),
    ],
)
def test_a_result_is_not_told_without_what_puts_it_in_doubt(note: str, words: str) -> None:
    entry = observation("o", "2026-06-02", 4.4, note=[{"text": note}])
    assert [item.last.value for item in context(Observation=[entry]).labs] == [words]


@pytest.mark.parametrize(("status", "words"), [("active", "ordered"), ("on-hold", "ordered, on hold")])
def test_a_pending_test_that_is_on_hold_is_said_to_be(status: str, words: str) -> None:
    category = [{"text": "Imaging"}]
    entry = {"resourceType": "ServiceRequest", "id": "s", "status": status, "intent": "order", "category": category}
    entry |= {"encounter": ENC, "code": {"text": "MRI foot"}, "authoredOn": "2026-06-02"}
    assert [item.text for item in context(ServiceRequest=[entry]).pending] == [f"MRI foot ({words}, no result yet)"]


def test_a_rate_in_words_says_how_often() -> None:
    infusion = order("a", "sodium chloride 0.9%", "discharge", dosageInstruction=[{"text": "125 mL/h IV"}])
    assert not any("how often" in point.text for point in context(MedicationRequest=[infusion]).open_points)
