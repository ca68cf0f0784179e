"""Finished courses are never current at the discharge; what stands both to take and not to take is asked about."""

from typing import Any

import pytest

from services.drafter.record import build_context
from shared.contracts.context import EncounterContext
from shared.grounding.reconciliation import reconcile
from tests.unit.test_medicine_lists import named, statement, to
from tests.unit.test_order_sorting import asked, lists
from tests.unit.test_record import order, record
from tests.unit.test_untrusted_record import lines


def context(*orders: dict[str, Any], **more: Any) -> EncounterContext:
    return build_context(record({"MedicationRequest": list(orders)} | more))


def until(*ends: str | None) -> dict[str, Any]:
    return {"dosageInstruction": [{"text": "1 daily", "timing": {"repeat": bounded(end)}} for end in ends]}


def bounded(end: str | None) -> dict[str, Any]:
    return {"boundsPeriod": {"start": "2026-05-20", "end": end}} if end else {}


def home(**more: Any) -> dict[str, Any]:
    return order("m", "Abrocil", "community", **({"authoredOn": "2026-05-20", "encounter": None} | more))


def test_a_course_that_ended_in_the_stay_is_told_as_ended() -> None:
    found = context(home(**until("2026-06-02")))
    assert [(row.medicine.name, row.change) for row in reconcile(found)] == [("Abrocil", "ended")]
    assert "ended before the discharge (2026-06-02)" in lines(found)
    assert lists(found) == {"home": ["Abrocil"]}


@pytest.mark.parametrize("ends", [("2026-06-04",), ("2026-07-01",), ("2026-06-02", None), (None,)])
def test_a_course_that_goes_on_is_not_ended(ends: tuple[str | None, ...]) -> None:
    assert [row.change for row in reconcile(context(home(**until(*ends))))] == ["unclear"]


def test_a_course_of_before_the_stay_is_left_out_and_named() -> None:
    found = context(home(**until("2026-05-27")))
    assert lists(found) == {}
    assert "Medication order: Abrocil, ended 2026-05-27, before this stay" in found.left_out


def test_a_prescription_whose_course_was_over_is_not_to_be_taken() -> None:
    found = context(order("m", "Abrocil", "discharge", authoredOn="2026-06-03T12:00:00Z", **until("2026-06-03")))
    assert lists(found) == {}
    assert "Abrocil, its course ended 2026-06-03, before the discharge" in asked(found)


def test_an_order_without_a_category_whose_course_was_over_was_for_the_ward() -> None:
    late = order("m", "Abrocil", "", authoredOn="2026-06-03T12:00:00Z", **until("2026-06-03")) | {"category": None}
    assert lists(context(late)) == {"hospital": ["Abrocil"]}


def test_what_a_list_names_after_its_end_is_asked_about() -> None:
    found = context(
        List=[named("10183-2", "", to("MedicationStatement/s"))],
        MedicationStatement=[statement("s", "Abrocil", effectivePeriod={"start": "2026-05-20", "end": "2026-06-02"})],
    )
    assert lists(found) == {"home": ["Abrocil"]}
    assert "Abrocil, its course ended 2026-06-02, before the discharge" in asked(found)


@pytest.mark.parametrize(
    "more",
    [
        {"effectivePeriod": {"start": "2026-05-20", "end": "2026-06-02"}},
        {"effectivePeriod": {"start": "2026-05-20", "end": "2026-06-02"}, "status": "completed"},
        {"status": "completed", "context": {"reference": "Encounter/e1"}},
    ],
)
def test_a_statement_of_what_is_over_is_told_as_ended(more: dict[str, Any]) -> None:
    found = context(MedicationStatement=[statement("s", "Abrocil", **more)])
    assert [(row.medicine.name, row.change) for row in reconcile(found)] == [("Abrocil", "ended")]


def test_a_course_that_is_over_by_its_length_is_asked_about() -> None:
    week = {"dosageInstruction": [{"timing": {"repeat": {"boundsDuration": {"value": 7, "code": "d"}}}}]}
    text = "Abrocil: by its own directions it was over on 2026-05-27"
    assert text in asked(context(home(**week)))
    month = {"dosageInstruction": [{"timing": {"repeat": {"boundsDuration": {"value": 1, "code": "mo"}}}}]}
    assert "by its own directions" not in asked(context(home(**month)))


def test_a_completed_prescription_is_asked_about() -> None:
    found = context(order("m", "Abrocil", "discharge", status="completed"))
    assert lists(found) == {"discharge": ["Abrocil"]}
    assert "Abrocil: the order is recorded as completed" in asked(found)


@pytest.mark.parametrize(
    ("more", "word"),
    [
        ({"status": "stopped"}, "stopped"),
        ({"status": "on-hold"}, "on hold"),
        ({"doNotPerform": True}, "not to be given"),
    ],
)
def test_a_medicine_to_take_and_not_to_take_is_asked_about(more: dict[str, Any], word: str) -> None:
    barred = order("n", "Norvasc 5 mg", "discharge", **more)
    found = context(order("m", "amlodipine 5 mg", "discharge"), barred)
    text = f"amlodipine 5 mg, 5 mg PO daily: to be taken, and Norvasc 5 mg, 5 mg PO daily: {word}: confirm which"
    assert text in asked(found)


def test_an_order_that_replaces_the_stopped_one_contradicts_nothing() -> None:
    stopped = order("n", "Abrocil 5 mg", "community", status="stopped", encounter=None, authoredOn="2026-01-01")
    newer = order("m", "Abrocil 10 mg", "discharge", priorPrescription={"reference": "MedicationRequest/n"})
    assert "which of the two holds" not in asked(context(stopped, newer))
