"""Format a FHIR Timing as on a prescription: `twice daily for 6 days`, `at 18:00 on Mon, Wed and Fri`. Pure.

https://hl7.org/fhir/R4/datatypes.html#timing
"""

from typing import Any

from services.drafter.record import timing_codes
from shared.clinical import elements
from shared.clinical.elements import Number, Resource, format_number

UNITS = {"s": "second", "min": "minute", "h": "hour", "d": "day", "wk": "week", "mo": "month", "a": "year"}
TIMES = {"1": "once", "2": "twice", "3": "three times", "4": "four times"}
DAYS = {
    "mon": "Monday",
    "tue": "Tuesday",
    "wed": "Wednesday",
    "thu": "Thursday",
    "fri": "Friday",
    "sat": "Saturday",
    "sun": "Sunday",
}


def format_timing(element: Any) -> str:
    """Return how often and for how long; empty without either."""
    if not isinstance(element, dict):
        return ""
    return elements.join_distinct([format_frequency(element), *format_limits(element)], " ")


def format_limits(element: Any) -> list[str]:
    """Return weekdays, duration, count and period."""
    if not isinstance(element, dict):
        return []
    dates = [text[:10] for text in element.get("event") or [] if isinstance(text, str)] if _is_list(element) else []
    on = f"on {elements.join_distinct(dates)}" if dates else ""
    return [part for part in [on, *_format_bounds(elements.child(element, "repeat"))] if part]


def _is_list(element: Resource) -> bool:
    return isinstance(element.get("event"), list)


def format_frequency(element: Any) -> str:
    """Return how often, without the duration."""
    if not isinstance(element, dict):
        return ""
    repeat = elements.child(element, "repeat")
    stated = timing_codes.code_in_words(element.get("code"))
    days, times = _schedule_texts(repeat, "dayOfWeek"), [text[:5] for text in _schedule_texts(repeat, "timeOfDay")]
    often = _format_repetition(repeat, len(times))
    when = [_format_event(text, elements.number(repeat, "offset")) for text in _schedule_texts(repeat, "when")]
    if days:
        often = _on_days(often, [DAYS.get(text.lower()[:3], text) for text in days])
    elif when and "every" not in often and often == _per_day(len(when)):
        often = ""  # `twice daily` adds nothing to `with breakfast with dinner`
    at = f"at {_join_with_and(times)}" if times else ""
    structured = elements.join_distinct(
        [elements.join_distinct([often, _join_with_and(when)], ", " if days else " "), at], ", " if days else " "
    )
    same = stated is None or structured.startswith(stated)
    return elements.join_distinct([structured, None if same else stated]) if structured else stated or ""


def states_frequency(element: Any) -> bool:
    """Return whether a Timing states how often or when, in known words."""
    if not isinstance(element, dict):
        return False
    code = timing_codes.code_in_words(element.get("code")) or ""
    structured = format_frequency({**element, "code": None})
    return bool(structured or any(format_limits({"event": element.get("event")})) or timing_codes.says_frequency(code))


def _per_day(times: int) -> str:
    return f"{TIMES.get(str(times), f'{times} times')} daily"


def _on_days(often: str, days: list[str]) -> str:
    """Return `once a week, on Monday`: a weekday recurs, and one dose of it is not one Monday."""
    if len(set(days)) == len(DAYS) and often in ("", "once daily", "daily"):
        return "once daily"
    if often in ("", "once daily", "daily", "once a week") and len(days) == 1:
        return f"once a week, on {days[0]}"
    if often in ("", "once daily", "daily", "once a week"):
        return f"every week on {_join_with_and(days)}"
    if often.endswith(" daily"):
        return f"{often}, every week on {_join_with_and(days)}"
    return f"{often}, on {_join_with_and(days)}"


def _schedule_texts(repeat: Resource, name: str) -> list[str]:
    values = repeat.get(name)
    return [text for text in values if isinstance(text, str) and text] if isinstance(values, list) else []


