"""Numbers in words: "twenty-one", "one hundred and five", "two and a half", "three thousand", "a third"."""

import re
from dataclasses import dataclass

_SMALL = (
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve",
    "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_SCALES = {"hundred": 100, "thousand": 1000}
_VALUES = {word: number for number, word in enumerate(_SMALL)} | {
    word: 10 * number for number, word in enumerate(_TENS, 2)
}
_PARTS = {"half": 0.5, "third": 1 / 3, "thirds": 1 / 3, "quarter": 0.25, "quarters": 0.25}
ORDINALS = {
    "first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7, "eighth": 8, "ninth": 9,
    "tenth": 10,
}  # fmt: skip
_WORD = "|".join(sorted((*_VALUES, *_SCALES), key=len, reverse=True))
_WORDED = re.compile(
    rf"\b(?:(?:{_WORD})(?:(?:[\s-]+|\s+and\s+)(?:{_WORD}))*(?:\s+and\s+an?\s+(?:half|quarter|third))?"
    rf"|an?\s+(?:half|third|quarter|hundred|thousand|couple of|dozen)|half(?:\s+an?)?)\b",
    re.IGNORECASE,
)
_LIKELY = re.compile(rf"\b(?:{_WORD}|half|third|quarter|couple|dozen)", re.IGNORECASE)
_FRACTION_WORDS = re.compile(r"\s+(?:thirds|quarters)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Numeral:
    """A number in words and its place in the text."""

    value: float
    start: int
    end: int


def find_numerals(text: str) -> list[Numeral]:
    """Return the numbers that `text` has in words, in order."""
    if _LIKELY.search(text) is None:
        return []
    found = []
    for match in _WORDED.finditer(text):
        parts = _FRACTION_WORDS.match(text, match.end())
        value = _number_in_words(match.group().lower())
        if parts is not None:
            found.append(Numeral(value * _PARTS[parts.group().strip().lower()], match.start(), parts.end()))
        else:
            found.append(Numeral(value, match.start(), match.end()))
    return found


def _number_in_words(words: str) -> float:
    total, current, part = 0.0, 0.0, 0.0
    for word in re.split(r"[\s-]+", words):
        if word in _VALUES:
            current += _VALUES[word]
        elif word == "hundred":
            current = (current or 1) * 100
        elif word == "thousand":
            total, current = total + (current or 1) * 1000, 0.0
        elif word in _PARTS:
            part = _PARTS[word]
        elif word in ("couple", "dozen"):
            current = 2 if word == "couple" else 12
    return total + current + part
