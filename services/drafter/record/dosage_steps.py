"""Sequence several dosages of one order: consecutive steps, or doses that are taken together. Pure.

`sequence`: equal numbers are concurrent, different ones sequential. https://hl7.org/fhir/R4/dosage-definitions.html
"""

import re
from itertools import pairwise

from services.drafter.record.dosage_amounts import first_dose
from services.drafter.record.dosage_parts import as_needed
from services.drafter.record.timing import format_frequency, format_limits
from shared.clinical import elements
from shared.clinical.elements import Resource

_THEN = re.compile(
    r"\W*(and |und |en )?(then|thereafter|afterwards?|followed by|after that|danach|dann|anschließend"
    r"|daarna|vervolgens|puis"
    r"|ensuite|luego|después)\b",
    re.IGNORECASE,
)
_AND = re.compile(r"\W*(and|plus|und|en|et|y)\b", re.IGNORECASE)
_LIMITED = re.compile(
    r"\b\d+ ?(days?|d|tage?n?|dagen?|weeks?|wochen?|weken|jours?|días?)\b(?! (before|after|vor|nach))"
    r"|\b(until|till|through|bis|tot|t/m|jusqu)",
    re.IGNORECASE,
)
_NUMBERED = re.compile(
    r"\W*(on |am )?(days?|tage?|dag(en)?|jours?|weeks?|wochen?|weken|week|step|schritt|stap) ?\d+", re.I
)
# Times of the day that two doses of one day differ by; FHIR's `when` codes begin so, too.
_TIMES = {
    "morning": r"morning|breakfast|\bmane\b|\bam\b|morgens|frühstück|morgen\b|ochtend|ontbijt|matin",
    "noon": r"noon|lunch|midday|mittag|middag|midi",
    "evening": r"evening|dinner|supper|\bpm\b|abend|avond|soir",
    "night": r"night|bedtime|nocte|nacht|schlafen|\bhs\b|coucher",
}


def in_sequence(lines: list[Resource]) -> list[Resource]:
    """Return the dosages in sequence; unnumbered ones in record order, dated ones by date."""
    return sorted(lines, key=lambda line: (float(elements.number(line, "sequence") or 0), _period_start(line) or ""))


def join_steps(steps: list[tuple[Resource, str]]) -> str:
    """Return `40 mg for 5 days; then 20 mg for 5 days`, `10 units in the morning; and 20 units at night`."""
    described = [(line, text) for line, text in steps if text]
    joined = "".join(text for _, text in described[:1])
    for (before, text_before), (line, text) in pairwise(described):
        if text == text_before and not _is_next_step(before, line):
            joined += " (stated twice)"  # it is unknown whether it is to be taken twice
            continue
        stated = _THEN.match(text) or _AND.match(text)
        joined += f"; {text}" if stated else f"; {'then' if _is_next_step(before, line) else 'and'} {text}"
    return joined


def is_unclear(lines: list[Resource]) -> bool:
    """Return whether the end of a step is missing, or dosages for a limited time are concurrent."""
    return any(_is_open(before, line) for before, line in pairwise(lines))


def _is_next_step(before: Resource, line: Resource) -> bool:
    first, second = elements.number(before, "sequence"), elements.number(line, "sequence")
    numbered = first is not None and second is not None
    if numbered and first != second:
        return _has_end(before) or not _have_different_times(before, line)
    texts = [elements.string(item, "text") or "" for item in (before, line)]
    return not numbered and (_dated_after(before, line) or all(_NUMBERED.match(text) for text in texts))


def _dated_after(before: Resource, line: Resource) -> bool:
    end, start = _period_end(before), _period_start(line)
    return bool(end and start and start >= end)


def _is_open(before: Resource, line: Resource) -> bool:
    texts = [elements.string(item, "text") or "" for item in (before, line)]
    if _THEN.match(texts[1]) or all(_NUMBERED.match(text) for text in texts):
        return False
    if (
        not (_has_amount(before) and _has_amount(line))
        or _have_different_times(before, line)
        or as_needed(before)
        or as_needed(line)
    ):
        return False
    end, start = _period_end(before), _period_start(line)
    if end and start and start < end:
        return _is_next_step(before, line)  # steps whose dates overlap
    if _is_next_step(before, line):
        return not _has_end(before)
    return (_has_end(before) and _has_end(line) and not (end and start)) or _are_same(before, line)


def _are_same(before: Resource, line: Resource) -> bool:
    """Return whether two dosages are equal except for their sequence numbers."""
    return {**before, "sequence": None} == {**line, "sequence": None}


def _has_amount(line: Resource) -> bool:
    return bool(first_dose(line) or re.search(r"\d", elements.string(line, "text") or ""))


def _has_end(line: Resource) -> bool:
    return bool(format_limits(line.get("timing"))) or _LIMITED.search(elements.string(line, "text") or "") is not None


def _have_different_times(before: Resource, line: Resource) -> bool:
    """Return whether both name different times of day or weekdays: doses of one day or one week."""
    first, second = _times_of_day(before), _times_of_day(line)
    return bool(first and second and not first & second)


def _times_of_day(line: Resource) -> set[str]:
    text = f"{elements.string(line, 'text') or ''} {format_frequency(line.get('timing'))}".lower()
    named_times = {name for name, words in _TIMES.items() if re.search(words, text)}
    return named_times | set(re.findall(r"\b\d\d:\d\d\b|\b(?:mon|tues|wednes|thurs|fri|satur|sun)day", text))


def _period_start(line: Resource) -> str | None:
    return elements.string(_bounds_period(line), "start")


def _period_end(line: Resource) -> str | None:
    return elements.string(_bounds_period(line), "end")


def _bounds_period(line: Resource) -> Resource:
    return elements.child(elements.child(elements.child(line, "timing"), "repeat"), "boundsPeriod")
