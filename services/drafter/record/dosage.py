"""How a medicine is to be taken: every dosage of an order, its words and its structure. Pure.

https://hl7.org/fhir/R4/dosage.html
"""

from dataclasses import dataclass
from typing import Any, Literal

from services.drafter.record import dosage_steps, dosage_words, timing_codes
from services.drafter.record.dosage_amounts import amount, amounts, by_body, most, rates
from services.drafter.record.dosage_comparison import ambiguous, differs, normal
from services.drafter.record.dosage_match import has_route, is_in
from services.drafter.record.dosage_parts import as_needed, instructions, often, route, site
from services.drafter.record.timing import frequency, is_said, limits, span
from shared.clinical import elements
from shared.clinical.elements import Resource

Lack = Literal["amount", "frequency", "limit"]  # limit: of doses as needed, how often at most


@dataclass(frozen=True, slots=True)
class Dosage:
    """The dosages of one order. `directions` has all that they say; the others are its parts, empty where not coded.

    `normal` is what two orders are compared by: equal strings are equal orders. `doubt` says where words and structure
    give different amounts or frequencies, which only the prescriber can decide between. `lacks` names what neither the
    words nor the structure say, `by_body` a dose that is only stated per weight or surface.
    """

    directions: str
    amount: str
    route: str
    frequency: str
    normal: str
    doubt: bool = False
    lacks: tuple[Lack, ...] = ()
    by_body: str = ""
    ambiguous: str = ""  # `1.250`, which may be 1250 or 1.25
    steps: bool = False  # nothing says whether the dosages follow each other, or when


def dosage(order: Resource) -> Dosage:
    """All dosages of a MedicationRequest, Statement, Administration or Dispense, in their sequence."""
    found = [*elements.children(order, "dosageInstruction"), *elements.children(order, "dosage")]
    found = dosage_steps.ordered(found)
    return Dosage(
        directions=dosage_steps.joined([(line, _directions(line)) for line in found]),
        amount=_joined([amount(line) for line in found]),
        route=elements.listed(route(line) for line in found),
        frequency=_joined([often(line) for line in found]),
        normal=" | ".join(normal(line) for line in found),
        doubt=any(differs(line) for line in found),
        lacks=_lacks(found),
        ambiguous=elements.listed(ambiguous(line) for line in found),
        steps=dosage_steps.unclear(found),
        by_body=elements.listed(by_body(line) for line in found),
    )


def _joined(parts: list[str]) -> str:
    return elements.listed(parts, "; ")


def _directions(line: Resource) -> str:
    """The dosage's own words, with what only its structure says; else the structure in words."""
    text = (elements.words(line, "text") or "").rstrip(".;, ")
    doses, speeds = amounts(line), [f"at {found}" for found in rates(line)]
    around = [site(line), route(line), frequency(line.get("timing")), *limits(line.get("timing")), as_needed(line)]
    more = [*most(line), *instructions(line)]
    if not text:
        structure = [_with_others(doses), *around, _with_others(speeds)]
        return elements.listed([elements.listed(structure, " "), *more], ", ")
    way = route(line)
    lacking = [
        part
        for part in [*doses, *around, *speeds, *more]
        if part and not (is_in(part, text) or (part == way and has_route(part, text)))
    ]
    meant = None if frequency(line.get("timing")) else timing_codes.explained(text)
    return elements.listed([f"{text} ({meant})" if meant else text, *lacking], ", ")


def _with_others(told: list[str]) -> str:
    """`300 mg (15 mg/kg)`: where a dose is told in several ways, all of them."""
    others = ", ".join(text.removeprefix("at ") for text in told[1:])
    return f"{told[0]} ({others})" if others else "".join(told)


def _lacks(lines: list[Resource]) -> tuple[Lack, ...]:
    """What is missing of any dosage; a line that only instructs adds to the others and lacks nothing."""
    dosed = [
        line for line in lines if amounts(line) or rates(line) or line.get("timing") or elements.words(line, "text")
    ]
    found = {lack for line in dosed for lack in _missing(line)} if dosed else {"amount", "frequency"}
    kinds: tuple[Lack, ...] = ("amount", "frequency", "limit")
    return tuple(kind for kind in kinds if kind in found)


def _missing(line: Resource) -> list[Lack]:
    text = " ".join([elements.words(line, "text") or "", *instructions(line)])
    code = frequency({"code": elements.child(line, "timing").get("code")})
    speed, needed = bool(rates(line)), bool(as_needed(line)) or dosage_words.as_needed(text)
    how_much = bool(amounts(line)) or speed or any(dosage_words.says_amount(said) for said in (text, code) if said)
    how_often = is_said(line.get("timing")) or speed or dosage_words.says_frequency(text)
    # What is taken as needed is limited by a maximum, else by what it is needed for.
    limited = bool(elements.children(line, "maxDosePerPeriod")) or dosage_words.says_most(text)
    limited = limited or as_needed(line).startswith("as needed for") or dosage_words.says_why(text)
    found: list[Lack] = [] if how_much else ["amount"]
    if not how_often and not (needed and limited):
        found.append("limit" if needed else "frequency")
    return found


def course(order: Any) -> str:
    """For how long an order's medicine is supplied: the length of a short course."""
    supply = span(elements.child(elements.child(order, "dispenseRequest"), "expectedSupplyDuration"))
    return supply or span(elements.child(order, "daysSupply") if isinstance(order, dict) else {})
