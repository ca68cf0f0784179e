"""FHIR R4 data types in one line each, for writing records by hand."""

from collections.abc import Sequence
from typing import Any

LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"
ICD10CM = "http://hl7.org/fhir/sid/icd-10-cm"
UCUM = "http://unitsofmeasure.org"
HL7 = "http://terminology.hl7.org/CodeSystem/"
BASE = "http://ehr.test/fhir"  # where the stays are served: for absolute references

Element = dict[str, Any]
Concept = str | Element
Amount = tuple[float, str]


def concept(text: Concept, *codings: tuple[str, ...]) -> Element:
    """A CodeableConcept: text, and codings as (system, code[, display]). A dict is passed on."""
    if isinstance(text, dict):
        return text
    found = [dict(zip(("system", "code", "display"), coding, strict=False)) for coding in codings]
    return ({"coding": found} if found else {}) | ({"text": text} if text else {})


def coded(system: str, code: str, display: str | None = None) -> Element:
    """A CodeableConcept that has a coding only."""
    return {"coding": [{"system": system, "code": code} | ({"display": display} if display else {})]}


def hl7(system: str, code: str) -> Element:
    """A CodeableConcept of an HL7 code system, named by its last part."""
    return coded(HL7 + system, code)


def quantity(value: Any, unit: str | None = None, comparator: str | None = None) -> Element:
    """A Quantity of a number or of `exact` digits; with a unit also as UCUM."""
    found: Element = {"value": value}
    if comparator:
        found["comparator"] = comparator
    return found | ({"unit": unit, "system": UCUM, "code": unit} if unit else {})


def dosage(
    text: str | None = None,
    *,
    dose: Amount | tuple[float, float, str] | None = None,
    route: Concept | None = None,
    frequency: int | None = None,
    period: float = 1,
    unit: str = "d",
    as_needed: bool | str | None = None,
    days: int | None = None,
    repeat: Element | None = None,
    **more: Any,
) -> Element:
    """A Dosage. `dose` is (value, unit) or (low, high, unit), `days` the length; `repeat` adds to Timing.repeat."""
    timing: Element = {"frequency": frequency, "period": period, "periodUnit": unit} if frequency else {}
    if days is not None:
        timing["boundsDuration"] = {"value": days, "unit": "d", "system": UCUM, "code": "d"}
    timing |= repeat or {}
    found: Element = {"text": text} if text else {}
    if timing:
        found["timing"] = {"repeat": timing}
    if as_needed is not None:
        found |= (
            {"asNeededBoolean": as_needed}
            if isinstance(as_needed, bool)
            else {"asNeededCodeableConcept": {"text": as_needed}}
        )
    if route is not None:
        found["route"] = concept(route)
    if dose is not None:
        found["doseAndRate"] = [_dose(dose)]
    return found | more


def _dose(dose: Sequence[Any]) -> Element:
    if len(dose) == 3:
        return {"doseRange": {"low": quantity(dose[0], dose[2]), "high": quantity(dose[1], dose[2])}}
    return {"doseQuantity": quantity(dose[0], dose[1])}


def limits(low: float | None = None, high: float | None = None, unit: str | None = None, **more: Any) -> Element:
    """An entry of `referenceRange`."""
    found: Element = {}
    if low is not None:
        found["low"] = quantity(low, unit)
    if high is not None:
        found["high"] = quantity(high, unit)
    return found | more


def person(family: str, *given: str, **more: Any) -> Element:
    """A HumanName."""
    return {"family": family, "given": list(given)} | more


def identifier(value: str, type: Concept | None = None, system: str | None = None, **more: Any) -> Element:
    """An Identifier; `type` as text or concept."""
    found: Element = {"value": value}
    if type is not None:
        found["type"] = concept(type)
    return found | ({"system": system} if system else {}) | more


MRN = hl7("v2-0203", "MR")
SSN = hl7("v2-0203", "SS")
LICENCE = hl7("v2-0203", "DL")


class Digits(str):
    """Digits of a number, marked until they are sent."""


def exact(digits: str) -> Any:
    """A number that is sent with exactly these digits, such as 7.0 or 1.250: a float would lose them."""
    return Digits(f"\x00{digits}")
