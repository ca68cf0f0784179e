"""Orders that replace each other or carry each other out: changed from one to the other, told once."""

from typing import Any

import pytest

from services.drafter.record import build_context
from shared.contracts.context import EncounterContext
from shared.grounding.reconciliation import reconcile
from tests.unit.test_medicine_lists import statement
from tests.unit.test_order_sorting import asked, lists
from tests.unit.test_record import order, record
from tests.unit.test_untrusted_record import lines


def context(*orders: dict[str, Any], **more: Any) -> EncounterContext:
    return build_context(record({"MedicationRequest": list(orders)} | more))


def changes(found: EncounterContext) -> list[tuple[str, str, list[str]]]:
    return [(row.medicine.name, row.change, [item.name for item in row.before]) for row in reconcile(found)]


def home(id: str, name: str, **more: Any) -> dict[str, Any]:
    return order(id, name, "community", **({"authoredOn": "2025-01-01", "encounter": None} | more))


def discharge(id: str, name: str, prior: str = "", **more: Any) -> dict[str, Any]:
    link = {"priorPrescription": {"reference": prior}} if prior else {}
    return order(id, name, "discharge", **(link | more))


@pytest.mark.parametrize("status", ["active", "stopped", "completed"])
@pytest.mark.parametrize(
    ("before", "after"), [("Lopressor 50 mg", "metoprolol tartrate 50 mg"), ("Abrocil 10 mg", "Benotrix 20 mg")]
)
def test_an_order_is_changed_from_the_one_that_it_replaces(before: str, after: str, status: str) -> None:
    found = context(home("h", before, status=status), discharge("d", after, "MedicationRequest/h"))
    assert changes(found) == [(after, "changed", [before])]
    assert ("replaced by " + after in lines(found)) is (status == "stopped")


def test_a_renewal_goes_on() -> None:
    found = context(home("h", "Abrocil", status="completed"), discharge("d", "Abrocil", "MedicationRequest/h"))
    assert changes(found) == [("Abrocil", "continued", ["Abrocil"])]


def test_what_the_ward_had_in_between_does_not_hide_what_was_before() -> None:
    ward = order("w", "Cardovane", "inpatient", priorPrescription={"reference": "MedicationRequest/h"})
    found = context(home("h", "Abrocil"), ward, discharge("d", "Benotrix", "MedicationRequest/w"))
    assert changes(found) == [("Benotrix", "changed", ["Abrocil"])]


def test_what_was_replaced_long_ago_is_not_taken() -> None:
    old = home("g", "Abrocil", status="completed", authoredOn="2020-01-01")
    newer = home("h", "Cardovane", priorPrescription={"reference": "MedicationRequest/g"})
    found = context(old, newer, discharge("d", "Benotrix", "MedicationRequest/h"))
    assert changes(found) == [("Benotrix", "changed", ["Cardovane"])]


@pytest.mark.parametrize(
    ("prior", "name"),
    [
        ({"reference": "MedicationRequest/gone", "display": "Lopressor 25 mg"}, "Lopressor 25 mg"),
        ({"identifier": {"value": "7"}}, "another order"),
        ({"reference": "MedicationRequest/h"}, "another order"),
    ],
)
def test_what_replaces_an_order_that_is_not_told_is_not_called_new(prior: dict[str, Any], name: str) -> None:
    cancelled = home("h", "Abrocil", status="cancelled")
    found = context(cancelled, discharge("d", "Benotrix", priorPrescription=prior))
    assert changes(found) == [("Benotrix", "unclear", [])]
    assert f"Benotrix, 5 mg PO daily: it replaces {name}, which no list of the record has, compare" in asked(found)


def test_orders_that_replace_each_other_in_a_ring_end() -> None:
    one = discharge("a", "Abrocil", "MedicationRequest/b")
    assert lists(context(one, discharge("b", "Benotrix", "MedicationRequest/a"))) == {
        "discharge": ["Abrocil", "Benotrix"]
    }


FULL = {
    "dosageInstruction": [
        {
            "route": {"text": "Oral"},
            "timing": {"repeat": {"frequency": 2, "period": 1, "periodUnit": "d"}},
            "doseAndRate": [{"doseQuantity": {"value": 5, "unit": "mg"}}],
        }
    ]
}


@pytest.mark.parametrize("intent", ["filler-order", "instance-order"])
@pytest.mark.parametrize("category", ["discharge", "community"])
def test_an_order_and_what_carries_it_out_are_told_once(intent: str, category: str) -> None:
    filled = order("f", "Abrocil 5 mg tablet", category, intent=intent, basedOn=[{"reference": "MedicationRequest/d"}])
    found = context(discharge("d", "Abrocil", **FULL), filled)
    (told,) = found.discharge_medicines
    assert (told.name, told.dose, told.note) == (
        "Abrocil",
        "5 mg oral twice daily",
        "also recorded as Abrocil 5 mg tablet",
    )
    assert "the order and the one based on it say different things" in asked(found)


def test_the_fuller_of_the_two_is_told() -> None:
    filled = discharge("f", "Abrocil", intent="filler-order", basedOn=[{"reference": "MedicationRequest/d"}], **FULL)
    found = context(discharge("d", "Abrocil", dosageInstruction=[]), filled)
    assert [item.text for item in found.discharge_medicines] == ["Abrocil, 5 mg oral twice daily"]
    assert "different" not in asked(found)


def test_an_order_based_on_one_that_was_stopped_is_told_beside_it() -> None:
    filled = discharge("f", "Abrocil", intent="filler-order", basedOn=[{"reference": "MedicationRequest/d"}])
    assert lists(context(discharge("d", "Abrocil", status="stopped"), filled)) == {
        "discharge": ["Abrocil"],
        "other": ["Abrocil"],
    }


def test_a_statement_of_an_order_is_told_once() -> None:
    told = statement("s", "Abrocil tablets", basedOn=[{"reference": "MedicationRequest/h"}])
    assert lists(context(home("h", "Abrocil"), MedicationStatement=[told])) == {"home": ["Abrocil"]}
