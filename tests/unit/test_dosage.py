"""Orders in the words of a prescription: every dosage, every digit, whichever way it is recorded."""

from decimal import Decimal
from typing import Any

import pytest

from services.drafter.record.dosage import read_dosage
from services.drafter.record.timing import format_timing


def repeat(**elements: Any) -> dict[str, Any]:
    return {"repeat": elements}


@pytest.mark.parametrize(
    ("element", "words"),
    [
        (repeat(frequency=1, period=1, periodUnit="d"), "once daily"),
        (repeat(frequency=3, period=Decimal("1.0"), periodUnit="d"), "three times daily"),
        (repeat(frequency=5, period=1, periodUnit="d"), "5 times daily"),
        (repeat(frequency=1, period=8, periodUnit="h"), "every 8 hours"),
        (repeat(frequency=1, period=6, periodMax=8, periodUnit="h"), "every 6-8 hours"),
        (repeat(frequency=1, period=2, periodUnit="d"), "every other day"),
        (repeat(frequency=1, period=1, periodUnit="wk"), "once a week"),
        (repeat(frequency=2, period=1, periodUnit="wk"), "twice a week"),
        (repeat(frequency=1, period=3, periodUnit="mo"), "every 3 months"),
        (repeat(frequency=1, frequencyMax=2, period=1, periodUnit="d"), "1-2 times daily"),
        (repeat(frequency=1, period=1, periodUnit="wk", dayOfWeek=["mon", "thu"]), "every week on Monday and Thursday"),
        (repeat(frequency=2, period=1, periodUnit="d", timeOfDay=["08:00:00", "20:00:00"]), "daily at 08:00 and 20:00"),
        (repeat(when=["CM", "CV"]), "with breakfast and with dinner"),
        (repeat(when=["ACM"], offset=30), "30 minutes before breakfast"),
        ({"code": {"text": "BID"}}, "twice daily"),
        ({"code": {"coding": [{"code": "Q12H"}]}}, "every 12 hours"),
        (
            repeat(frequency=1, period=1, periodUnit="d", boundsDuration={"value": 5, "code": "d"}),
            "once daily for 5 days",
        ),
        (repeat(boundsPeriod={"start": "2026-06-04", "end": "2026-06-11"}), "from 2026-06-04 until 2026-06-11"),
        (repeat(count=3), "3 doses in all"),
        ({"repeat": "dirt"}, ""),
        ("dirt", ""),
    ],
)
def test_timing_in_words(element: Any, words: str) -> None:
    assert format_timing(element) == words


def order(*lines: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "MedicationRequest", "id": "m", "dosageInstruction": list(lines)}


def dose(value: Any, unit: str = "mg") -> dict[str, Any]:
    return {"doseAndRate": [{"doseQuantity": {"value": value, "unit": unit}}]}


DAILY = repeat(frequency=1, period=1, periodUnit="d")
RANGE = {"low": {"value": 1, "unit": "g"}, "high": {"value": 2, "unit": "g"}}
FOUR_A_DAY = {"numerator": {"value": 4, "unit": "g"}, "denominator": {"value": 24, "code": "h"}}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (dose(0.125) | {"route": {"text": "oral"}}, "0.125 mg oral"),
        (dose(Decimal("0.0625")), "0.0625 mg"),
        (dose(Decimal("40.0")), "40 mg"),
        (
            {"text": "35mg", "route": {"text": "PO"}, "timing": repeat(frequency=1, period=1, periodUnit="wk")},
            "35mg, PO, once a week",
        ),
        ({"text": "1 tablet by mouth daily", "route": {"text": "Oral"}, "timing": DAILY}, "1 tablet by mouth daily"),
        ({"text": "100mcg", "asNeededBoolean": True}, "100mcg, as needed"),
        ({"text": "2 puffs", "asNeededCodeableConcept": {"text": "Wheezing"}}, "2 puffs, as needed for wheezing"),
        ({"doseAndRate": [{"doseRange": RANGE}]}, "1-2 g"),
        ({"doseAndRate": [{"rateQuantity": {"value": 83, "unit": "mL/h"}}]}, "at 83 mL/h"),
        (dose(1, "g") | {"maxDosePerPeriod": FOUR_A_DAY}, "1 g, at most 4 g in 24 hours"),
        (dose(1, "drop") | {"site": {"text": "Left eye"}}, "1 drop to the Left eye"),
        ({"text": "1 tab", "patientInstruction": "Take with food."}, "1 tab, Take with food"),
    ],
)
def test_a_dosage_says_what_its_words_and_its_structure_say(line: dict[str, Any], words: str) -> None:
    assert read_dosage(order(line)).directions == words


def test_every_dosage_is_told_in_its_sequence() -> None:
    lines = ({"sequence": 2, "text": "then 20 mg daily"}, {"sequence": 1, "text": "40 mg daily for 5 days"})
    assert read_dosage(order(*lines)).directions == "40 mg daily for 5 days; then 20 mg daily"


def test_the_ordered_dose_counts_where_several_are_told() -> None:
    doses = [
        {"type": {"text": "admin-amount"}, "doseQuantity": {"value": 1, "unit": "tablet"}},
        {"type": {"coding": [{"code": "ordered"}]}, "doseQuantity": {"value": 37.5, "unit": "mg"}},
    ]
    assert read_dosage(order({"doseAndRate": doses})).amount == "37.5 mg"


