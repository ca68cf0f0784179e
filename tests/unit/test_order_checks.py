"""Entries held against each other: each finding is one question beside the document, and changes nothing in it."""

from typing import Any

import pytest

from services.drafter.record import build_context
from tests.unit.test_record import observation, order, record

ATC = "http://www.whocc.no/atc"


def allergy(name: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "AllergyIntolerance", "id": f"a-{name}", "code": {"text": name}} | more


def points(entries: dict[str, list[dict[str, Any]]], word: str) -> list[str]:
    return [point.text for point in build_context(record(entries)).open_points if word in point.text]


def against(allergen: str | dict[str, Any], medicine: str, category: str = "discharge", **more: Any) -> list[str]:
    found = allergy(allergen) if isinstance(allergen, str) else allergen
    orders = [order("m", medicine, category, **more)]
    return points({"AllergyIntolerance": [found], "MedicationRequest": orders}, "allergy or intolerance")


@pytest.mark.parametrize(
    ("allergen", "medicine", "why"),
    [
        ("Penicillin", "Amoxicillin 500 mg", "penicillins"),
        ("Penicillins", "Piperacillin/Tazobactam", "penicillins"),
        ("PCN", "Ampicillin", "penicillins"),
        ("Penizillin", "Amoxicillin/Clavulansäure 875/125", "penicillins"),
        ("Penicillin", "Augmentin", "penicillins"),
        ("Amoxicillin", "Flucloxacilline 500 mg", "penicillins"),
        ("Beta-lactam antibiotics", "Cefuroxim 500 mg", "cephalosporins"),
        ("Cephalosporins", "Cefazolin", "cephalosporins"),
        ("Ceftriaxone", "Cephalexin 500 mg", "cephalosporins"),
        ("Sulfa", "Bactrim DS", "sulfonamides"),
        ("Sulfonamide antibiotics", "Trimethoprim/Sulfamethoxazole", "sulfonamides"),
        ("Sulfonamide", "Co-trimoxazol 960 mg", "sulfonamides"),
        ("NSAIDs", "Ibuprofen 400 mg", "NSAIDs"),
        ("NSAR", "Diclofenac 50 mg", "NSAIDs"),
        ("NSAID", "Ketorolac", "NSAIDs"),
        ("Nonsteroidal anti-inflammatory drugs", "Aspirin 81 mg", "NSAIDs"),
        ("Aspirin", "Naproxen", "NSAIDs"),
        ("Acetylsalicylsäure", "ASS 100", "NSAIDs"),
        ("Statins", "Atorvastatin 40 mg", "statins"),
        ("Opioids", "Oxycodon retard 10 mg", "opioids"),
        ("ACE inhibitors", "Ramipril 5 mg", "ACE inhibitors"),
        ("ACE-Hemmer", "Perindopril", "ACE inhibitors"),
        ("Lisinopril", "Enalapril", "ACE inhibitors"),
        ("Lisinopril", "Zestril 10 mg", "substance"),
        ("Codeine", "Codeine phosphate 30 mg", "substance"),
        ("Paracetamol", "Acetaminophen 500 mg", "substance"),
        ("Metamizol", "Metamizol 500 mg Tabletten", "substance"),
        ("Oxycodone", "Oxycodone/Acetaminophen", "substance"),
    ],
)
def test_a_medicine_against_a_recorded_allergy_is_asked(allergen: str, medicine: str, why: str) -> None:
    (asked,) = against(allergen, medicine)
    assert asked.startswith(f"{medicine} is to be taken")
    assert allergen in asked
    assert why in asked


@pytest.mark.parametrize(
    ("allergen", "medicine"),
    [
        ("Penicillin", "Cefazolin"),
        ("Penicillin", "Doxycycline"),
        ("Sulfa", "Furosemide"),
        ("Sulfa", "Ferrous sulfate 325 mg"),
        ("Sulfa", "Glibenclamide"),
        ("Simvastatin", "Atorvastatin"),
        ("Statins", "Nystatin"),
        ("Codeine", "Morphine"),
        ("Latex", "Amoxicillin"),
        ("Potassium chloride", "Sodium chloride 0.9 %"),
        ("Vitamin K", "Vitamin D"),
        ("Contrast media", "Ibuprofen"),
        ("No known drug allergies", "Amoxicillin"),
        ("Omeprazole", "Aripiprazole"),
    ],
)
def test_what_is_not_the_same_is_not_asked(allergen: str, medicine: str) -> None:
    assert against(allergen, medicine) == []


