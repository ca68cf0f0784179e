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


def concept(element: Any) -> str | None:
    """Words of a CodeableConcept: its text, else the first coding that has a display."""
    if not isinstance(element, dict):
        return None
    texts = [element.get("text"), *(coding.get("display") for coding in _codings(element))]
    return next((text.strip() for text in texts if isinstance(text, str) and text.strip()), None)


def code(element: Any) -> str | None:
    """The first code of a CodeableConcept that is not empty."""
    codes = (coding.get("code") for coding in _codings(element)) if isinstance(element, dict) else ()
    return next((item for item in codes if isinstance(item, str) and item), None)


def codes(elements: Any) -> frozenset[str]:
    """Every code of one CodeableConcept or a list of them."""
    items = elements if isinstance(elements, list) else [elements]
    return frozenset(str(coding.get("code")) for item in items if isinstance(item, dict) for coding in _codings(item))


def _codings(element: Resource) -> list[Resource]:
    codings = element.get("coding")
    return [coding for coding in codings if isinstance(coding, dict)] if isinstance(codings, list) else []


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
    if not isinstance(element, dict) or not isinstance(element.get("value"), int | float):
        return None
    unit = element.get("unit") or element.get("code") or ""
    return f"{_plain(element['value'])} {_readable(unit)}".strip()


def _plain(number: float) -> str:
    return f"{round(number, 2):g}" if abs(number) < 1e6 else f"{number:.0f}"


def _readable(unit: str) -> str:
    """UCUM's `mm[Hg]` and `Cel` as people write them, without its `{annotations}`."""
    return re.sub(r"\{[^}]*\}", "", unit).replace("mm[Hg]", "mmHg").replace("Cel", "°C").replace("[degF]", "°F")


def value(observation: Resource) -> str | None:
    """The value of an Observation: a quantity, words, or its blood pressure components."""
    if (found := quantity(observation.get("valueQuantity"))) is not None:
        return found
    for field in ("valueString", "valueInteger"):
        if observation.get(field) not in (None, ""):
            return str(observation[field])
    if (words := concept(observation.get("valueCodeableConcept"))) is not None:
        return words
    return _pressure(observation.get("component"))


def _pressure(components: Any) -> str | None:
    found = {
        code(item.get("code")): item.get("valueQuantity", {}).get("value")
        for item in (components if isinstance(components, list) else [])
        if isinstance(item, dict)
    }
    systolic, diastolic = found.get("8480-6"), found.get("8462-4")  # LOINC
    return f"{_plain(systolic)}/{_plain(diastolic)} mmHg" if systolic and diastolic else None


def reference_range(observation: Resource) -> str | None:
    """`3.5-5.1 mmol/L`."""
    ranges = observation.get("referenceRange")
    if not isinstance(ranges, list) or not ranges or not isinstance(ranges[0], dict):
        return None
    low, high = quantity(ranges[0].get("low")), quantity(ranges[0].get("high"))
    if low and high:
        return f"{low.split(' ')[0]}-{high}"
    return f"≥ {low}" if low else f"≤ {high}" if high else None


def flag(observation: Resource) -> Flag | None:
    """The laboratory's own interpretation; without one, what the value is against the range."""
    stated = next((FLAGS[item] for item in codes(observation.get("interpretation")) if item in FLAGS), None)
    if stated is not None or observation.get("interpretation"):
        return stated
    number = (observation.get("valueQuantity") or {}).get("value")
    ranges = observation.get("referenceRange") or [{}]
    if not isinstance(number, int | float) or not isinstance(ranges[0], dict):
        return None
    low, high = (ranges[0].get(side, {}).get("value") for side in ("low", "high"))
    if low is not None and number < low:
        return "low"
    return "high" if high is not None and number > high else None


def person_name(resource: Resource) -> str | None:
    """`Donna Schwartz`, from the official name or the first."""
    names = [name for name in resource.get("name") or [] if isinstance(name, dict)]
    if not names:
        return None
    name = next((item for item in names if item.get("use") == "official"), names[0])
    parts = [*(name.get("given") or []), name.get("family") or ""]
    return name.get("text") or " ".join(part for part in parts if part).strip() or None


def dose(request: Resource) -> str:
    """How a medicine is to be taken, in the order's own words where it has them."""
    instructions = request.get("dosageInstruction") or request.get("dosage") or [{}]
    first = instructions[0] if isinstance(instructions, list) and isinstance(instructions[0], dict) else {}
    if isinstance(first.get("text"), str) and first["text"].strip():
        return str(first["text"]).strip()
    rates = first.get("doseAndRate") or [{}]
    amount = quantity(rates[0].get("doseQuantity")) if isinstance(rates[0], dict) else None
    timing = concept((first.get("timing") or {}).get("code"))
    return " ".join(part for part in (amount, concept(first.get("route")), timing) if part)
