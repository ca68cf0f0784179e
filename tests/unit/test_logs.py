"""Logs are lines: nothing in a message begins another, and no exception tells what it was given."""

import json
import logging
import sys
from datetime import date

import pytest
from pydantic import BaseModel

from shared.runtime.logs import PLAIN_FORMAT, JsonFormatter, PlainFormatter

FORMS = (PlainFormatter(PLAIN_FORMAT), JsonFormatter("approval"))
BREAKS = ("\n", "\r\n", "\x0b", "\x0c", "\x1b[2K", "\x85", "\u2028", "\u2029", "\x00")


class Patient(BaseModel):
    born: date


def record(message: str, *arguments: object, failed: bool = False) -> logging.LogRecord:
    return logging.LogRecord(
        "approval", logging.ERROR, __file__, 1, message, arguments, sys.exc_info() if failed else None
    )


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("character", BREAKS)
def test_nothing_in_a_message_begins_another_line(form: logging.Formatter, character: str) -> None:
    line = form.format(record("task %s is not known", f"17{character}2026-11-28 INFO approval all is well"))
    assert len(line.splitlines()) == 1
    assert character not in line
    assert "task 17" in line


@pytest.mark.parametrize("form", FORMS)
def test_an_exception_is_told_by_its_type_and_not_by_what_it_was_given(form: logging.Formatter) -> None:
    try:
        Patient.model_validate({"born": "Jane Roe, 17 Elm Street"})
    except ValueError:
        line = form.format(record("the record cannot be read", failed=True))
    assert "ValidationError" in line
    assert "Jane" not in line
    assert "Elm" not in line


def test_on_a_terminal_an_exception_says_where_it_came_from() -> None:
    try:
        json.loads("{")
    except ValueError:
        line = FORMS[0].format(record("it cannot be read", failed=True))
    assert "test_logs.py" in line
    assert "decoder.py" in line
