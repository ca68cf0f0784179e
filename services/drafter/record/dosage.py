"""How a medicine is to be taken: every dosage of an order, its words and its structure. Pure.

https://hl7.org/fhir/R4/dosage.html
"""

import re
from dataclasses import dataclass
from typing import Any

from services.drafter.record import quantities
from services.drafter.record.timing import frequency, limits, span
from shared.clinical import elements
from shared.clinical.elements import Resource

# Words of a dosage's text that say the same as an element of its structure.
_ROUTES = {
    "oral": r"oral|by mouth|\bp\.?o\.?\b|per os|mouth|swallow|tablet|einnehm",
    "intravenous": r"intraven|\bi\.?v\.?\b|vein|infus",
    "subcutaneous": r"subcut|\bs\.?c\.?\b|\bs\.?q\.?\b|under the skin",
    "intramuscular": r"intramusc|\bi\.?m\.?\b",
    "inhal": r"inhal|\bneb|puff",
    "topical": r"topical|skin|apply",
}
_OFTEN = {
    "once daily": r"\bdaily\b|once (a|per) day|every (day|morning|evening|night)|each (day|morning)|\bq?od?\b|q24|1 ?x",
    "twice daily": r"twice|\bbid\b|b\.i\.d|\bbd\b|two times|2 \(two\)|2 times|2 ?x|every 12|q12|2 maal",
    "three times daily": r"three times|\btid\b|t\.i\.d|\btds\b|3 times|3 ?x|every 8|q8|3 maal|thrice",
    "four times daily": r"four times|\bqid\b|q\.i\.d|\bqds\b|4 times|4 ?x|every 6|q6|4 maal",
    "once a week": r"week|\bqwk|wkly",
    "every other day": r"other day|second day|alternate|om de dag|\bqod\b|jeden zweiten",
    "at bedtime": r"bed|\bq?hs\b|nocte|nacht",
    "in the morning": r"morning|\bmane\b|ochtend|morgen",
}


@dataclass(frozen=True, slots=True)
class Dosage:
    """The dosages of one order. `directions` has all that they say; the others are its parts, empty where not coded.

    `normal` is what two orders are compared by: equal strings are equal orders.
    """

    directions: str
    amount: str
    route: str
    frequency: str
    normal: str


def dosage(order: Resource) -> Dosage:
    """All dosages of a MedicationRequest, Statement, Administration or Dispense, in their sequence."""
    found = [*elements.children(order, "dosageInstruction"), *elements.children(order, "dosage")]
    found.sort(key=lambda line: float(elements.number(line, "sequence") or 0))
    return Dosage(
        directions=_joined([_directions(line) for line in found]),
        amount=_joined([_amount(line) for line in found]),
        route=elements.listed(_route(line) for line in found),
        frequency=_joined([_often(line) for line in found]),
        normal=" | ".join(_normal(line) for line in found),
    )


def _joined(parts: list[str]) -> str:
    return elements.listed(parts, "; ")


def _directions(line: Resource) -> str:
    """The dosage's own words, with what only its structure says; else the structure in words."""
    text = (elements.words(line, "text") or "").rstrip(".;, ")
    structure = [_amount(line), _site(line), _route(line), frequency(line.get("timing"))]
    structure += [*limits(line.get("timing")), _as_needed(line), _rate(line)]
    more = [*_most(line), *_instructions(line)]
    if not text:
        return elements.listed([elements.listed(structure, " "), *more], ", ")
    lacking = [part for part in [*structure, *more] if part and not _is_in(part, text)]
    return elements.listed([text, *lacking], ", ")


def _is_in(part: str, text: str) -> bool:
    """Whether the words of a dosage say what `part` of its structure says."""
    part, said = part.lower(), text.lower()
    if part in said or part.replace(" ", "") in said.replace(" ", ""):
        return True
    for name, words in _ROUTES.items():
        if name in part or re.fullmatch(words, part):
            return re.search(words, said) is not None
    if part.startswith("as needed"):
        return len(part) <= len("as needed") and re.search(r"needed|\bprn\b|required|bedarf|zo nodig", said) is not None
    if part in _OFTEN:
        return re.search(_OFTEN[part], said) is not None
    if (times := re.fullmatch(r"(\d+) times daily", part)) and 24 % int(times[1]) == 0:
        hours = 24 // int(times[1])
        return re.search(rf"\bq ?{hours} ?h|every {hours} h", said) is not None
    numbers = re.findall(r"\d+(?:\.\d+)?", part)
    written = re.findall(r"\d+(?:\.\d+)?", re.sub(r"(?<=\d),(?=\d)", ".", said))
    if not numbers or not all(number in written for number in numbers):
        return False
    named = re.findall(r"[^\W\d_]+", re.sub(r"\b(daily|times|every|for|the|at|on|and|to)\b", "", part))
    return all(word.rstrip("s") in said for word in named)


