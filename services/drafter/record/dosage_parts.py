"""Format the elements of one Dosage: route, site, frequency, as needed, instructions. Pure."""

from services.drafter.record.timing import format_frequency
from shared.clinical import elements
from shared.clinical.elements import Resource


def format_route(line: Resource) -> str:
    name = elements.concept(line.get("route")) or elements.code(line.get("route")) or ""
    name = name.removesuffix(" route")
    return name.lower() if name.istitle() and " " not in name else name


def format_site(line: Resource) -> str:
    """Return the body site with its side: the left eye is not the right one."""
    name = elements.concept(line.get("site"))
    return f"to the {name.lower() if name.istitle() else name}" if name else ""


def frequency_and_need(line: Resource) -> str:
    """Return how often and whether only when needed, without the duration."""
    return elements.join_distinct([format_frequency(line.get("timing")), as_needed(line)], " ")


def as_needed(line: Resource) -> str:
    reason = elements.join_distinct(
        elements.concept(item) for item in elements.items(line.get("asNeededCodeableConcept"))
    )
    if reason:
        return f"as needed for {reason[0].lower() + reason[1:] if reason[1:2].islower() else reason}"
    return "as needed" if elements.boolean(line, "asNeededBoolean") else ""


def list_instructions(line: Resource) -> list[str]:
    method = elements.concept(line.get("method"))
    more = [elements.concept(item) for item in elements.children(line, "additionalInstruction")]
    return [text.rstrip(".") for text in (method, *more, elements.string(line, "patientInstruction")) if text]
