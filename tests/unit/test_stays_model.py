"""How a document is held against a sheet."""

from typing import Any

import pytest

from tests.stays.build import Chart
from tests.stays.model import Document, Stay, evaluate, items
from tests.stays.quality import failing, share, tables
from tests.stays.words import AS_NEEDED, TWICE, day, item, mg, number, taken, together

TEXT = """DISCHARGE SUMMARY

Patient: Robin Example
SIGNIFICANT FINDINGS
Abnormal laboratory results:
  - Potassium 6.6 mmol/L
    (critically high)
  - Panel:
    - Sodium 128 mmol/L
INSTRUCTIONS FOR PATIENT AND FAMILY
Medications to take at home:
  - metoprolol 12.5 mg twice daily
Medications not to take:
  - On hold: lisinopril 20 mg
"""


def stay(*facts: tuple[bool, Any], expect: Any = "draft") -> Stay:
    chart = Chart("one", "test", "", start="2026-01-01", end="2026-01-02")
    for never, pattern in facts:
        (chart.never if never else chart.says)("critical", "laboratory", "a fact", pattern)
    return chart.stay(expect=expect)


def result(pattern: Any, never: bool = False, **document: Any) -> str:
    rows = evaluate(stay((never, pattern)), Document(**({"text": TEXT} | document)))
    return rows[-1].result


def test_an_item_has_its_wrapped_lines_and_its_deeper_bullets() -> None:
    assert items(TEXT) == [
        ("title", "DISCHARGE SUMMARY"),
        ("DISCHARGE SUMMARY / ", "Patient: Robin Example"),
        ("SIGNIFICANT FINDINGS / Abnormal laboratory results", "Potassium 6.6 mmol/L (critically high)"),
        ("SIGNIFICANT FINDINGS / Abnormal laboratory results", "Panel:; Sodium 128 mmol/L"),
        ("INSTRUCTIONS FOR PATIENT AND FAMILY / Medications to take at home", "metoprolol 12.5 mg twice daily"),
        ("INSTRUCTIONS FOR PATIENT AND FAMILY / Medications not to take", "On hold: lisinopril 20 mg"),
    ]


def test_what_must_be_said_is_right_in_any_way_and_only_under_its_heading() -> None:
    assert result(item("potassium", number("6.6"), under=("abnormal",))) == "right"
    assert result(item("potassium", number("6.6"), under=("within range",))) == "missing"
    assert result(item("potassium", not_under=("abnormal",))) == "missing"
    assert result(item("potassium", "sodium")) == "missing"
    assert result(together("potassium", "sodium", under=("abnormal",))) == "right"


def test_what_must_never_be_said_may_stand_under_a_heading_that_says_the_opposite() -> None:
    assert result("lisinopril", never=True) == "right"
    assert result("metoprolol", never=True) == "wrong"


def test_what_stands_beside_the_document_counts_only_where_a_fact_says_so() -> None:
    chart = Chart("one", "test", "", start="2026-01-01", end="2026-01-02")
    chart.says("medium", "diagnosis", "told somewhere", "endocarditis", anywhere=True)
    chart.says("medium", "diagnosis", "told in the document", "endocarditis")
    rows = evaluate(chart.stay(), Document(TEXT, ("Diagnosis: Endocarditis, refuted",)))
    assert [row.result for row in rows] == ["right", "right", "missing"]


def test_without_a_document_nothing_is_right() -> None:
    rows = evaluate(stay((False, "x"), (True, "y")), Document(refused="not drafted"))
    assert [row.result for row in rows] == ["missing", "missing", "not drafted"]
    assert [row.seen for row in rows] == ["not drafted", None, None]
    assert len(failing(rows)) == 3
    assert share(rows) == 0


def test_what_is_no_stay_must_not_be_drafted() -> None:
    assert evaluate(stay(expect="no-draft"), Document(refused="no stay"))[0].result == "right"
    assert evaluate(stay(expect="no-draft"), Document(TEXT))[0].result == "wrong"


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        (mg("2.5"), "take 12.5 mg", False),
        (mg("2.5"), "take 2.50 mg", True),
        (mg("5"), "take 5.0mg", True),
        (mg("5"), "take 0.5 mg", False),
        (number("12500"), "12,500 /uL", True),
        (number("1.05"), "1.055", False),
        (day("2026-03-05"), "on 5 March 2026", True),
        (day("2026-03-05"), "on 2026-03-05", True),
        (day("2026-03-05"), "on 15 March 2026", False),
        (TWICE, "every 12 hours", True),
        (TWICE, "2 times a day", True),
        (TWICE, "every 2 days", False),
        (AS_NEEDED, "when needed for wheeze", True),
    ],
)
def test_words_of_prescribers_match_what_they_mean(pattern: str, text: str, found: bool) -> None:
    chart = Chart("one", "test", "", start="2026-01-01", end="2026-01-02")
    chart.says("medium", "dose", "x", pattern)
    assert (evaluate(chart.stay(), Document(f"TITLE\n{text}"))[-1].result == "right") == found


def test_a_medicine_is_taken_only_where_the_reader_is_told_to_take_it() -> None:
    assert result(taken("metoprolol", mg("12.5"), TWICE)) == "right"
    assert result(taken("lisinopril")) == "missing"
    held = TEXT.replace("metoprolol 12.5 mg twice daily", "metoprolol 12.5 mg twice daily: on hold")
    assert result(taken("metoprolol"), text=held) == "missing"


def test_the_table_counts_what_should_be_there_is_there_and_is_wrong() -> None:
    rows = evaluate(stay((False, "potassium"), (False, "chloride"), (True, "metoprolol")), Document(TEXT))
    (line,) = [line for line in tables(rows).splitlines() if line.startswith("1 stays")]
    assert line.split()[2:] == ["3", "2", "1", "1", "50.0"]
