"""What goes on, changes or ends: whole orders are compared, and what is not sure is called so."""

from typing import Any

import pytest

from services.drafter.record import build_context
from services.drafter.source_record import SourceRecord
from shared.contracts.context import EncounterContext, Medicine
from shared.grounding.reconciliation import reconcile
from tests.unit.test_record import encounter, order


def context(*orders: dict[str, Any]) -> EncounterContext:
    patient = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Doe"}]}
    return build_context(SourceRecord(encounter(), patient, {}, {"MedicationRequest": list(orders)}))


def changes(*orders: dict[str, Any]) -> list[tuple[str, str]]:
    return [(row.medicine.name, row.change) for row in reconcile(context(*orders))]


def sig(text: str, **more: Any) -> dict[str, Any]:
    return {"dosageInstruction": [{"text": text} | more]}


def home(name: str, text: str, **more: Any) -> dict[str, Any]:
    return order(f"h-{name}-{text}", name, "community", **(sig(text) | more))


def discharge(name: str, text: str, **more: Any) -> dict[str, Any]:
    return order(f"d-{name}-{text}", name, "discharge", **(sig(text) | more))


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ("500 mg once daily", "500 mg once daily", "continued"),
        ("500 mg once daily", "500 mg three times daily", "changed"),
        ("1,5 mg daily", "1,0 mg daily", "changed"),
        ("1,5 mg daily", "1.5 mg daily", "continued"),
        ("10U SC daily", "10 units SC daily", "continued"),
        ("1 tab daily", "1 tablet daily", "continued"),
        ("100 mcg daily", "100 µg daily", "continued"),
        ("10U SC daily", "100 units SC daily", "changed"),
        ("5 mg PO daily", "5 mg IV daily", "changed"),
        ("as directed", "take as directed by your doctor", "changed"),
        ("10 mg", "", "unclear"),
        ("from 01.12.2026 10 mg once daily", "from 10.1.2026 2.5 mg daily", "changed"),
    ],
)
def test_a_change_of_anything_in_an_order_is_a_change(before: str, after: str, change: str) -> None:
    assert changes(home("Metformin", before), discharge("Metformin", after)) == [("Metformin", change)]


def test_structure_counts_where_orders_have_it() -> None:
    daily = {"timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}}
    twice = {"timing": {"repeat": {"frequency": 2, "period": 1, "periodUnit": "d"}}}
    amount = {"doseAndRate": [{"doseQuantity": {"value": 5, "unit": "mg"}}]}
    first = home("Apixaban", "", dosageInstruction=[amount | daily])
    assert changes(first, discharge("Apixaban", "", dosageInstruction=[amount | daily])) == [("Apixaban", "continued")]
    assert changes(first, discharge("Apixaban", "", dosageInstruction=[amount | twice])) == [("Apixaban", "changed")]


def test_brand_and_generic_are_one_medicine() -> None:
    assert changes(home("Norvasc 5 mg tablet", "1 daily"), discharge("amlodipine 5 mg tablet", "1 daily")) == [
        ("amlodipine 5 mg tablet", "continued")
    ]


def test_another_strength_with_the_same_words_is_a_change() -> None:
    before, after = (
        home("Lisinopril 10 mg tablet", "1 tablet daily"),
        discharge("Lisinopril 20 mg tablet", "1 tablet daily"),
    )
    assert changes(before, after) == [("Lisinopril 20 mg tablet", "changed")]


def test_two_orders_of_one_medicine_stay_two() -> None:
    found = changes(discharge("Insulin", "10 units in the morning"), discharge("insulin", "24 units at night"))
    assert found == [("Insulin", "new"), ("insulin", "new")]


def test_nothing_is_called_stopped_without_an_order_or_a_status_that_says_so() -> None:
    assert changes(home("Candesartan", "8 mg daily")) == [("Candesartan", "unclear")]
    ended = discharge("Candesartan", "8 mg daily", status="stopped", statusReason={"text": "Hyperkalaemia"})
    (row,) = reconcile(context(home("Candesartan", "8 mg daily"), ended))
    assert (row.change, row.medicine.reason) == ("stopped", "Hyperkalaemia")


@pytest.mark.parametrize(
    ("more", "change"), [({"status": "on-hold"}, "on hold"), ({"doNotPerform": True}, "do not give")]
)
def test_held_and_forbidden_orders_are_no_medicines_to_take(more: dict[str, Any], change: str) -> None:
    found = context(discharge("Ibuprofen", "400 mg", **more))
    assert [(row.medicine.name, row.change) for row in reconcile(found)] == [("Ibuprofen", change)]
    assert found.discharge_medicines == ()


def test_medicines_of_a_context_stored_by_an_earlier_version_are_compared_by_their_words() -> None:
    def old(name: str, dose: str) -> Medicine:
        return Medicine(text=f"{name}, {dose}", source=f"MedicationRequest/{name}", name=name, dose=dose)

    stored = context().model_copy(
        update={"home_medicines": (old("Aspirin", "81 mg"),), "discharge_medicines": (old("aspirin", "81 mg"),)}
    )
    assert [row.change for row in reconcile(stored)] == ["continued"]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Levothyroxine 50 microgram tablets", "Levothyroxine 100 microgram tablets"),
        ("Fentanyl 25 micrograms/hour patches", "Fentanyl 50 micrograms/hour patches"),
        ("L-Thyroxin 50 Mikrogramm", "L-Thyroxin 100 Mikrogramm"),
        ("Heparine 5000 E", "Heparine 10000 E"),
        ("NovoMix 30", "NovoMix 50"),
        ("Metoprolol tartrate 50 mg", "Metoprolol succinate ER 50 mg"),
        ("Diltiazem 120 mg tablet", "Diltiazem 120 mg ER capsule"),
    ],
)
def test_another_product_is_a_change(before: str, after: str) -> None:
    assert changes(home(before, "1 daily"), discharge(after, "1 daily")) == [(after, "changed")]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Insulin aspart", "Insulin glargine"),
        ("Sliding scale insulin", "Insulin glargine"),
        ("Humulin N", "Humulin R"),
        ("Vitamin D", "Vitamin K"),
        ("Vitamin B12", "Vitamin B6"),
    ],
)
def test_two_of_one_class_are_two_medicines(before: str, after: str) -> None:
    assert changes(home(before, "1 daily"), discharge(after, "1 daily")) == [(after, "new"), (before, "unclear")]


