"""Reading FHIR elements that may be missing, empty or of the wrong type. Nothing raises on dirt: it returns None."""

import re
from datetime import UTC, date, datetime, time
from typing import Any

from services.drafter.context import Flag

Resource = dict[str, Any]

# https://terminology.hl7.org/CodeSystem-v3-ObservationInterpretation.html
FLAGS: dict[str, Flag] = {
    "L": "low",
    "LL": "critical",
    "H": "high",
    "HH": "critical",
    "A": "abnormal",
    "AA": "critical",
    "HU": "critical",
    "LU": "critical",
}


def items(element: Any) -> list[Resource]:
    """The objects of a list; an object that stands alone as a list of one; nothing of anything else."""
    found = element if isinstance(element, list) else [element]
    return [item for item in found if isinstance(item, dict)]


def child(element: Any, name: str) -> Resource:
    """The object under `name`, the first one where there are several; empty where there is none."""
    found = items(element.get(name)) if isinstance(element, dict) else []
    return found[0] if found else {}


def number(element: Any, name: str = "value") -> float | None:
    """The number under `name`."""
    found = element.get(name) if isinstance(element, dict) else None
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None


def words(element: Any, name: str) -> str | None:
    """The text under `name`, if it says anything."""
    found = element.get(name) if isinstance(element, dict) else None
    return found.strip() if isinstance(found, str) and found.strip() else None


def concept(element: Any) -> str | None:
    """Words of a CodeableConcept: its text, else the first coding that has a display."""
    if not isinstance(element, dict):
        return None
    texts = [words(element, "text"), *(words(coding, "display") for coding in _codings(element))]
    return next((text for text in texts if text), None)


def code(element: Any) -> str | None:
    """The first code of a CodeableConcept that is not empty."""
    codes = (coding.get("code") for coding in _codings(element)) if isinstance(element, dict) else ()
    return next((item for item in codes if isinstance(item, str) and item), None)


def codes(elements: Any) -> frozenset[str]:
    """Every code of one CodeableConcept or a list of them."""
    return frozenset(str(coding.get("code")) for item in items(elements) for coding in _codings(item))


def _codings(element: Resource) -> list[Resource]:
    return items(element.get("coding"))


def reference(element: Any) -> str | None:
    """The literal reference of a Reference."""
    value = element.get("reference") if isinstance(element, dict) else None
    return value if isinstance(value, str) and value else None


def moment(value: Any) -> datetime | None:
    """A FHIR date or dateTime of any precision, as its first moment; a Period as its start."""
    if isinstance(value, dict):
        return moment(value.get("start")) or moment(value.get("end"))
    if not isinstance(value, str):
        return None
    padded = value + "-01" * (2 - value.count("-")) if len(value) in (4, 7) else value
    try:
        if len(padded) == 10:
            return datetime.combine(date.fromisoformat(padded), time.min, UTC)
        parsed = datetime.fromisoformat(padded)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def first_moment(resource: Resource, *fields: str) -> datetime | None:
    """The first of `fields` that holds a time."""
    return next((found for field in fields if (found := moment(resource.get(field))) is not None), None)


def quantity(element: Any) -> str | None:
    """`{"value": 40.0, "unit": "mg"}` → `40 mg`."""
    amount = number(element)
    if amount is None:
        return None
    unit = words(element, "unit") or words(element, "code") or ""
    return f"{_plain(amount)} {_readable(unit)}".strip()


def _plain(number: float) -> str:
    return f"{round(number, 2):g}" if abs(number) < 1e6 else f"{number:.0f}"


def _readable(unit: str) -> str:
    """UCUM's `mm[Hg]` and `Cel` as people write them, without its `{annotations}`."""
    return re.sub(r"\{[^}]*\}", "", unit).replace("mm[Hg]", "mmHg").replace("Cel", "°C").replace("[degF]", "°F")


def value(observation: Resource) -> str | None:
    """The value of an Observation: a quantity, words, or its blood pressure components."""
    if (found := quantity(observation.get("valueQuantity"))) is not None:
        return found
    if (found := words(observation, "valueString")) is not None:
        return found
    if (whole := number(observation, "valueInteger")) is not None:
        return _plain(whole)
    return concept(observation.get("valueCodeableConcept")) or _pressure(observation.get("component"))


def _pressure(components: Any) -> str | None:
    found = {code(item.get("code")): number(item.get("valueQuantity")) for item in items(components)}
    systolic, diastolic = found.get("8480-6"), found.get("8462-4")  # LOINC
    return f"{_plain(systolic)}/{_plain(diastolic)} mmHg" if systolic and diastolic else None


def reference_range(observation: Resource) -> str | None:
    """`3.5-5.1 mmol/L`."""
    stated = child(observation, "referenceRange")
    low, high = quantity(stated.get("low")), quantity(stated.get("high"))
    if low and high:
        return f"{low.split(' ')[0]}-{high}"
    return f"≥ {low}" if low else f"≤ {high}" if high else None


def bounds(observation: Resource) -> tuple[float | None, float | None]:
    """Low and high end of the reference range."""
    stated = child(observation, "referenceRange")
    return number(stated.get("low")), number(stated.get("high"))


def flag(observation: Resource) -> Flag | None:
    """The laboratory's own interpretation; without one, what the value is against the range."""
    stated = next((FLAGS[item] for item in codes(observation.get("interpretation")) if item in FLAGS), None)
    if stated is not None or observation.get("interpretation"):
        return stated
    amount = number(observation.get("valueQuantity"))
    low, high = bounds(observation)
    if amount is None:
        return None
    if low is not None and amount < low:
        return "low"
    return "high" if high is not None and amount > high else None


def person_name(resource: Resource) -> str | None:
    """`Donna Schwartz`, from the official name or the first."""
    names = items(resource.get("name"))
    if not names:
        return None
    name = next((item for item in names if item.get("use") == "official"), names[0])
    given = name.get("given")
    parts = [*(given if isinstance(given, list) else []), name.get("family")]
    joined = " ".join(part for part in parts if isinstance(part, str) and part)
    return words(name, "text") or joined.strip() or None


def dose(request: Resource) -> str:
    """How a medicine is to be taken, in the order's own words where it has them."""
    first = child(request, "dosageInstruction") or child(request, "dosage")
    if (stated := words(first, "text")) is not None:
        return stated
    amount = quantity(child(first, "doseAndRate").get("doseQuantity"))
    timing = concept(child(first, "timing").get("code"))
    return " ".join(part for part in (amount, concept(first.get("route")), timing) if part)