def _format_event(code: str, offset: Number | None) -> str:
    words = timing_codes.EVENTS.get(code, f"when: {code}")
    return f"{format_number(offset, trailing_zeros=False)} minutes {words}" if offset else words


def _format_repetition(repeat: Resource, times: int) -> str:
    """Return `every 6-8 hours`, `three times daily`, `2 times every 3 weeks`."""
    count, most = elements.number(repeat, "frequency"), elements.number(repeat, "frequencyMax")
    period, longest = elements.number(repeat, "period"), elements.number(repeat, "periodMax")
    unit = elements.string(repeat, "periodUnit") or ""
    if period is None or unit not in UNITS:
        return f"{format_number(count, trailing_zeros=False)} times" if count is not None and count > 1 else ""
    number = format_number(count if count is not None else 1, trailing_zeros=False)
    shown = format_number(period, trailing_zeros=False)
    if unit == "d" and shown == "1" and times and number in ("1", str(times)):
        return "daily"
    if number == "1" and not most:
        return _format_interval(shown, format_number(longest, trailing_zeros=False) if longest else "", unit)
    often = (
        f"{number}-{format_number(most, trailing_zeros=False)} times" if most else TIMES.get(number, f"{number} times")
    )
    if longest or shown != "1":
        return (
            f"{often} {_format_interval(shown, format_number(longest, trailing_zeros=False) if longest else '', unit)}"
        )
    return f"{often} daily" if unit == "d" else f"{often} {'an' if unit == 'h' else 'a'} {UNITS[unit]}"


def _format_interval(period: str, longest: str, unit: str) -> str:
    name = UNITS[unit]
    if longest:
        return f"every {period}-{longest} {name}s"
    if period == "1":
        return {"d": "once daily", "h": "every hour", "min": "every minute"}.get(unit, f"once a {name}")
    return "every other day" if (period, unit) == ("2", "d") else f"every {period} {name}s"


def _format_bounds(repeat: Resource) -> list[str]:
    """Return duration, count and period."""
    duration, limits = elements.child(repeat, "boundsDuration"), elements.child(repeat, "boundsRange")
    bounds = elements.child(repeat, "boundsPeriod")
    start, end = (elements.string(bounds, "start") or "")[:10], (elements.string(bounds, "end") or "")[:10]
    count, most = elements.number(repeat, "count"), elements.number(repeat, "countMax")
    low, high = elements.child(limits, "low"), elements.child(limits, "high")
    over = elements.number(repeat, "duration")
    limit_texts = [f"for {format_duration(duration)}" if format_duration(duration) else ""]
    if format_duration(high):
        limit_texts.append(
            f"for {format_number(low['value'], trailing_zeros=False)}-{format_duration(high)}"
            if format_duration(low)
            else f"for up to {format_duration(high)}"
        )
    limit_texts += [f"from {start}" if start else "", f"until {end}" if end else ""]
    if count is not None:
        upper = f"-{format_number(most, trailing_zeros=False)}" if most else ""
        limit_texts.append(f"{format_number(count, trailing_zeros=False)}{upper} doses in all")
    if over is not None:
        unit = UNITS.get(elements.string(repeat, "durationUnit") or "", "")
        limit_texts.append(f"over {_with_unit(over, unit)}")
    return limit_texts


def format_duration(duration: Any) -> str:
    """Format `{"value": 6, "code": "d"}` → `6 days`."""
    amount = elements.number(duration)
    if amount is None:
        return ""
    stated = elements.string(duration, "code") or elements.string(duration, "unit") or ""
    unit = UNITS.get(stated) or elements.string(duration, "unit") or stated
    return _with_unit(amount, unit.rstrip("s") if unit.rstrip("s") in UNITS.values() else unit)


def _with_unit(amount: Number, unit: str) -> str:
    text = format_number(amount, trailing_zeros=False)
    plural = "s" if unit in UNITS.values() and text != "1" else ""
    return f"{text} {unit}{plural}".strip()


def _join_with_and(parts: list[str]) -> str:
    return ", ".join(parts[:-1]) + f" and {parts[-1]}" if len(parts) > 1 else "".join(parts)