def _amount(line: Resource) -> str:
    """`37.5 mg`, `0.5-1 g`. Where a dose is told in several ways, the ordered one, then the calculated one."""
    doses = elements.children(line, "doseAndRate") or [line]

    def kind(dose: Resource) -> int:
        codes = elements.codes(dose.get("type")) | {str(elements.words(dose.get("type"), "text")).lower()}
        return 0 if "ordered" in codes else 1 if "calculated" in codes else 2

    for dose in sorted(doses, key=kind):
        named = dose.get("doseQuantity") or dose.get("dose")  # MedicationAdministration has `dose`
        if (found := quantities.quantity(named, trailing_zeros=False)) is not None:
            return found
        if (found := quantities.span(dose.get("doseRange"), trailing_zeros=False)) is not None:
            return found
    return ""


def _rate(line: Resource) -> str:
    for dose in elements.children(line, "doseAndRate") or [line]:
        rate = (
            quantities.quantity(dose.get("rateQuantity"), trailing_zeros=False)
            or quantities.ratio(dose.get("rateRatio"), trailing_zeros=False)
            or quantities.span(dose.get("rateRange"), trailing_zeros=False)
        )
        if rate:
            return f"at {rate}"
    return ""


def _route(line: Resource) -> str:
    name = elements.concept(line.get("route")) or elements.code(line.get("route")) or ""
    name = name.removesuffix(" route")
    return name.lower() if name.istitle() and " " not in name else name


def _site(line: Resource) -> str:
    """The body site, with the side it names: the left eye is not the right one."""
    name = elements.concept(line.get("site"))
    return f"to the {name.lower() if name.istitle() else name}" if name else ""


def _often(line: Resource) -> str:
    """How often and whether only when needed; without for how long."""
    return elements.listed([frequency(line.get("timing")), _as_needed(line)], " ")


def _as_needed(line: Resource) -> str:
    reason = elements.listed(elements.concept(item) for item in elements.items(line.get("asNeededCodeableConcept")))
    if reason:
        return f"as needed for {reason[0].lower() + reason[1:] if reason[1:2].islower() else reason}"
    return "as needed" if elements.flag(line, "asNeededBoolean") else ""


def _most(line: Resource) -> list[str]:
    """The upper limits of a dose."""
    period = [f"at most {_per(item)}" for item in elements.children(line, "maxDosePerPeriod") if _per(item)]
    once = quantities.quantity(line.get("maxDosePerAdministration"), trailing_zeros=False)
    ever = quantities.quantity(line.get("maxDosePerLifetime"), trailing_zeros=False)
    return [*period, f"at most {once} per dose" if once else "", f"at most {ever} in a lifetime" if ever else ""]


def _per(limit: Resource) -> str:
    """`4 g per day`, `4 g in 24 hours`."""
    most = quantities.quantity(limit.get("numerator"), trailing_zeros=False)
    within = span(elements.child(limit, "denominator"))
    if not most:
        return ""
    if not within:
        return most
    return f"{most} per {within.removeprefix('1 ')}" if within.startswith("1 ") else f"{most} in {within}"


def _instructions(line: Resource) -> list[str]:
    method = elements.concept(line.get("method"))
    more = [elements.concept(item) for item in elements.children(line, "additionalInstruction")]
    return [text.rstrip(".") for text in (method, *more, elements.words(line, "patientInstruction")) if text]


def _normal(line: Resource) -> str:
    """What is compared: amount, route, how often and whether as needed, from the structure, else from the words.

    Words that say more than these are compared too, where the structure does not say the whole order.
    """
    text = spelled(elements.words(line, "text") or "")
    often = frequency(line.get("timing"))
    coded = bool(_amount(line) and (often or _as_needed(line)))
    amount, text = _taken(
        r"^\d+(\.\d+)?[a-zµ%]+(/\d+(\.\d+)?[a-zµ%]+)?\b", _amount(line).replace(" ", "").lower(), text
    )
    route = next(
        (name for name, words in _ROUTES.items() if re.search(words, _route(line).lower())), _route(line).lower()
    )
    for name, words in _ROUTES.items():
        if re.search(words, text):
            route, text = _taken(words, route or name, text)
    needed, text = _taken(r"\bas needed\b|\bprn\b|if needed|when required", _as_needed(line), text)
    for name, words in sorted(_OFTEN.items(), key=lambda item: item[0] == "once daily"):  # "daily" is in others' words
        if (not often or often == name) and re.search(words, text):
            often, text = _taken(words, often or name, text)
            break
    limited = " ".join(limits(line.get("timing")))
    return "|".join([amount, route, often, needed and "as needed", limited, "" if coded else " ".join(text.split())])


def _taken(pattern: str, found: str, text: str) -> tuple[str, str]:
    """What the structure says, else what the words say by `pattern`; and the words without it."""
    match = re.search(pattern, text)
    return found or (match.group() if match else ""), re.sub(pattern, " ", text) if match else text


def spelled(text: str) -> str:
    """Free text for comparison: lower case, one space, decimal points, no end mark."""
    text = re.sub(r"(?<=\d),(?=\d)", ".", text.lower())
    text = re.sub(r"(?<=\d)\s+(?=[a-zµ%])", "", text)
    return " ".join(re.sub(r"[^\w.%/+-]+", " ", text).split()).rstrip(".")


def course(order: Any) -> str:
    """For how long an order's medicine is supplied: the length of a short course."""
    supply = span(elements.child(elements.child(order, "dispenseRequest"), "expectedSupplyDuration"))
    return supply or span(elements.child(order, "daysSupply") if isinstance(order, dict) else {})
