"""Numbers and dates in a text, with their units, so that 40 mg is not 40 mmHg and 0.5 is 0.50."""

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal["number", "dose", "duration"]

_COUNTED = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen",
)  # fmt: skip
_WORDS = {word: number for number, word in enumerate(_COUNTED)}
# How units are written → what they are. Doses and durations belong to a medicine where one is near.
_UNITS = {
    "mg": "mg", "milligram": "mg", "milligrams": "mg", "g": "g", "gram": "g", "grams": "g", "mcg": "mcg", "µg": "mcg",
    "ml": "ml", "l": "l", "units": "units", "unit": "units", "tablet": "tablet", "tablets": "tablet", "puffs": "puff",
    "puff": "puff", "meq": "meq", "iu": "units",
    "hour": "hour", "hours": "hour", "day": "day", "days": "day", "week": "week", "weeks": "week", "month": "month",
    "months": "month", "year": "year", "years": "year", "year-old": "year", "years-old": "year",
    "mmhg": "mmhg", "bpm": "bpm", "%": "%", "°c": "°c", "°f": "°f", "kg": "kg", "lb": "lb", "cm": "cm",
    "times": "times",
    "mg/dl": "mg/dl", "g/dl": "g/dl", "mmol/l": "mmol/l", "meq/l": "mmol/l", "u/l": "u/l", "l/min": "l/min",
    "/min": "bpm", "breaths/min": "bpm", "beats/min": "bpm", "pg/ml": "pg/ml", "ng/ml": "ng/ml", "mg/l": "mg/l",
}  # fmt: skip
_DOSES = {"mg", "g", "mcg", "ml", "units", "tablet", "puff", "meq"}
_DURATIONS = {"hour", "day", "week", "month"}
_MONTHS = (
    "january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
    "december",
)  # fmt: skip
_MONTH = "|".join(f"{name}|{name[:3]}" for name in _MONTHS)

_DIGIT = re.compile(r"\d")
_UNIT = "|".join(re.escape(unit) for unit in sorted(_UNITS, key=len, reverse=True))
_FIGURE = re.compile(rf"(?<![\w.])(\d+(?:[.,]\d+)*)(?:\s*-?\s*({_UNIT})(?![a-z/]))?", re.IGNORECASE)
_WORDED = re.compile(rf"\b({'|'.join(_WORDS)})[\s-]+({_UNIT})\b", re.IGNORECASE)
_DATES = (
    re.compile(r"\b(?P<y>\d{4})-(?P<m>\d{1,2})-(?P<d>\d{1,2})\b"),
    re.compile(r"\b(?P<m>\d{1,2})/(?P<d>\d{1,2})(?:/(?P<y>\d{4}|\d{2}))?\b"),
    re.compile(rf"\b(?P<n>{_MONTH})\.?\s+(?P<d>\d{{1,2}})(?:st|nd|rd|th)?(?:,?\s+(?P<y>\d{{4}}))?\b", re.IGNORECASE),
    re.compile(rf"\b(?P<d>\d{{1,2}})(?:st|nd|rd|th)?\s+(?P<n>{_MONTH})\.?(?:\s+(?P<y>\d{{4}}))?\b", re.IGNORECASE),
)
RELATIVE = re.compile(
    r"\b(yesterday|today|tomorrow|tonight|(?:last|next) (?:night|week|month|year)|(?:on )?(?:mon|tues|wednes|thurs|fri|"
    r"satur|sun)day)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Figure:
    """A number as a text has it. `unit` is normalised; None where the text gives none."""

    value: float
    unit: str | None
    start: int
    text: str

    @property
    def kind(self) -> Kind:
        return "dose" if self.unit in _DOSES else "duration" if self.unit in _DURATIONS else "number"


@dataclass(frozen=True, slots=True)
class Date:
    """A day of the calendar; the year is None where the text gives none."""

    year: int | None
    month: int
    day: int
    text: str

    def is_in(self, others: set[tuple[int, int, int]]) -> bool:
        return any((self.month, self.day) == (month, day) and self.year in (None, year) for year, month, day in others)


def dates(text: str) -> tuple[list[Date], str]:
    """The dates of `text`, and the text with them blanked out, so that their digits are not read again."""
    found: list[Date] = []
    if _DIGIT.search(text) is None:
        return found, text
    for pattern in _DATES:
        for match in pattern.finditer(text):
            groups = match.groupdict()
            name = (groups.get("n") or "").lower()[:3]
            month = next((i for i, item in enumerate(_MONTHS, 1) if item[:3] == name), 0) or int(groups.get("m") or 0)
            year = int(groups["y"]) if groups.get("y") else None
            year = 2000 + year if year is not None and year < 100 else year
            if 1 <= month <= 12 and 1 <= int(groups["d"]) <= 31 and not _is_pressure(text, match):
                found.append(Date(year, month, int(groups["d"]), match.group()))
                text = text[: match.start()] + " " * len(match.group()) + text[match.end() :]
    return found, text


def _is_pressure(text: str, match: re.Match[str]) -> bool:
    return text[match.end() :].lstrip().lower().startswith("mmhg")


def figures(text: str) -> list[Figure]:
    """The numbers of `text` in order; counted words only where a unit follows ("two days")."""
    found = [
        Figure(float(match[1].replace(",", "")), _UNITS.get((match[2] or "").lower()), match.start(), match.group())
        for match in _FIGURE.finditer(text)
        if match[1].replace(",", "").count(".") < 2
    ]
    found += [
        Figure(float(_WORDS[match[1].lower()]), _UNITS[match[2].lower()], match.start(), match.group())
        for match in _WORDED.finditer(text)
    ]
    return sorted(found, key=lambda figure: figure.start)