@pytest.mark.parametrize("text", ["from 01.12.2026 10 mg", "1.2.3", "m² 1.8", "½ Tablette", "", "–"])
def test_no_odd_words_stop_a_dosage(text: str) -> None:
    assert read_dosage(order({"text": text})).directions == text.rstrip(".;, ")


def once(text: str, value: float, unit: str, **repeated: Any) -> Any:
    line: dict[str, Any] = {"text": text, "doseAndRate": [{"doseQuantity": {"value": value, "unit": unit}}]}
    return read_dosage(order(line | ({"timing": repeat(**repeated)} if repeated else {})))


@pytest.mark.parametrize(
    ("text", "value", "unit", "per"),
    [
        ("25-100mg PO daily", 100, "mg", 1),
        ("2.5-5mg PO BID", 5, "mg", 2),
        ("15U SC TID", 5, "U", 3),
        ("Take 12 mg daily", 2, "mg", 1),
        ("875/125mg PO BID", 125, "mg", 2),
        ("1 tablet twice daily", 1, "tablet", 1),
        ("10mg PO weekly", 10, "mg", 1),
    ],
)
def test_words_and_structure_that_differ_leave_a_doubt(text: str, value: float, unit: str, per: int) -> None:
    found = once(text, value, unit, frequency=per, period=1, periodUnit="d")
    assert found.doubt
    assert found.directions.startswith(text)


@pytest.mark.parametrize(
    ("text", "value", "unit", "per"),
    [
        ("Take 5 mg by mouth twice daily", 5, "mg", 2),
        ("0,5 mg once daily", 0.5, "mg", 1),
        ("1 tablet (500 mg) every 8 hours", 500, "mg", 3),
        ("2 tablets at bedtime", 500, "mg", 1),
        ("62.5 mcg daily", 0.0625, "mg", 1),
        ("0,1 g daily", 100, "mg", 1),
    ],
)
def test_words_and_structure_that_agree_leave_none(text: str, value: float, unit: str, per: int) -> None:
    assert not once(text, value, unit, frequency=per, period=1, periodUnit="d").doubt


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ({"text": "2 x 500mg tablets", "timing": repeat(frequency=2, period=1, periodUnit="d")}, "twice daily"),
        (
            {"text": "Take 10 mg for 12 weeks", "timing": repeat(frequency=1, period=1, periodUnit="wk")},
            "once a week",
        ),
        ({"text": "Take 5 mg every day", "timing": repeat(boundsDuration={"value": 5, "code": "d"})}, "for 5 days"),
        (
            {"text": "8 mg one hour before meals", "timing": repeat(frequency=1, period=8, periodUnit="h")},
            "every 8 hours",
        ),
        (
            {"text": "1 tablet by mouth", "patientInstruction": "Stop all other oral anticoagulants"},
            "Stop all other oral anticoagulants",
        ),
    ],
)
def test_what_only_the_structure_says_is_told_beside_the_words(line: dict[str, Any], words: str) -> None:
    assert words in read_dosage(order(line)).directions


def test_a_step_of_a_taper_that_comes_again_is_told_again() -> None:
    steps = [{"text": f"{step} mg for 3 days"} for step in (40, 20, 10, 20)]
    assert read_dosage(order(*steps)).directions.count("20 mg") == 2


@pytest.mark.parametrize(
    ("text", "value", "unit", "is_said"),
    [
        ("40 mg twice daily for 8 weeks, then 40 mg once daily", 56, "d", True),
        ("6 puffs every 4 hours for 24 hours", 1, "d", True),
        ("once daily in the morning for 2 more days", 2, "d", True),
        ("morgens 1 Tablette über 2 Wochen", 14, "d", True),
        ("1x per dag gedurende 10 dagen", 10, "d", True),
        ("1 tablet a day for three weeks", 21, "d", True),
        ("1 tablet every 8 weeks", 56, "d", False),
        ("1 tablet every 2 days", 2, "d", False),
        ("1 tablet a day for 7 days", 14, "d", False),
    ],
)
def test_a_length_that_the_words_tell_in_another_unit_is_told_once(
    text: str, value: int, unit: str, is_said: bool
) -> None:
    line = {"text": text, "timing": repeat(boundsDuration={"value": value, "code": unit})}
    said = read_dosage({"dosageInstruction": [line]}).directions
    assert (said == text) is is_said


@pytest.mark.parametrize(
    ("text", "value", "unit", "told"),
    [
        ("62.5 mcg every other day", 0.0625, "mg", False),
        ("1 g at night", 1000, "mg", False),
        ("500 mg at night", 0.25, "g", True),
        ("125 mg/5 mL at night", 0.125, "g", True),
        ("1 maal per dag 2 tabletten", 20, "mg", True),
    ],
)
def test_an_amount_that_the_words_give_in_another_unit_is_told_once(
    text: str, value: float, unit: str, told: bool
) -> None:
    found = read_dosage(
        order({"text": text, "doseAndRate": [{"doseQuantity": {"value": value, "unit": unit}}]})
    ).directions
    assert (f"{value:g} {unit}" in found) is told


def test_once_a_day_in_dutch_is_told_once() -> None:
    line = {"text": "1 maal per dag 6 stuks", "timing": repeat(frequency=1, period=1, periodUnit="d")}
    assert read_dosage(order(line)).directions == "1 maal per dag 6 stuks"
