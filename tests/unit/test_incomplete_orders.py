"""What an order does not say is asked for: the amount, the frequency, the computed dose, the order of its steps."""

from typing import Any

import pytest

from services.drafter.record import build_context
from services.drafter.record.dosage import read_dosage
from tests.unit.test_record import observation, order, record

DAILY = {"timing": {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}}
FIVE = {"doseAndRate": [{"doseQuantity": {"value": 5, "unit": "mg"}}]}
ORAL = {"route": {"text": "oral"}}


def points(*lines: dict[str, Any], category: str = "discharge", **entries: list[dict[str, Any]]) -> str:
    """The open points about a medicine whose order has these dosages."""
    found = order("m", "Testopril", category, dosageInstruction=list(lines))
    context = build_context(record({"MedicationRequest": [found], **entries}))
    return "\n".join(point.text for point in context.open_points if point.text.startswith("Testopril"))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({}, "neither dose nor how often"),
        (ORAL, "neither dose nor how often"),
        ({"text": "as directed"}, "neither dose nor how often"),
        ({"text": "nach Plan"}, "neither dose nor how often"),
        ({"text": "siehe Medikationsplan"}, "neither dose nor how often"),
        ({"text": "volgens schema trombosedienst"}, "neither dose nor how often"),
        ({"text": "Use as needed"}, "amount"),
        ({"text": "bei Bedarf"}, "amount"),
        ({"text": "5 mg as needed"}, "how often at most"),
        ({"text": "2x500mg"}, "does not say the frequency"),
        ({"text": "Take daily"}, "does not say the amount"),
        ({"text": "1x tgl."}, "does not say the amount"),
        (ORAL | DAILY, "does not say the amount"),
        (ORAL | FIVE, "does not say the frequency"),
        ({"text": "40 mg for 3 days"}, "does not say the frequency"),
        (FIVE | {"timing": {"code": {"text": "as directed"}}}, "does not say the frequency"),
        (FIVE | {"timing": {"code": {"coding": [{"code": "XQ7"}]}}}, "does not say the frequency"),
        (FIVE | {"timing": {"repeat": {"boundsDuration": {"value": 5, "code": "d"}}}}, "does not say the frequency"),
    ],
)
@pytest.mark.parametrize("category", ["discharge", "community"])
def test_what_an_order_does_not_say_is_asked(line: dict[str, Any], words: str, category: str) -> None:
    assert words in points(line, category=category)


def test_a_supply_says_neither_amount_nor_frequency() -> None:
    supplied = {"expectedSupplyDuration": {"value": 30, "code": "d"}}
    found = order("m", "Testopril", "discharge", dispenseRequest=supplied, dosageInstruction=[])
    context = build_context(record({"MedicationRequest": [found]}))
    assert any("neither dose nor how often" in point.text for point in context.open_points)


@pytest.mark.parametrize(
    "line",
    [
        FIVE | DAILY,
        {"text": "1 tablet by mouth daily"},
        {"text": "Take one at night as directed"},
        {"text": "Take 2 tablets by mouth twice daily as directed by your doctor"},
        {"text": "1-0-1"},
        {"text": "½-0-½ Tbl."},
        {"text": "10-8-12 IE"},
        {"text": "2dd1"},
        {"text": "3x1"},
        {"text": "Mo, Mi, Fr 1 Tbl"},
        {"text": "i tab po qd"},
        {"text": "1 maal per dag 1 stuk"},
        {"text": "1 Hub alle 6 Stunden bei Bedarf"},
        {"text": "Apply a thin layer to the rash twice daily"},
        {"text": "2 puffs every 4-6 hours as needed"},
        {"text": "1 comprimé matin et soir"},
        {"text": "3x täglich 20 Tropfen"},
        FIVE | {"asNeededCodeableConcept": {"text": "pain"}},
        FIVE | {"text": "at 08:00"},
        FIVE | {"timing": {"code": {"text": "BID"}}},
        FIVE | {"timing": {"event": ["2026-06-06"]}},
        {"timing": {"code": {"text": "1-0-0-0"}}},
        {"doseAndRate": [{"rateQuantity": {"value": 83, "unit": "mL/h"}}]},
    ],
)
def test_an_order_that_says_how_much_and_how_often_asks_nothing(line: dict[str, Any]) -> None:
    assert points(line) == ""


