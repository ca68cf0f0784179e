"""Timing codes and abbreviations in words. Pure."""

import re
from typing import Any

from services.drafter.record import dosage_words
from shared.clinical import elements

# https://terminology.hl7.org/CodeSystem-v3-GTSAbbreviation.html, and what prescriptions abbreviate besides.
ABBREVIATIONS = {
    "QD": "once daily",
    "DAILY": "once daily",
    "OD": "once daily",
    "BID": "twice daily",
    "BD": "twice daily",
    "TID": "three times daily",
    "TDS": "three times daily",
    "QID": "four times daily",
    "QDS": "four times daily",
    "QOD": "every other day",
    "QAM": "every morning",
    "AM": "in the morning",
    "QPM": "every evening",
    "PM": "in the evening",
    "HS": "at bedtime",
    "QHS": "at bedtime",
    "BED": "at bedtime",
    "WK": "once a week",
    "WEEKLY": "once a week",
    "MO": "once a month",
    "MONTHLY": "once a month",
    "PRN": "as needed",
    "STAT": "at once",
    "ONCE": "once",
    "AC": "before meals",
    "PC": "after meals",
    "WM": "with meals",
    "WC": "with meals",
    "QW": "once a week",
    "QWK": "once a week",
    "QWEEK": "once a week",
    "BIW": "twice a week",
    "TIW": "three times a week",
    "QOW": "every other week",
    "QM": "once a month",
    "QMO": "once a month",
    "QMONTH": "once a month",
    "QH": "every hour",
    "HOURLY": "every hour",
    "ALTD": "every other day",
    "MANE": "in the morning",
    "OM": "every morning",
    "NOCTE": "at night",
    "ON": "every night",
    "NIGHTLY": "every night",
    "QNIGHT": "every night",
    "QPC": "after meals",
    "QAC": "before meals",
    "ACHS": "before meals and at bedtime",
    "PCHS": "after meals and at bedtime",
    "CONT": "continuously",
    "CONTINUOUS": "continuously",
    "X1": "once",
    "JE": "in the evening",
    "TGL": "daily",
    "TÄGLICH": "daily",
    "MORGENS": "in the morning",
    "MITTAGS": "at noon",
    "ABENDS": "in the evening",
    "NACHTS": "at night",
    "DAGELIJKS": "daily",
    "WEKELIJKS": "once a week",
    "WÖCHENTLICH": "once a week",
}
# https://hl7.org/fhir/R4/valueset-event-timing.html
EVENTS = {
    "MORN": "in the morning",
    "MORN.early": "early in the morning",
    "MORN.late": "late in the morning",
    "NOON": "at noon",
    "AFT": "in the afternoon",
    "AFT.early": "early in the afternoon",
    "AFT.late": "late in the afternoon",
    "EVE": "in the evening",
    "EVE.early": "early in the evening",
    "EVE.late": "late in the evening",
    "NIGHT": "at night",
    "PHS": "after sleep",
    "HS": "at bedtime",
    "WAKE": "on waking",
    "C": "with meals",
    "CM": "with breakfast",
    "CD": "with lunch",
    "CV": "with dinner",
    "AC": "before meals",
    "ACM": "before breakfast",
    "ACD": "before lunch",
    "ACV": "before dinner",
    "PC": "after meals",
    "PCM": "after breakfast",
    "PCD": "after lunch",
    "PCV": "after dinner",
}
_TIMES = {"1": "once", "2": "twice", "3": "three times", "4": "four times"}
_WORDS = {"ONCE", "DAILY", "WEEKLY", "MONTHLY", "ON", "CONTINUOUS", "HOURLY", "NIGHTLY", "BED"}
_UNITS = {"H": "hour", "HR": "hour", "D": "day", "DAY": "day", "W": "week", "WK": "week", "WEEK": "week"}
_UNITS |= {"MO": "month", "MON": "month", "MTH": "month", "MONTH": "month", "MIN": "minute", "Y": "year", "YR": "year"}
_PARTS = ("in the morning", "at noon", "in the evening", "at night")
_CODE_ONLY = re.compile(r"[A-Z0-9._/-]{2,}|\d+")
# What prescriptions abbreviate for less than once a day, or for times of the day: misread as daily (ISMP's list).
_ERROR_PRONE = re.compile(r"\b(TIW|BIW|Q ?\d ?WK?S?|QOW|QWK?|QOD|MANE|NOCTE|\d{1,2} ?DD(?= ?\d))(?!\w)", re.IGNORECASE)