AMOUNT = {"doseAndRate": [{"doseQuantity": {"value": 5, "unit": "mg"}}]}
DAILY = {"timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}}


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"site": {"text": "Left eye"}}, {"site": {"text": "Right eye"}}),
        (
            {"doseAndRate": [{"rateQuantity": {"value": 30, "unit": "mL/h"}}]},
            {"doseAndRate": [{"rateQuantity": {"value": 60, "unit": "mL/h"}}]},
        ),
        (
            {"maxDosePerAdministration": {"value": 40, "unit": "mg"}},
            {"maxDosePerAdministration": {"value": 10, "unit": "mg"}},
        ),
        ({"text": "5 mg daily"}, {"text": "5 mg daily except 2.5 mg on Mon and Fri"}),
        ({}, {"additionalInstruction": [{"text": "Hold if SBP below 100"}]}),
        ({"asNeededCodeableConcept": {"text": "pain"}}, {"asNeededCodeableConcept": {"text": "dyspnea"}}),
    ],
)
def test_every_part_of_the_dosage_is_compared(first: dict[str, Any], second: dict[str, Any]) -> None:
    one = home("Warfarin", "", dosageInstruction=[AMOUNT | DAILY | first])
    other = discharge("Warfarin", "", dosageInstruction=[AMOUNT | DAILY | second])
    assert changes(one, other) == [("Warfarin", "changed")]
    assert changes(one, discharge("Warfarin", "", dosageInstruction=[AMOUNT | DAILY | first])) == [
        ("Warfarin", "continued")
    ]


def test_every_evening_is_not_every_day() -> None:
    assert changes(home("Simvastatin", "10 mg every evening"), discharge("Simvastatin", "10 mg every day")) == [
        ("Simvastatin", "changed")
    ]


def test_a_medicine_at_home_does_not_vanish_behind_another_order_of_it_that_was_stopped() -> None:
    stopped = order("s", "Warfarin 2 mg", "community", status="stopped", **sig("2 mg daily"))
    stopped["dosageInstruction"][0]["timing"] = {"repeat": {"boundsPeriod": {"end": "2026-06-02"}}}
    assert ("Warfarin 5 mg", "unclear") in changes(home("Warfarin 5 mg", "5 mg daily"), stopped)


def test_an_order_at_discharge_does_not_replace_another_one_at_discharge() -> None:
    """A reference of `priorPrescription` that points to the wrong order must not make one drug of two."""
    found = [
        home("perindopril 5 mg tablet", "1 tablet daily"),
        discharge("ceftriaxone 2 g injection", "2 g IV once daily"),
        discharge(
            "perindopril 5 mg tablet",
            "2 tablets daily",
            priorPrescription={"reference": "MedicationRequest/d-ceftriaxone 2 g injection-2 g IV once daily"},
        ),
    ]
    assert sorted(changes(*found)) == [("ceftriaxone 2 g injection", "new"), ("perindopril 5 mg tablet", "changed")]


@pytest.mark.parametrize(
    ("instruction", "change"),
    [
        ("as needed", "continued"),
        ("Use when required.", "continued"),
        ("PRN", "continued"),
        ("only at night", "changed"),
    ],
)
def test_an_instruction_that_repeats_as_needed_changes_nothing(instruction: str, change: str) -> None:
    dosage = {"asNeededBoolean": True, "doseAndRate": [{"doseQuantity": {"value": 2, "unit": "puffs"}}]}
    before = home("budesonide", "PRN", **sig("2 puffs PRN", patientInstruction=instruction, **dosage))
    after = discharge("budesonide", "", **sig("2 puffs", **dosage))
    assert changes(before, after) == [("budesonide", change)]
