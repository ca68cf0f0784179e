"""Read how a medicine is to be taken: every dosage of an order, its text and its structure. Pure.

https://hl7.org/fhir/R4/dosage.html
"""

from dataclasses import dataclass
from typing import Any, Literal

from services.drafter.record import dosage_steps, dosage_words, timing_codes
from services.drafter.record.dosage_amounts import first_dose, list_doses, list_rates, upper_limits, weight_based_dose
from services.drafter.record.dosage_comparison import ambiguous_dose, normalized_line, text_differs
from services.drafter.record.dosage_match import has_route, text_states
from services.drafter.record.dosage_parts import (
    as_needed,
    format_route,
    format_site,
    frequency_and_need,
    list_instructions,
)
from services.drafter.record.timing import format_duration, format_frequency, format_limits, states_frequency
from shared.clinical import elements
from shared.clinical.elements import Resource

MissingPart = Literal["amount", "frequency", "limit"]  # limit: of doses as needed, how often at most


@dataclass(frozen=True, slots=True)
class Dosage:
    """The dosages of one order.

    `directions` has everything that they state; the others are parts of it, empty where not coded. `normal` compares
    orders: equal strings are equal orders. `doubt` states where text and structure give different amounts or
    frequencies, which only the prescriber can resolve. `lacks` names what neither states, `by_body` a dose that is only
    stated per weight or surface.
    """

    directions: str
    amount: str
    route: str
    frequency: str
    normal: str
    doubt: bool = False
    lacks: tuple[MissingPart, ...] = ()
    by_body: str = ""
    ambiguous: str = ""  # `1.250`, which may be 1250 or 1.25
    steps: bool = False  # nothing says whether the dosages follow each other, or when


def read_dosage(order: Resource) -> Dosage:
    """Return all dosages of a MedicationRequest, Statement, Administration or Dispense, in sequence."""
    lines = [*elements.children(order, "dosageInstruction"), *elements.children(order, "dosage")]
    lines = dosage_steps.in_sequence(lines)
    return Dosage(
        directions=dosage_steps.join_steps([(line, _directions(line)) for line in lines]),
        amount=_join_distinct_parts([first_dose(line) for line in lines]),
        route=elements.join_distinct(format_route(line) for line in lines),
        frequency=_join_distinct_parts([frequency_and_need(line) for line in lines]),
        normal=" | ".join(normalized_line(line) for line in lines),
        doubt=any(text_differs(line) for line in lines),
        lacks=_missing_parts(lines),
        ambiguous=elements.join_distinct(ambiguous_dose(line) for line in lines),
        steps=dosage_steps.is_unclear(lines),
        by_body=elements.join_distinct(weight_based_dose(line) for line in lines),
    )


def _join_distinct_parts(parts: list[str]) -> str:
    return elements.join_distinct(parts, "; ")


def _directions(line: Resource) -> str:
    """Return the dosage's text with what only its structure states; else the structure in words."""
    text = (elements.string(line, "text") or "").rstrip(".;, ")
    doses, speeds = list_doses(line), [f"at {speed}" for speed in list_rates(line)]
    around = [
        format_site(line),
        format_route(line),
        format_frequency(line.get("timing")),
        *format_limits(line.get("timing")),
        as_needed(line),
    ]
    more = [*upper_limits(line), *list_instructions(line)]
    if not text:
        structure = [_with_others(doses), *around, _with_others(speeds)]
        return elements.join_distinct([elements.join_distinct(structure, " "), *more], ", ")
    way = format_route(line)
    lacking = [
        part
        for part in [*doses, *around, *speeds, *more]
        if part and not (text_states(part, text) or (part == way and has_route(part, text)))
    ]
    meant = None if format_frequency(line.get("timing")) else timing_codes.explain_codes(text)
    return elements.join_distinct([f"{text} ({meant})" if meant else text, *lacking], ", ")


def _with_others(statements: list[str]) -> str:
    """Return a dose with its other statements: `300 mg (15 mg/kg)`."""
    others = ", ".join(text.removeprefix("at ") for text in statements[1:])
    return f"{statements[0]} ({others})" if others else "".join(statements)


def _missing_parts(lines: list[Resource]) -> tuple[MissingPart, ...]:
    """Return what any dosage lacks; a line that only instructs lacks nothing."""
    dosed = [
        line
        for line in lines
        if list_doses(line) or list_rates(line) or line.get("timing") or elements.string(line, "text")
    ]
    missing = {lack for line in dosed for lack in _missing_in_line(line)} if dosed else {"amount", "frequency"}
    kinds: tuple[MissingPart, ...] = ("amount", "frequency", "limit")
    return tuple(kind for kind in kinds if kind in missing)


def _missing_in_line(line: Resource) -> list[MissingPart]:
    text = " ".join([elements.string(line, "text") or "", *list_instructions(line)])
    code = format_frequency({"code": elements.child(line, "timing").get("code")})
    speed, needed = bool(list_rates(line)), bool(as_needed(line)) or dosage_words.as_needed(text)
    how_much = (
        bool(list_doses(line))
        or speed
        or any(dosage_words.states_amount(statement) for statement in (text, code) if statement)
    )
    how_often = states_frequency(line.get("timing")) or speed or dosage_words.states_frequency(text)
    # What is taken as needed is limited by a maximum, else by what it is needed for.
    limited = bool(elements.children(line, "maxDosePerPeriod")) or dosage_words.states_upper_limit(text)
    limited = limited or as_needed(line).startswith("as needed for") or dosage_words.states_indication(text)
    missing: list[MissingPart] = [] if how_much else ["amount"]
    if not how_often and not (needed and limited):
        missing.append("limit" if needed else "frequency")
    return missing


def supply_duration(order: Any) -> str:
    """Return how long an order's supply lasts: the length of a short course."""
    supply = format_duration(elements.child(elements.child(order, "dispenseRequest"), "expectedSupplyDuration"))
    return supply or format_duration(elements.child(order, "daysSupply") if isinstance(order, dict) else {})
