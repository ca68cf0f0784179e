"""What a pharmacy hands over at the discharge, and what the record's own lists of medicines say."""

from typing import Any

import pytest

from services.drafter.record import build_context
from shared.contracts.context import EncounterContext
from shared.grounding.reconciliation import reconcile
from tests.unit.test_order_sorting import asked, lists
from tests.unit.test_record import ENC, order, record

LOINC = "http://loinc.org"
HANDED = "2026-06-04T09:30:00Z"


def dispense(id: str = "d", **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationDispense",
        "id": id,
        "status": "completed",
        "context": ENC,
        "medicationCodeableConcept": {"text": "Apixaban"},
        "whenHandedOver": HANDED,
        "authorizingPrescription": [{"reference": "MedicationRequest/w"}],
        "dosageInstruction": [{"text": "5 mg twice daily"}],
    } | more


def statement(id: str, name: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "MedicationStatement",
        "id": id,
        "status": "active",
        "medicationCodeableConcept": {"text": name},
        "dosage": [{"text": "1 tablet daily"}],
    } | more


def named(code: str, title: str, *items: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "List",
        "id": "l",
        "status": "current",
        "mode": "snapshot",
        "title": title,
        "encounter": ENC,
        "code": {"coding": [{"system": LOINC, "code": code}] if code else [], "text": title},
        "entry": [{"item": item} for item in items],
    } | more


def section(code: str, *items: dict[str, Any], type: str = "18842-5", **more: Any) -> dict[str, Any]:
    part = {"title": "", "code": {"coding": [{"system": LOINC, "code": code}]}, "entry": list(items)} | more
    return {
        "resourceType": "Composition",
        "id": "c",
        "status": "final",
        "encounter": ENC,
        "type": {"coding": [{"system": LOINC, "code": type}]},
        "date": "2026-06-06",
        "section": [part],
    }


def to(reference: str, **more: Any) -> dict[str, Any]:
    return {"reference": reference} | more


def context(**entries: list[dict[str, Any]]) -> EncounterContext:
    return build_context(record(entries))


WARD = order("w", "Apixaban", "inpatient", dosageInstruction=[{"text": "2.5 mg twice daily"}])


@pytest.mark.parametrize(
    "more",
    [
        {"category": {"coding": [{"code": "discharge"}]}},
        {"category": {"coding": [{"code": "community"}]}},
        {"type": {"text": "TTO"}},
        {"category": {"text": "Discharge medication"}, "whenHandedOver": "2026-06-03T09:00:00Z"},
        {"daysSupply": {"value": 14, "code": "d"}},
    ],
)
def test_a_supply_for_home_behind_a_ward_order_is_to_be_taken(more: dict[str, Any]) -> None:
    found = context(MedicationRequest=[WARD], MedicationDispense=[dispense(**more)])
    assert lists(found) == {"hospital": ["Apixaban"], "discharge": ["Apixaban"]}
    assert found.discharge_medicines[0].dose.startswith("5 mg twice daily")


def test_a_supply_that_may_be_the_wards_is_asked_about() -> None:
    found = context(MedicationRequest=[WARD], MedicationDispense=[dispense()])
    assert lists(found) == {"hospital": ["Apixaban"]}
    assert "Apixaban, handed over at the discharge for an order of the ward" in asked(found)


@pytest.mark.parametrize(
    "more",
    [{"category": {"coding": [{"code": "inpatient"}]}}, {"type": {"coding": [{"code": "UD"}]}, "category": None}],
)
def test_what_the_ward_used_up_is_not_for_home(more: dict[str, Any]) -> None:
    without = dispense(authorizingPrescription=[], **more)
    assert lists(context(MedicationRequest=[WARD], MedicationDispense=[dispense(**more), without])) == {
        "hospital": ["Apixaban"]
    }


def test_a_supply_without_directions_names_those_of_the_ward_and_asks() -> None:
    supply = dispense(category={"text": "discharge"}, dosageInstruction=[])
    found = context(MedicationRequest=[WARD], MedicationDispense=[supply])
    assert found.discharge_medicines[0].dose == ""
    assert "without directions (on the ward: 2.5 mg twice daily): confirm" in asked(found)


@pytest.mark.parametrize(
    ("code", "title"),
    [
        ("10183-2", ""),
        ("75311-1", ""),
        ("8654-6", ""),
        ("", "Discharge medications"),
        ("", "Entlassmedikation"),
        ("", "Medicatie bij ontslag"),
    ],
)
def test_a_list_of_discharge_medicines_is_taken_at_its_word(code: str, title: str) -> None:
    items = [to("MedicationStatement/s"), to("MedicationRequest/w")]
    found = context(
        List=[named(code, title, *items)],
        MedicationStatement=[statement("s", "Ramipril", effectivePeriod={"start": "2024"})],
        MedicationRequest=[WARD, order("d", "Oxycodone", "discharge", authoredOn=HANDED)],
    )
    told = lists(found)
    assert told["home"] == ["Ramipril"]
    assert set(told["discharge"]) == {"Ramipril", "Apixaban", "Oxycodone"}
    assert "Oxycodone: no list of discharge medicines of the record names it: confirm" in asked(found)
    assert "Ramipril: no list" not in asked(found)


