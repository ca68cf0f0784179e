"""The numbers of a text and of a FHIR record, so that a test can say which printed number has no source.

A number is a run of digits with its inner points, commas and exponent; its sign is not part of it. Two numbers are the
same if they are written alike or have the same value.
"""

import json
import re
import unicodedata
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

NUMBER = re.compile(r"[0-9]+(?:[.,][0-9]+)*(?:[eE][+-]?[0-9]+)?")
DATE = re.compile(r"\b(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::\d\d(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?")
CLOCK = re.compile(r"\b\d{1,2}:\d\d(?::\d\d)?\b")
# No number of these is a finding of the patient: where a resource is kept and who defined a code.
UNPRINTED = ("system", "url", "reference", "id", "versionId", "profile", "lastUpdated")


def plain(text: str) -> str:
    """`text` in one spelling: compatibility characters, case and white space do not count."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def leaves(node: Any) -> Iterator[str]:
    """Every string and number of a FHIR element as text."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key not in UNPRINTED:
                yield from leaves(value)
    elif isinstance(node, list):
        for value in node:
            yield from leaves(value)
    elif isinstance(node, str):
        yield unicodedata.normalize("NFKC", node)
    elif isinstance(node, int | float | Decimal) and not isinstance(node, bool):
        yield str(node)


def numbers(text: str) -> set[str]:
    return set(NUMBER.findall(text))


class Sources:
    """The numbers that elements of a record account for."""

    def __init__(self, *elements: Any) -> None:
        texts = [text for element in elements for text in leaves(element)]
        self.spelled = {number for text in texts for number in numbers(text)}
        self.worth = {worth for number in self.spelled if (worth := _worth(number)) is not None}
        self.days = {day for text in texts for found in DATE.finditer(text) for day in _around(found)}

    def strangers(self, text: str) -> list[str]:
        """The numbers of `text` that none of the elements hold; a date may be one day off, in the hospital's zone."""
        text = unicodedata.normalize("NFKC", text)
        found = []
        for printed in DATE.finditer(text):
            if not set(_around(printed, 0)) <= self.days and printed[0][:10] not in self.spelled:
                found.append(printed[0])
        rest = CLOCK.sub(" ", DATE.sub(" ", text))
        return found + [number for number in NUMBER.findall(rest) if not self._holds(number)]

    def _holds(self, number: str) -> bool:
        return number in self.spelled or _worth(number) in self.worth


def _worth(number: str) -> Decimal | None:
    try:
        return Decimal(number)
    except InvalidOperation:
        return None


def _around(found: re.Match[str], days: int = 1) -> list[date]:
    """The day of a date and its neighbours: which one it is in the hospital depends on the zone."""
    try:
        day = datetime(int(found[1]), int(found[2]), int(found[3])).date()  # noqa: DTZ001 - only the day is wanted
    except ValueError:
        return []
    return [day + timedelta(shift) for shift in range(-days, days + 1)]


def shown(element: Any) -> str:
    """A record as JSON, for a failing test's message."""
    return json.dumps(element, ensure_ascii=False, indent=1, default=str)