def code_in_words(code: Any) -> str | None:
    """Return `Q12H` → `every 12 hours`, `BID` → `twice daily`; other words unchanged, other codes as codes."""
    name = elements.concept(code) or elements.code(code)
    if name is None:
        return None
    for text in (name, elements.code(code) or ""):
        if (expanded := _expand_abbreviation(text)) is not None:
            return expanded
    if (expanded := explain_codes(name)) is not None:
        return f"{name} ({expanded})"
    raw = _CODE_ONLY.fullmatch(name) is not None and not name.isalpha()
    return f"timing code {name}" if raw or (name.isupper() and len(name) <= 6) else name


def says_frequency(words: str) -> bool:
    """Return whether the words of a timing code state a frequency; an unknown code does not."""
    if not words or words.startswith("timing code "):
        return False
    return dosage_words.states_frequency(words) or (not dosage_words.is_as_directed(words) and words != "as needed")


def explain_codes(text: str) -> str | None:
    """Return the meaning of a scheme or abbreviation in a text: `1-0-1` → `1 in the morning, 1 in the evening`."""
    meanings: list[str | None] = [_scheme_in_words(written) for written in dosage_words.dosing_schemes(text)]
    meanings += [_expand_abbreviation(match.group()) for match in _ERROR_PRONE.finditer(text)]
    return elements.join_distinct(meanings, "; ") or None


def _scheme_in_words(written: str) -> str:
    """Return the numbers of a scheme with their times of day; zeros are doses that are not taken."""
    numbers = [part.strip() for part in re.split(r"[-–]", written)]
    taken = [f"{number} {time}" for number, time in zip(numbers, _PARTS, strict=False) if number.strip("0,.")]
    return elements.join_distinct(taken) or "nothing at any time"


def _expand_abbreviation(text: str) -> str | None:
    short = re.sub(r"[.\s]+", " ", text.upper().replace(".", "")).strip()
    for whole in (short, re.sub(r"[ &/]|AND", "", short)):
        if whole in ABBREVIATIONS:
            return ABBREVIATIONS[whole]
    joined = re.sub(r"^([BTQ]ID|QD|Q\d+H)(AC|PC|WM|HS|PRN)", r"\1 \2", short).replace("&", " ")
    tokens = re.sub(r"^(\d+) ?X (TGL|TÄGLICH|DAILY|DAAGS)$", r"\1X", joined).split()
    if len(tokens) > 1 and _WORDS & set(tokens):
        return None  # `once weekly` is no abbreviation
    words = [_abbreviation_in_words(token) for token in tokens]
    return elements.join_distinct(words, " ") if words and all(words) else None


def _abbreviation_in_words(token: str) -> str | None:
    """Return `Q4-6H` → `every 4-6 hours`; None for what is no abbreviation."""
    every = re.fullmatch(r"Q(\d+(?:-\d+)?)(H|HR|D|DAY|W|WK|WEEK|MO|MON|MTH|MONTH|MIN|Y|YR)S?", token)
    if every:
        unit = _UNITS[every[2]]
        return f"every {unit}" if every[1] == "1" else f"every {every[1]} {unit}s"
    daily = re.fullmatch(r"(\d{1,2})(?:X|X/?D|XD|XDAY|X/DAY|DD|D)", token)
    if daily:
        return f"{_TIMES.get(daily[1], f'{daily[1]} times')} daily"
    weekly = re.fullmatch(r"(\d)X?/?(?:W|WK|WEEK)", token)
    if weekly:
        return f"{_TIMES.get(weekly[1], f'{weekly[1]} times')} a week"
    return ABBREVIATIONS.get(token)
