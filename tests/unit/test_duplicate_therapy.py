"""Medicines of one effect are asked about, and a pen is no other insulin."""

import pytest

from services.drafter.record import build_context
from shared.grounding.reconciliation import reconcile
from tests.unit.test_record import order, record


@pytest.mark.parametrize(
    ("names", "effect"),
    [
        (("Coumadin 5 mg", "Eliquis 5 mg"), "2 anticoagulants"),
        (("rivaroxaban 20 mg", "enoxaparin 80 mg/0.8 mL syringe"), "2 anticoagulants"),
        (("Lantus", "Toujeo 300 units/mL"), "2 long-acting insulins"),
        (("naproxen 250 mg tablet", "ibuprofen 400 mg tablet"), "2 NSAIDs"),
        (("apixaban 5 mg", "aspirin 81 mg"), ""),
        (("heparin lock flush 10 units/mL", "warfarin 5 mg"), ""),
        (("diclofenac 1 % gel", "ibuprofen 400 mg tablet"), ""),
        (("Lantus", "Humalog"), ""),
    ],
)
def test_two_medicines_of_one_effect_are_asked_about(names: tuple[str, str], effect: str) -> None:
    orders = [order(str(index), name, "discharge") for index, name in enumerate(names)]
    points = [point.text for point in build_context(record({"MedicationRequest": orders})).open_points]
    found = [text for text in points if "taken together" in text]
    assert [text.startswith(f"{effect} at discharge") for text in found] == ([True] if effect else [])


def test_an_insulin_in_a_pen_is_the_same_insulin() -> None:
    orders = [
        order("a", "Lantus SoloStar", "community", dosageInstruction=[{"text": "24 units at bedtime"}], encounter=None),
        order("b", "Lantus", "discharge", dosageInstruction=[{"text": "18 units at bedtime"}]),
    ]
    orders[0]["authoredOn"] = "2026-01-01"
    rows = reconcile(build_context(record({"MedicationRequest": orders})))
    assert [row.change for row in rows] == ["changed"]