@pytest.mark.parametrize(
    "other",
    [
        {"encounter": to("Encounter/x")},
        {"status": "entered-in-error"},
        {"status": "retired"},
        {"code": {"text": "Problems at discharge"}, "title": "Problems at discharge", "entry": []},
    ],
)
def test_another_list_is_no_list_of_the_discharge(other: dict[str, Any]) -> None:
    one = named("10183-2", "", to("MedicationRequest/w")) | other
    assert lists(context(List=[one], MedicationRequest=[WARD])) == {"hospital": ["Apixaban"]}


def test_what_a_list_calls_ceased_or_removed_is_not_to_be_taken() -> None:
    one = named("10183-2", "")
    one["entry"] = [
        {"item": to("MedicationStatement/s"), "flag": {"coding": [{"code": "05", "display": "Ceased"}]}},
        {"item": to("MedicationStatement/t"), "deleted": True},
    ]
    found = context(List=[one], MedicationStatement=[statement("s", "Ramipril"), statement("t", "Digoxin")])
    assert lists(found) == {"home": ["Digoxin"], "other": ["Ramipril"]}


def test_a_listed_medicine_that_its_order_stops_is_asked_about() -> None:
    stopped = order("m", "Apixaban", "discharge", status="stopped")
    found = context(List=[named("10183-2", "", to("MedicationRequest/m"))], MedicationRequest=[stopped])
    assert lists(found) == {"other": ["Apixaban"]}
    assert "Apixaban: held, stopped or forbidden by its order, and named in a list of discharge" in asked(found)


def test_what_only_the_list_has_is_told_with_the_words_it_has() -> None:
    inner = statement("i", "Digoxin") | {"id": "i"}
    items = [to("#i"), {"display": "Furosemide 40 mg"}, to("MedicationRequest/gone")]
    found = context(List=[named("10183-2", "Discharge meds", *items, contained=[inner])])
    assert [item.text for item in found.discharge_medicines] == ["Digoxin, 1 tablet daily", "Furosemide 40 mg"]
    assert "Furosemide 40 mg: only a list of the record names it, without directions: confirm" in asked(found)
    assert "Discharge meds: the record's list names an entry that could not be read" in asked(found)


@pytest.mark.parametrize(
    ("field", "value", "change"),
    [
        ("effectivePeriod", {"start": "2024"}, "continued"),
        ("effectiveDateTime", "2026-06-01", "continued"),
        ("effectivePeriod", {"start": "2026-06-03"}, "new"),
        ("effectiveDateTime", "2026-06-03", "unclear"),
        ("dateAsserted", None, "unclear"),
    ],
)
def test_the_medication_sections_of_a_letter_are_read(field: str, value: Any, change: str) -> None:
    letter = section("10183-2", to("MedicationStatement/s"))
    found = context(Composition=[letter], MedicationStatement=[statement("s", "Ramipril", **{field: value})])
    assert [(row.medicine.name, row.change) for row in reconcile(found)] == [("Ramipril", change)]
    assert lists(found)["discharge"] == ["Ramipril"]


def test_an_empty_list_is_asked_about() -> None:
    empty = named("10183-2", "Discharge medication", emptyReason={"coding": [{"code": "nilknown"}]})
    assert "Discharge medication: the record's list of discharge medicines is empty" in asked(context(List=[empty]))


def test_a_supply_of_the_stay_behind_an_order_that_is_left_out_is_told() -> None:
    other = order("w", "Apixaban", "inpatient", encounter=to("Encounter/x"))
    found = context(MedicationRequest=[other], MedicationDispense=[dispense()])
    assert lists(found) == {"discharge": ["Apixaban"]}


@pytest.mark.parametrize("part", [("42346-7", "18842-5"), ("10160-0", "34117-2")])
def test_medicines_on_admission_were_taken_at_home(part: tuple[str, str]) -> None:
    code, type = part
    late = order("m", "Ramipril", "", authoredOn="2026-06-04T08:00:00Z") | {"category": None}
    found = context(Composition=[section(code, to("MedicationRequest/m"), type=type)], MedicationRequest=[late])
    assert lists(found) == {"home": ["Ramipril"]}


def test_what_the_stay_itself_ordered_was_not_taken_before_it_whatever_refers_to_it() -> None:
    letter = section("10160-0", to("MedicationRequest/w"), to("MedicationRequest/d"), type="34117-2")
    orders = [WARD, order("d", "Oxycodone", "discharge", authoredOn=HANDED)]
    found = context(Composition=[letter], MedicationRequest=orders)
    assert lists(found) == {"hospital": ["Apixaban"], "discharge": ["Oxycodone"]}


@pytest.mark.parametrize(
    "more", [{"status": "completed"}, {"dosageInstruction": [{"text": "1 L", "route": {"text": "Intravenous"}}]}]
)
def test_a_listed_order_of_the_ward_that_is_none_for_home_is_asked_about(more: dict[str, Any]) -> None:
    found = context(Composition=[section("10183-2", to("MedicationRequest/w"))], MedicationRequest=[WARD | more])
    assert lists(found) == {"hospital": ["Apixaban"]}
    assert "Apixaban: an order of the ward, completed or into a vein, which a list of discharge" in asked(found)


def test_a_section_in_words_only_is_shown_and_asked_about() -> None:
    words = section("10183-2", text={"div": "<div>Ramipril 5 mg daily<br/>Digoxin 0.1 mg</div>"}, title="Medication")
    found = context(Composition=[words])
    assert "Medication: a list of discharge medicines in words only" in asked(found)
    assert "Ramipril 5 mg daily Digoxin 0.1 mg" in asked(found)
    assert any("Ramipril 5 mg daily" in note.text for note in found.notes)
