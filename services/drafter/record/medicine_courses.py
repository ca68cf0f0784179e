"""Start and end of a medicine's course, by its own dates. Pure.

https://hl7.org/fhir/R4/datatypes.html#timing; Dutch agreements have the period in an extension (`TimeInterval`).
"""

from datetime import timedelta

from services.drafter.record.scope import StayScope
from shared.clinical import elements
from shared.clinical.elements import Resource
from shared.clinical.fhir_datetime import FhirDateTime

_DAYS = {"h": 1 / 24, "d": 1.0, "day": 1.0, "days": 1.0, "wk": 7.0, "week": 7.0, "weeks": 7.0, "mo": 31.0, "a": 366.0}
_MAX_DAYS = 10_000  # longer is no course


def end_of_course(item: Resource, scope: StayScope) -> FhirDateTime | None:
    """Return when a statement or order ended; None where one of its steps has no end."""
    own = [elements.child(item, "effectivePeriod"), *_agreement_period(item)]
    if stated := [moment for period in own if (moment := scope.parse_time(period.get("end")))]:
        return max(stated, key=lambda moment: moment.ends)
    ends = [scope.parse_time(elements.child(repeat, "boundsPeriod").get("end")) for repeat in _timing_repeats(item)]
    known_ends = [moment for moment in ends if moment is not None]
    return max(known_ends, key=lambda moment: moment.ends) if known_ends and len(known_ends) == len(ends) else None


def start_of_course(item: Resource, scope: StayScope) -> FhirDateTime | None:
    """Return the first of an order's own dates."""
    periods = [elements.child(repeat, "boundsPeriod") for repeat in _timing_repeats(item)]
    periods += [*_agreement_period(item), elements.child(elements.child(item, "dispenseRequest"), "validityPeriod")]
    starts = [moment for period in periods if (moment := scope.parse_time(period.get("start")))]
    return min(starts, key=lambda moment: moment.begins, default=None)


def end_of_last_step(item: Resource, written: FhirDateTime | None, scope: StayScope) -> FhirDateTime | None:
    """Return when the last step of an order is over, counted from the day it was written: `for 7 days`."""
    repeats = _timing_repeats(item)
    lengths = [_duration_in_days(elements.child(repeat, "boundsDuration")) for repeat in repeats]
    known = [length for length in lengths if length is not None]
    if written is None or not known or len(known) < len(lengths):
        return None
    try:
        return scope.parse_time(f"{written.ends + timedelta(days=sum(known)):%Y-%m-%d}")
    except OverflowError:
        return None


def _timing_repeats(item: Resource) -> list[Resource]:
    lines = [*elements.children(item, "dosageInstruction"), *elements.children(item, "dosage")]
    return [elements.child(elements.child(line, "timing"), "repeat") for line in lines]


def _agreement_period(item: Resource) -> list[Resource]:
    return [elements.child(part, "valuePeriod") for part in elements.extensions(item, "TimeInterval.Period")]


def _duration_in_days(duration: Resource) -> float | None:
    amount = elements.number(duration)
    unit = _DAYS.get(elements.string(duration, "code") or elements.string(duration, "unit") or "")
    return float(amount) * unit if amount is not None and unit and 0 < amount < _MAX_DAYS else None
