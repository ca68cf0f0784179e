"""FHIR Timing in the words of a prescription: `twice daily for 6 days`, `at 18:00 on Mon, Wed and Fri`. Pure.

https://hl7.org/fhir/R4/datatypes.html#timing
"""

import re
from typing import Any

from shared.clinical import elements
from shared.clinical.elements import Number, Resource, plain

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
UNITS = {"s": "second", "min": "minute", "h": "hour", "d": "day", "wk": "week", "mo": "month", "a": "year"}
TIMES = {"1": "once", "2": "twice", "3": "three times", "4": "four times"}
DAYS = {"mon": "Mon", "tue": "Tue", "wed": "Wed", "thu": "Thu", "fri": "Fri", "sat": "Sat", "sun": "Sun"}


def timing(element: Any) -> str:
    """How often and for how long; empty where nothing is said."""
    if not isinstance(element, dict):
        return ""
    return elements.listed([frequency(element), *limits(element)], " ")


def limits(element: Any) -> list[str]:
    """On which days, for how long, how many times, over what time."""
    if not isinstance(element, dict):
        return []
    dates = [text[:10] for text in element.get("event") or [] if isinstance(text, str)] if _is_list(element) else []
    on = f"on {elements.listed(dates)}" if dates else ""
    return [part for part in [on, *_limits(elements.child(element, "repeat"))] if part]


def _is_list(element: Resource) -> bool:
    return isinstance(element.get("event"), list)


def frequency(element: Any) -> str:
    """How often, without for how long."""
    if not isinstance(element, dict):
        return ""
    repeat = elements.child(element, "repeat")
    stated = _abbreviation(element.get("code"))
    days, times = _texts(repeat, "dayOfWeek"), [text[:5] for text in _texts(repeat, "timeOfDay")]
    often = _often(repeat, bool(days), len(times))
    when = [_event(text, elements.number(repeat, "offset")) for text in _texts(repeat, "when")]
    at = f"at {_and(times)}" if times else ""
    on = f"on {_and([DAYS.get(text, text) for text in days])}" if days else ""
    structured = elements.listed(
        [often if not when or "every" in often else _plain_often(often, len(when)), _and(when), at, on], " "
    )
    return elements.listed([structured, stated if stated != structured else None]) if structured else stated or ""


def _plain_often(often: str, whens: int) -> str:
    """`twice daily` says nothing more beside `with breakfast with dinner`."""
    return "" if often == _per_day(whens) else often


def _per_day(times: int) -> str:
    return f"{TIMES.get(str(times), f'{times} times')} daily"


def _abbreviation(code: Any) -> str | None:
    """`Q12H` → `every 12 hours`, `BID` → `twice daily`; other words as they are."""
    name = elements.concept(code) or elements.code(code)
    if name is None:
        return None
    for text in (name, elements.code(code) or ""):
        short = text.upper().replace(".", "").strip()
        if short in ABBREVIATIONS:
            return ABBREVIATIONS[short]
        spoken = [_token(token) for token in short.split()]
        if spoken and all(spoken):
            return elements.listed(spoken, " ")
    return name


def _token(token: str) -> str | None:
    """`Q4-6H` → `every 4-6 hours`; None for what is no abbreviation."""
    hours = re.fullmatch(r"Q(\d+(?:-\d+)?)(?:H|HR|HRS)", token)
    return f"every {hours[1]} hours" if hours else ABBREVIATIONS.get(token)


def _texts(repeat: Resource, name: str) -> list[str]:
    found = repeat.get(name)
    return [text for text in found if isinstance(text, str) and text] if isinstance(found, list) else []


def _event(code: str, offset: Number | None) -> str:
    words = EVENTS.get(code, code)
    return f"{plain(offset, trailing_zeros=False)} minutes {words}" if offset else words


def _often(repeat: Resource, on_days: bool, times: int) -> str:
    """`every 6-8 hours`, `three times daily`, `2 times every 3 weeks`."""
    count, most = elements.number(repeat, "frequency"), elements.number(repeat, "frequencyMax")
    period, longest = elements.number(repeat, "period"), elements.number(repeat, "periodMax")
    unit = elements.words(repeat, "periodUnit") or ""
    if period is None or unit not in UNITS:
        return f"{plain(count, trailing_zeros=False)} times" if count is not None and count > 1 else ""
    number = plain(count if count is not None else 1, trailing_zeros=False)
    shown = plain(period, trailing_zeros=False)
    if on_days and number == "1" and shown == "1" and unit in ("d", "wk"):
        return ""  # the days themselves say how often
    if unit == "d" and shown == "1" and times and number in ("1", str(times)):
        return "daily"
    if number == "1" and not most:
        return _every(shown, plain(longest, trailing_zeros=False) if longest else "", unit)
    often = f"{number}-{plain(most, trailing_zeros=False)} times" if most else TIMES.get(number, f"{number} times")
    if longest or shown != "1":
        return f"{often} {_every(shown, plain(longest, trailing_zeros=False) if longest else '', unit)}"
    return f"{often} daily" if unit == "d" else f"{often} {'an' if unit == 'h' else 'a'} {UNITS[unit]}"


def _every(period: str, longest: str, unit: str) -> str:
    name = UNITS[unit]
    if longest:
        return f"every {period}-{longest} {name}s"
    if period == "1":
        return {"d": "once daily", "h": "every hour", "min": "every minute"}.get(unit, f"once a {name}")
    return "every other day" if (period, unit) == ("2", "d") else f"every {period} {name}s"


def _limits(repeat: Resource) -> list[str]:
    """For how long, how many times, over what time."""
    duration, limits = elements.child(repeat, "boundsDuration"), elements.child(repeat, "boundsRange")
    bounds = elements.child(repeat, "boundsPeriod")
    start, end = (elements.words(bounds, "start") or "")[:10], (elements.words(bounds, "end") or "")[:10]
    count, most = elements.number(repeat, "count"), elements.number(repeat, "countMax")
    low, high = elements.child(limits, "low"), elements.child(limits, "high")
    over = elements.number(repeat, "duration")
    found = [f"for {span(duration)}" if span(duration) else ""]
    if span(high):
        found.append(
            f"for {plain(low['value'], trailing_zeros=False)}-{span(high)}" if span(low) else f"for up to {span(high)}"
        )
    found += [f"from {start}" if start else "", f"until {end}" if end else ""]
    if count is not None:
        upper = f"-{plain(most, trailing_zeros=False)}" if most else ""
        found.append(f"{plain(count, trailing_zeros=False)}{upper} doses in all")
    if over is not None:
        unit = UNITS.get(elements.words(repeat, "durationUnit") or "", "")
        found.append(f"over {_counted(over, unit)}")
    return found


def span(duration: Any) -> str:
    """`{"value": 6, "code": "d"}` → `6 days`."""
    amount = elements.number(duration)
    if amount is None:
        return ""
    stated = elements.words(duration, "code") or elements.words(duration, "unit") or ""
    unit = UNITS.get(stated) or elements.words(duration, "unit") or stated
    return _counted(amount, unit.rstrip("s") if unit.rstrip("s") in UNITS.values() else unit)


def _counted(amount: Number, unit: str) -> str:
    text = plain(amount, trailing_zeros=False)
    plural = "s" if unit in UNITS.values() and text != "1" else ""
    return f"{text} {unit}{plural}".strip()


def _and(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + f" and {parts[-1]}" if len(parts) > 1 else "".join(parts)
