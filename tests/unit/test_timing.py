"""How often, and in which units: codes and schemes are told in words, weekly doses are unmistakable."""

from typing import Any

import pytest

from services.drafter.record.dosage import read_dosage
from services.drafter.record.dose_units import format_dose
from services.drafter.record.timing import format_timing


def weekly(*days: str, **more: Any) -> str:
    return format_timing({"repeat": {"frequency": 1, "period": 1, "periodUnit": "wk", "dayOfWeek": list(days)} | more})


def test_a_weekly_dose_is_not_one_monday() -> None:
    assert weekly("mon") == "once a week, on Monday"
    assert weekly("mon", periodUnit="d") == "once a week, on Monday"
    assert weekly("mon", frequency=None, period=None) == "once a week, on Monday"
    assert weekly("mon", "tue", "wed", "thu", "fri", "sat", "sun", periodUnit="d") == "once daily"
    assert weekly("mon", period=2) == "every 2 weeks, on Monday"
    assert weekly("mon", "thu", frequency=2) == "twice a week, on Monday and Thursday"
    assert weekly("mon", "thu") == "every week on Monday and Thursday"
    assert weekly("mon", when=["MORN"]) == "once a week, on Monday, in the morning"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("TIW", "three times a week"),
        ("tiw", "three times a week"),
        ("BIW", "twice a week"),
        ("Q2W", "every 2 weeks"),
        ("Q2WK", "every 2 weeks"),
        ("QWK", "once a week"),
        ("Q1W", "every week"),
        ("QOW", "every other week"),
        ("Q3MO", "every 3 months"),
        ("MANE", "in the morning"),
        ("mane", "in the morning"),
        ("NOCTE", "at night"),
        ("AC&HS", "before meals and at bedtime"),
        ("TIDAC", "three times daily before meals"),
        ("Q1H", "every hour"),
        ("3dd", "three times daily"),
        ("3x tgl", "three times daily"),
        ("1-0-1", "1-0-1 (1 in the morning, 1 in the evening)"),
        ("½-0-0-2", "½-0-0-2 (½ in the morning, 2 at night)"),
        ("once weekly", "once weekly"),
        ("XQ7", "timing code XQ7"),
    ],
)
def test_a_timing_code_is_told_in_words(code: str, words: str) -> None:
    assert format_timing({"code": {"text": code}}) == words
    assert format_timing({"code": {"coding": [{"code": code}]}}) == words


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("1-0-1", "1-0-1 (1 in the morning, 1 in the evening)"),
        ("0-0-0-12 IE", "0-0-0-12 IE (12 at night)"),
        ("1 tab TIW", "1 tab TIW (three times a week)"),
        ("5 mg mane", "5 mg mane (in the morning)"),
        ("from 01-02-2026 5 mg daily", "from 01-02-2026 5 mg daily"),
    ],
)
def test_a_scheme_in_words_is_explained(text: str, meant: str) -> None:
    assert read_dosage({"dosageInstruction": [{"text": text}]}).directions == meant


def test_words_of_a_day_and_a_weekly_structure_leave_a_doubt() -> None:
    structure = {"repeat": {"frequency": 1, "period": 1, "periodUnit": "wk", "dayOfWeek": ["mon"]}}

    def said(text: str) -> Any:
        return read_dosage({"dosageInstruction": [{"text": text, "timing": structure}]})

    assert said("15 mg daily").doubt
    assert not said("15 mg once a week on Monday").doubt
    assert said("15 mg once a week on Monday").directions == "15 mg once a week on Monday"
    assert said("15 mg on Monday").directions == "15 mg on Monday, once a week, on Monday"


@pytest.mark.parametrize(
    ("value", "unit", "told"),
    [
        (2, "{puff}", "2 puffs"),
        (1, "{puff}", "1 puff"),
        (3, "[drp]", "3 drops"),
        (10, "U", "10 units"),
        (1, "U", "1 unit"),
        (8, "[iU]", "8 units"),
        (1000, "IU", "1000 units"),
        (0.5, "{tbl}", "0.5 tablet"),
        (2, "{tbl}", "2 tablets"),
        (2, "{spray}", "2 sprays"),
        (2, "TAB", "2 tablets"),
        (1, "{applicatorful}", "1 applicatorful"),
        (2, "{SUPPOSITORY}", "2 suppositories"),
        (5, "M[iU]", "5 million units"),
        (0.1, "U/kg/h", "0.1 units/kg/h"),
        (100, "ug", "100 µg"),
        (2, "1", "2"),
        (24, "IE", "24 IE"),
        (2, "{my_thing}", "2 my thing"),
        (2, "732936001", "2 tablets"),
        (2, "428673006", "2 (unit code 428673006)"),
    ],
)
def test_a_unit_is_written_as_clinicians_write_it(value: float, unit: str, told: str) -> None:
    assert format_dose({"value": value, "code": unit}) == told


def test_a_unit_is_known_in_the_words_of_a_dosage() -> None:
    line = {"text": "10U SC at night", "doseAndRate": [{"doseQuantity": {"value": 10, "code": "[iU]"}}]}
    assert read_dosage({"dosageInstruction": [line]}).directions == "10U SC at night"


def test_the_unit_that_the_author_wrote_comes_before_its_code() -> None:
    assert format_dose({"value": 2, "unit": "Stück", "code": "{Stueck}"}) == "2 Stück"
    assert format_dose({"value": 2, "unit": "int'l unit", "code": "[iU]"}) == "2 units"
    assert format_dose({"value": 2, "unit": "Tablette", "code": "1"}) == "2 Tablette"
