"""Format the value of an Observation or component, of any FHIR type."""

from services.drafter.record import quantities
from shared.clinical import elements, fhir_datetime
from shared.clinical.elements import Resource, format_number

PRESSURE = ("8480-6", "8462-4")  # LOINC: systolic, diastolic


def format_value(result: Resource) -> str | None:
    """Return `7.345`, `<0.008 µIU/mL`, `Detected`, `1:640`, `118/64 mmHg` for blood pressure; None without one."""
    simple = (
        quantities.format_quantity(result.get("valueQuantity"))
        or quantities.format_ratio(result.get("valueRatio"))
        or quantities.format_range(result.get("valueRange"))
        or elements.string(result, "valueString")
        or elements.concept_or_code(result.get("valueCodeableConcept"))
        or elements.string(result, "valueTime")
    )
    if simple:
        return simple
    if (whole := elements.number(result, "valueInteger")) is not None:
        return format_number(whole)
    if (answer := elements.boolean(result, "valueBoolean")) is not None:
        return "yes" if answer else "no"
    day = fhir_datetime.parse(result.get("valueDateTime"))
    if day is not None:
        return day.text
    return format_pressure(result)


def format_pressure(result: Resource) -> str | None:
    """Return systolic over diastolic, where any component code is LOINC's."""
    quantities_by_code: dict[str, Resource] = {}
    for item in elements.children(result, "component"):
        for code in elements.loinc_codes(item.get("code")) & set(PRESSURE):
            quantities_by_code.setdefault(code, elements.child(item, "valueQuantity"))
    numbers = [elements.number(quantities_by_code.get(code)) for code in PRESSURE]
    if any(number is None for number in numbers):
        return None
    unit = quantities.unit_of(quantities_by_code[PRESSURE[0]]) or "mmHg"
    return f"{'/'.join(format_number(number) for number in numbers if number is not None)} {unit}"
