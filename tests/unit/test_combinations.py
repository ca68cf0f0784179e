"""Medicines of several substances: each is known by a brand, a joined name or its substances, as one medicine."""

import pytest

from services.drafter.record import build_context
from services.drafter.record.medicine_names import ingredients
from tests.unit.test_record import order, record


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Percocet 5-325 mg", "oxycodone-acetaminophen 5-325 mg"),
        ("Augmentin 875-125 mg", "amoxicillin-clavulanate 875-125 mg"),
        ("co-amoxiclav 500/125", "amoxicillin/clavulanic acid 500/125"),
        ("Bactrim DS", "sulfamethoxazole-trimethoprim 800-160 mg"),
        ("Entresto 24-26 mg", "sacubitril-valsartan 24-26 mg"),
        ("Sinemet 25-100", "carbidopa-levodopa 25-100"),
        ("Zestoretic", "lisinopril-hydrochlorothiazide 20-12.5 mg"),
        ("Symbicort", "budesonide/formoterol"),
    ],
)
def test_a_brand_and_its_substances_are_one_medicine(one: str, other: str) -> None:
    assert ingredients(one, []) == ingredients(other, [])
    assert len(ingredients(one, [])) == 2


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Augmentin", "amoxicillin"),
        ("Percocet", "acetaminophen"),
        ("oxycodone-acetaminophen", "oxycodone"),
        ("amoxicillin/clavulanic acid", "amoxicillin"),
        ("amlodipine-unheardof", "amlodipine"),
    ],
)
def test_a_combination_is_not_its_part(one: str, other: str) -> None:
    assert ingredients(one, []) != ingredients(other, [])


@pytest.mark.parametrize("name", ["Percocet 5-325 tablet", "oxycodone-acetaminophen 5-325 mg tablet", "co-codamol"])
def test_a_substance_that_is_taken_twice_is_asked_about(name: str) -> None:
    orders = [order("a", "acetaminophen 500 mg tablet", "discharge"), order("b", name, "discharge")]
    found = build_context(record({"MedicationRequest": orders}))
    assert any("2 orders of one substance" in point.text for point in found.open_points)
