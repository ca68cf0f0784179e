"""Several dosages of one order: what follows the other, and what is taken together."""

from typing import Any

import pytest

from services.drafter.record.dosage import Dosage, read_dosage


def step(value: float, sequence: int | None = None, **repeat: Any) -> dict[str, Any]:
    repeated = {"frequency": 1, "period": 1, "periodUnit": "d"} | repeat
    amount = {"doseAndRate": [{"doseQuantity": {"value": value, "unit": "mg"}}]}
    return amount | {"timing": {"repeat": repeated}} | ({"sequence": sequence} if sequence is not None else {})


def told(*lines: dict[str, Any]) -> Dosage:
    return read_dosage({"dosageInstruction": list(lines)})


def days(count: int) -> dict[str, Any]:
    return {"boundsDuration": {"value": count, "code": "d"}}


def dates(start: str, end: str) -> dict[str, Any]:
    return {"boundsPeriod": {"start": start, "end": end}}


def test_steps_follow_each_other_with_their_durations() -> None:
    found = told(step(20, 2, **days(5)), step(40, 1, **days(5)), step(10, 3))
    assert found.directions == "40 mg once daily for 5 days; then 20 mg once daily for 5 days; then 10 mg once daily"
    assert not found.steps


def test_dates_make_steps_without_a_sequence() -> None:
    found = told(step(20, **dates("2026-06-09", "2026-06-13")), step(40, **dates("2026-06-04", "2026-06-08")))
    assert "40 mg once daily from 2026-06-04 until 2026-06-08; then 20 mg" in found.directions
    assert not found.steps


@pytest.mark.parametrize("sequence", [None, 1])
def test_concurrent_dosages_are_joined(sequence: int | None) -> None:
    found = told(step(10, sequence, when=["MORN"]), step(5, sequence, when=["EVE"]))
    assert found.directions == "10 mg in the morning; and 5 mg in the evening"
    assert not found.steps


def test_numbered_doses_of_one_day_are_taken_on_that_day() -> None:
    found = told(step(10, 1, when=["MORN"]), step(5, 2, when=["EVE"]))
    assert found.directions == "10 mg in the morning; and 5 mg in the evening"


@pytest.mark.parametrize(
    "lines",
    [
        (step(40, 1), step(20, 2)),  # nothing says when the first ends
        (step(40, **days(5)), step(20, **days(5))),  # together, or one after the other?
        (step(40, 1, **dates("2026-06-04", "2026-06-10")), step(20, 2, **dates("2026-06-07", "2026-06-12"))),
        (step(40), step(40)),  # stated twice
    ],
)
def test_what_the_record_leaves_open_of_steps_is_open(lines: Any) -> None:
    assert told(*lines).steps


def test_words_that_say_then_are_not_told_twice() -> None:
    lines = ({"sequence": 1, "text": "40 mg daily for 5 days"}, {"sequence": 2, "text": "danach 20 mg täglich"})
    assert told(*lines).directions == "40 mg daily for 5 days; danach 20 mg täglich"
    numbered = ({"text": "Tag 1: 2-0-0"}, {"text": "Tag 2: 1-0-0"})
    assert "; then Tag 2" in told(*numbered).directions


def test_a_dosage_that_is_stated_twice_is_not_doubled() -> None:
    assert told(step(40), step(40)).directions == "40 mg once daily (stated twice)"
