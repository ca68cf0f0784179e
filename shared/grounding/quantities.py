"""Numbers and dates in a text, with units: 40 mg is not 40 mmHg, 0.5 is 0.50."""

import re
from dataclasses import dataclass, replace
from datetime import date

from shared.grounding.numerals import find_numerals
from shared.grounding.units import Unit, unit_of

_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_MONTH = "|".join(f"{name}|{name[:3]}" for name in _MONTHS) + "|sept"
_DIGIT = re.compile(r"\d")
_UNIT_WORDS = re.compile(
    r"\s*-?\s*([^\s,;()\d-][^\s,;()]*|10[\^*³⁹¹x][^\s,;()]*)(?:\s([a-z°/][^\s,;()]*))?(?:\s([a-z1][^\s,;()]*))?",
    re.IGNORECASE,
)
_RANGE = re.compile(r"\s*(?:-|–|to|then|and|or|→|->)\s*")
_MARKS = ".:?!]\"'"
_AGE = re.compile(
    r"[\s-]*(?:(year|month|week|day|hour)s?[\s-]+old\b|(?:yo|y/o|y\.o\.)(?!\w)|years? of age\b)", re.IGNORECASE
)
_NUMBER = re.compile(
    r"(?<![\w.,])(?:(?<!-)[<>≤≥~])?\s?(\d{1,3}(?:,\d{3})+(?:\.\d+)?|\d+(?:[.,]\d+)?)(?:\s?(?:/|-|–|to)\s?(?=\d)|(?!\d|-?lead))",
    re.IGNORECASE,
)
_PRESSURE = re.compile(r"(?<![\w./])(\d{2,3})\s?/\s?(\d{2,3})(?![\w/]*\d)")
_NOT_UNITS = frozenset(
    ("in", "s", "d", "u", "k", "g/l/", "million", "thousand", "cells")
)  # "2 in the morning" is no length
_FRACTIONS = {"½": 0.5, "¼": 0.25, "¾": 0.75, "⅓": 1 / 3}
_FRACTION = re.compile(r"(?<![\d/.])(?:(\d) )?([1-3])/([2-4])(?![\d/])|(\d)?([½¼¾⅓])")
_DATES = (
    re.compile(r"\b(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})\b"),
    re.compile(r"\b(?P<m>\d{1,2})/(?P<d>\d{1,2})/(?P<y>\d{4}|\d{2})\b"),
    re.compile(r"\b(?P<m>0?[1-9]|1[0-2])/(?P<d>\d{1,2})\b(?!\s?/|\s?mm|\s?[a-z]*hg)", re.IGNORECASE),
    re.compile(
        rf"\b(?P<n>{_MONTH})\.?\s+(?:the\s+)?(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(?P<y>\d{{4}}))?\b", re.IGNORECASE
    ),
    re.compile(
        rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?(?P<n>{_MONTH})\.?(?:,?\s+(?P<y>\d{{4}}))?\b", re.IGNORECASE
    ),
    re.compile(r"\b(?P<d>\d{1,2})\.(?P<m>\d{1,2})\.(?P<y>\d{4})\b"),
    re.compile(rf"\b(?P<n>{_MONTH})\s+(?P<y>\d{{4}})\b", re.IGNORECASE),
)


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number in a text. `digits` is the number of decimal places; `unit` is None where none is known."""

    value: float
    digits: int
    unit: Unit | None
    start: int
    end: int
    text: str
    second_value: float | None = None  # the diastolic of a blood pressure, the upper end of a range
    age: str = ""  # "year" of "67-year-old"

    @property
    def dimension(self) -> str:
        return self.unit.dimension if self.unit else ""

    @property
    def tolerance(self) -> float:
        """Return half of the last digit that is written."""
        return 0.5 * 10.0**-self.digits * 1.0001


@dataclass(frozen=True, slots=True)
class Date:
    """A calendar day in a text; the year is None where the text has none, the day where it names a month only."""

    year: int | None
    month: int
    day: int | None
    start: int
    end: int
    text: str

    @property
    def day_of_calendar(self) -> date | None:
        """Return the day where the text states all of it and it exists, else None."""
        try:
            return date(self.year, self.month, self.day) if self.year and self.day else None
        except ValueError:
            return None

    def is_on(self, day: date) -> bool:
        """Return whether the date is this day, as far as the text states it."""
        return self.month == day.month and self.day in (None, day.day) and self.year in (None, day.year)


def find_dates(text: str) -> tuple[list[Date], str]:
    """Return the dates of `text`, and the text with them blanked out so that their digits are not read again."""
    found: list[Date] = []
    if _DIGIT.search(text) is None:
        return found, text
    for pattern in _DATES:
        for match in pattern.finditer(text):
            if (day := _parse_date(text, match)) is not None:
                found.append(day)
                text = text[: match.start()] + " " * len(match.group()) + text[match.end() :]
    return sorted(found, key=lambda item: item.start), text


def _parse_date(text: str, match: re.Match[str]) -> Date | None:
    groups = match.groupdict()
    name = (groups.get("n") or "").lower()[:3]
    month = next((i for i, item in enumerate(_MONTHS, 1) if item[:3] == name), 0) or int(groups.get("m") or 0)
    year = int(groups["y"]) if groups.get("y") else None
    year = 2000 + year if year is not None and year < 100 else year
    day = int(groups["d"]) if groups.get("d") else None
    pressure = text[match.end() :].lstrip().lower().startswith("mmhg")
    fraction = (
        "/" in match.group() and year is None and re.match(r"\s*(?:tab|table|of\b|puff)", text[match.end() :], re.I)
    )
    if not 1 <= month <= 12 or (day is not None and not 1 <= day <= 31) or pressure or fraction:
        return None
    return Date(year, month, day, match.start(), match.end(), match.group())


def find_quantities(text: str) -> list[Quantity]:
    """Return the numbers of `text` in order, in digits and in words. Remove dates first (`find_dates`)."""
    found: list[Quantity] = []
    if _DIGIT.search(text) is not None or any(sign in text for sign in _FRACTIONS):
        for match in _FRACTION.finditer(text):
            found.append(_parse_fraction(text, match))
            text = _blank_out(text, found[-1])
        for match in _PRESSURE.finditer(text):
            found.append(_quantity_at(text, match.start(), match.end(), float(match[1]), 0, float(match[2])))
            text = _blank_out(text, found[-1])
        behind = 0
        for match in _NUMBER.finditer(text):
            if match.start(1) >= behind:  # the 3 of `10^3/µL` is no number
                found.append(
                    _quantity_at(text, match.start(), match.end(1), _parse_number(match[1]), _count_decimals(match[1]))
                )
                behind = found[-1].end
    for numeral in find_numerals(text):
        quantity = _quantity_at(text, numeral.start, numeral.end, numeral.value, 0)
        if quantity.unit is not None or quantity.age or (numeral.value > 1 and numeral.value == int(numeral.value)):
            found.append(quantity)
    return _share_units(sorted(found, key=lambda quantity: quantity.start), text)


def _share_units(found: list[Quantity], text: str) -> list[Quantity]:
    """Give the 20 of "from 20 to 80 mg" its unit."""
    for index in range(len(found) - 2, -1, -1):
        one, other = found[index], found[index + 1]
        between = text[one.end : other.start]
        if one.unit is None and not one.age and other.unit is not None and _RANGE.fullmatch(between):
            found[index] = replace(one, unit=other.unit)
    return found


def _blank_out(text: str, quantity: Quantity) -> str:
    return text[: quantity.start] + " " * (quantity.end - quantity.start) + text[quantity.end :]


def _parse_fraction(text: str, match: re.Match[str]) -> Quantity:
    if match[5]:
        value = float(match[4] or 0) + _FRACTIONS[match[5]]
    else:
        value = float(match[1] or 0) + int(match[2]) / int(match[3])
    return _quantity_at(text, match.start(), match.end(), value, 2)


def _parse_number(digits: str) -> float:
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?", digits):
        return float(digits.replace(",", ""))
    return float(digits.replace(",", "."))


def _count_decimals(digits: str) -> int:
    if re.fullmatch(r"\d{1,3}(?:,\d{3})+", digits):
        return 0
    return len(re.split(r"[.,]", digits)[-1]) if re.search(r"[.,]", digits) else 0


def _quantity_at(text: str, start: int, end: int, value: float, digits: int, second: float | None = None) -> Quantity:
    aged = _AGE.match(text, end)
    if aged is not None:
        return Quantity(value, digits, None, start, aged.end(), text[start : aged.end()].strip(), age=aged[1] or "year")
    unit, stop = _unit_at(text, end)
    return Quantity(value, digits, unit, start, stop, text[start:stop].strip(), second)


def _unit_at(text: str, end: int) -> tuple[Unit | None, int]:
    """Return the longest known unit after a number, and where it ends."""
    match = _UNIT_WORDS.match(text, end)
    if match is None:
        return None, end
    words = [match[1], *(word for word in (match[2], match[3]) if word)]
    for size in range(len(words), 0, -1):
        written = text[match.start(1) : match.end(size)].rstrip(_MARKS)
        unit = unit_of(written)
        if unit is not None and written not in _NOT_UNITS:
            return unit, match.start(1) + len(written)
    return None, end
