"""Laboratory results and vital signs, reduced to what tells their course."""

from collections.abc import Iterator
from typing import Any

from services.drafter import reading
from services.drafter.context import Measurement, Series
from services.drafter.sieve import Sieve, source

Resource = dict[str, Any]

# LOINC of the vital signs a summary shows; the rest of a chart's measurements is noise at discharge.
VITALS = {
    "8867-4": "Heart rate",
    "85354-9": "Blood pressure",
    "9279-1": "Respiratory rate",
    "8310-5": "Body temperature",
    "2708-6": "Oxygen saturation",
    "59408-5": "Oxygen saturation",
    "29463-7": "Body weight",
}


def series(observations: list[Resource], sieve: Sieve, category: str) -> Iterator[Series]:
    """The usable measurements of a category, by code, reduced to first, last and worst."""
    groups: dict[str, list[tuple[Resource, Measurement]]] = {}
    names: dict[str, str] = {}
    for item in observations:
        if category not in reading.codes(item.get("category")):
            continue
        code, name = reading.code(item.get("code")), reading.concept(item.get("code"))
        if category == "vital-signs" and code not in VITALS:
            continue
        time = reading.first_moment(item, "effectiveDateTime", "effectivePeriod", "effectiveInstant")
        words = reading.value(item)
        if name and not words:
            sieve.left_out.append(f"{source(item)}: has no value")
        elif sieve.usable(item, name, time) and name and words and time:
            key = code or name
            names[key] = VITALS.get(key, name)
            measurement = Measurement(value=words, time=time, flag=reading.flag(item), source=source(item))
            groups.setdefault(key, []).append((item, measurement))
    for key, found in groups.items():
        found.sort(key=lambda pair: pair[1].time)
        yield _one_series(names[key], key, found)


def _one_series(name: str, key: str, found: list[tuple[Resource, Measurement]]) -> Series:
    measurements = [measurement for _, measurement in found]
    worst = max(found, key=lambda pair: _deviation(pair[0]))[1]
    ends = (measurements[0], measurements[-1])
    return Series(
        name=name,
        code=key if key != name else None,
        range=next((text for item, _ in found if (text := reading.reference_range(item))), None),
        first=measurements[0],
        last=measurements[-1],
        worst=worst if worst.flag and worst not in ends else None,
        count=len(measurements),
    )


def _deviation(observation: Resource) -> float:
    """How far outside its range a value lies, as a share of the range's bound."""
    amount = reading.number(observation.get("valueQuantity"))
    if amount is None:
        return 0.0
    low, high = reading.bounds(observation)
    above = (amount - high) / abs(high) if high else 0.0
    below = (low - amount) / abs(low) if low else 0.0
    return float(max(above, below, 0.0))