def test_each_step_of_an_order_says_how_much() -> None:
    assert "frequency" in points(FIVE | DAILY, FIVE | {"sequence": 2})
    assert points({"text": "40 mg daily for 5 days", "sequence": 1}, {"text": "then stop", "sequence": 2}) == ""


def doses(*quantities: tuple[str, float, str]) -> dict[str, Any]:
    found = [
        {"type": {"coding": [{"code": code}]}, "doseQuantity": {"value": value, "unit": unit}}
        for code, value, unit in quantities
    ]
    return {"doseAndRate": found}


PER_KG = ("ordered", 15, "mg/kg")
WEIGHT = {
    "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
    "category": [{"coding": [{"code": "vital-signs"}]}],
    "valueQuantity": {"value": 21.4, "unit": "kg"},
    "referenceRange": [],
}


@pytest.mark.parametrize("given", [(PER_KG, ("calculated", 300, "mg")), (("calculated", 300, "mg"), PER_KG)])
def test_a_dose_per_kg_stands_beside_the_computed_one(given: Any) -> None:
    line = doses(*given) | DAILY
    assert read_dosage({"dosageInstruction": [line]}).directions == "300 mg (15 mg/kg) once daily"
    assert points(line) == ""


@pytest.mark.parametrize(
    "line",
    [
        doses(PER_KG) | DAILY,
        {"text": "15 mg/kg every 6 hours, max 1 g per dose"},
        {"text": "15 mg per kg (100 mg/5 mL) every 6 hours"},
        {"doseAndRate": [{"rateQuantity": {"value": 15, "code": "mg/kg/h"}}]},
        doses(("ordered", 15, "mg/m2")) | DAILY,
    ],
)
def test_a_dose_that_is_only_per_kg_is_asked_for_with_the_last_weight(line: dict[str, Any]) -> None:
    assert "no body weight is recorded" in points(line)
    weight = observation("w", "2026-06-02", 1) | WEIGHT
    assert "body weight 21.4 kg on 2026-06-02" in points(line, Observation=[weight])


@pytest.mark.parametrize("text", ["15 mg/kg = 300 mg every 6 hours", "300 mg (15 mg/kg) every 6 hours"])
def test_words_that_say_the_computed_dose_leave_nothing_open(text: str) -> None:
    assert points({"text": text}) == ""
    assert points(doses(PER_KG) | {"text": text}) == ""


def quantity(value: float, unit: str = "mg") -> dict[str, Any]:
    return {"doseAndRate": [{"doseQuantity": {"value": value, "unit": unit}}]}


@pytest.mark.parametrize(
    "line",
    [
        {"text": "1.250 mg täglich"} | quantity(1250),
        {"text": "1.250 mg täglich"} | quantity(1.25),
        {"text": "5.000 IE s.c. täglich"} | quantity(5000, "U"),
        {"text": "1.250 mg täglich"},
        {"text": "1,250 mg daily"} | quantity(1250),
        {"text": "3.125 mg daily"} | quantity(3125),
    ],
)
def test_a_number_that_may_be_thousands_is_asked_and_not_changed(line: dict[str, Any]) -> None:
    asked = points(line)
    assert "may have a decimal point or mark thousands" in asked
    assert line["text"] in asked


@pytest.mark.parametrize(
    "line",
    [
        {"text": "3.125 mg twice daily"},
        {"text": "3.125 mg twice daily"} | quantity(3.125),
        {"text": "5,000 units daily"},
        {"text": "0.125 mg daily"} | quantity(0.125),
        {"text": "1250 mg daily"} | quantity(1250),
    ],
)
def test_a_number_that_has_one_reading_is_not_asked(line: dict[str, Any]) -> None:
    assert points(line) == ""