def test_codes_say_a_class_where_names_do_not() -> None:
    coded = {"text": "Zienam-like", "coding": [{"system": ATC, "code": "J01CR02"}]}
    assert "penicillins" in against("Penicillin", "x", medicationCodeableConcept=coded)[0]
    class_ = allergy("Antibiotic", code={"text": "Antibiotic", "coding": [{"system": ATC, "code": "J01C"}]})
    assert "penicillins" in against(class_, "x", medicationCodeableConcept=coded)[0]


def test_only_active_allergies_and_medicines_to_take_are_asked() -> None:
    refuted = allergy("Penicillin", verificationStatus={"coding": [{"code": "refuted"}]})
    assert against(refuted, "Amoxicillin") == []
    assert against("Penicillin", "Amoxicillin", "inpatient") == []
    assert against("Penicillin", "Amoxicillin", status="stopped") == []
    assert against("Penicillin", "Amoxicillin", "community") != []


def test_one_medicine_is_asked_once() -> None:
    entries = {
        "AllergyIntolerance": [allergy("Penicillin"), allergy("Amoxicillin")],
        "MedicationRequest": [order("h", "Amoxicillin", "community"), order("d", "Amoxicillin", "discharge")],
    }
    assert len(points(entries, "allergy or intolerance")) == 1


def at_discharge(*orders: tuple[str, str]) -> list[str]:
    found = [
        order(f"m{index}", name, "discharge", dosageInstruction=[{"text": text}])
        for index, (name, text) in enumerate(orders)
    ]
    return points({"MedicationRequest": found}, "of one substance")


def test_orders_of_one_substance_are_asked_once() -> None:
    (asked,) = at_discharge(
        ("Lisinopril 10 mg", "1 daily"), ("Zestril 5 mg", "1 daily"), ("Lisinopril 20 mg", "1 daily")
    )
    assert asked.startswith("3 orders of one substance at discharge: Lisinopril 10 mg, 1 daily; Zestril 5 mg")
    assert at_discharge(("Percocet 5/325 (oxycodone/acetaminophen)", "1 q6h"), ("Tylenol 500 mg", "1 q6h"))


@pytest.mark.parametrize(
    "orders",
    [
        (("Insulin glargine", "20 units at night"), ("Insulin aspart", "6 units with meals")),
        (("Hydrocortisone 10 mg tablet", "1 daily"), ("Hydrocortisone 1 % cream", "apply daily")),
        (("Lisinopril", "1 daily"), ("Metoprolol", "1 daily")),
        (("Vitamin D", "1 daily"), ("Vitamin K", "1 daily")),
    ],
)
def test_orders_of_two_medicines_are_not_asked(orders: Any) -> None:
    assert at_discharge(*orders) == []


def test_two_dosages_of_one_order_are_one_order() -> None:
    lines = [{"text": "10 mg in the morning"}, {"text": "5 mg in the evening"}]
    found = [order("m", "Prednisolone", "discharge", dosageInstruction=lines)]
    assert points({"MedicationRequest": found}, "of one substance") == []


HIGH = {"interpretation": [{"coding": [{"code": "HH"}]}]}


def test_a_last_value_that_is_critical_is_asked() -> None:
    last = observation("o2", "2026-06-03T08:00:00Z", 6.8, **HIGH)
    (asked,) = points({"Observation": [observation("o1", "2026-06-01T08:00:00Z", 4.1), last]}, "recheck")
    assert asked.startswith("Potassium: the last value of the stay is critical (6.8 mmol/L, critically high")
    critical = {"type": {"coding": [{"code": "critical"}]}, "high": {"value": 6.5, "unit": "mmol/L"}}
    ranged = observation("o", "2026-06-03T08:00:00Z", 6.8, referenceRange=[critical])
    assert points({"Observation": [ranged]}, "recheck")


def test_a_critical_value_that_was_followed_by_another_is_not_asked() -> None:
    first = observation("o1", "2026-06-01T08:00:00Z", 6.8, **HIGH)
    assert points({"Observation": [first, observation("o2", "2026-06-02T08:00:00Z", 4.1)]}, "recheck") == []
    blood = {"code": {"coding": [{"code": "6298-4", "display": "Potassium [Moles/volume] in Blood"}]}}
    assert points({"Observation": [first, observation("o2", "2026-06-02T08:00:00Z", 4.1, **blood)]}, "recheck") == []


def test_nobody_is_asked_of_a_patient_who_died() -> None:
    died = {"hospitalization": {"dischargeDisposition": {"coding": [{"code": "exp"}]}}}
    entries = {
        "AllergyIntolerance": [allergy("Penicillin")],
        "MedicationRequest": [order("m", "Amoxicillin", "community")],
    }
    assert not any("allergy or" in point.text for point in build_context(record(entries, **died)).open_points)
