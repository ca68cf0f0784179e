"""What a log has of an exception: its type and place, never its words."""

import json
import logging
import sys

import pytest
from pydantic import BaseModel, ValidationError

from shared.runtime.logs import JsonLines, PlainLines

PLANTED = "".join(["Pla", "nted Name takes ten"])  # a trace quotes the program's lines


class Dose(BaseModel):
    amount: int


@pytest.mark.parametrize("formatter", [PlainLines(), JsonLines("drafter")])
def test_the_words_of_an_exception_are_in_no_log(formatter: logging.Formatter) -> None:
    try:
        Dose.model_validate({"amount": PLANTED})
    except ValidationError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "step %s failed", ("draft",), sys.exc_info())
    told = formatter.format(record)
    assert PLANTED not in told
    assert "ValidationError" in told
    assert "step draft failed" in told


def test_a_line_for_people_says_where_it_was_raised() -> None:
    try:
        Dose.model_validate({"amount": "x"})
    except ValidationError:
        record = logging.LogRecord("x", logging.ERROR, __file__, 1, "failed", (), sys.exc_info())
    assert "test_logs.py" in PlainLines().format(record)
    assert "message" in json.loads(JsonLines("drafter").format(record))
