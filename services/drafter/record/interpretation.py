"""Interpretation of a result in any usual spelling, and the reference range that applies.

https://terminology.hl7.org/CodeSystem-v3-ObservationInterpretation.html
"""

import re
from dataclasses import replace
from decimal import Decimal
from typing import Literal

from services.drafter.record import quantities
from services.drafter.record.quantities import MeasuredValue
from services.drafter.record.reference_ranges import Bounds, RangeSubject, applicable_ranges, critical_bounds
from shared.clinical import elements
from shared.clinical.elements import Resource
from shared.contracts.context import Flag

Judgement = Flag | Literal["normal"]

_CODES: dict[str, Judgement] = {
    "L": "low",
    "LL": "critically low",
    "LU": "critically low",
    "H": "high",
    "HH": "critically high",
    "HU": "critically high",
    "A": "abnormal",
    "AA": "critical",
    "N": "normal",
    "POS": "abnormal",
    "DET": "abnormal",
    "RR": "abnormal",
    "WR": "abnormal",
    "E": "abnormal",
    "<": "low",
    ">": "high",
    "L*": "low",
    "H*": "high",
    "++": "critically high",
    "--": "critically low",
    "+": "high",
    "-": "low",
}
_NEGATIVE = frozenset({"NEG", "ND", "NR"})
_SPELLINGS: tuple[tuple[str, Judgement], ...] = (
    (
        r"(critical|panic|alert|kritisch).*(low|niedrig|laag)|(low|niedrig|laag).*(critical|panic|alert|kritisch)",
        "critically low",
    ),
    (
        r"(critical|panic|alert|kritisch).*(high|hoch|hoog)|(high|hoch|hoog).*(critical|panic|alert|kritisch)",
        "critically high",
    ),
    (r"\b(critical|panic|kritisch)", "critical"),
    (r"\b(not|non)[ -]?abnormal|\b(within|in) (normal|reference)", "normal"),
    (r"abnormal|pathologi|afwijkend|auffällig|\bpositi(ve|v|ef)\b|\bdetected\b|\breactive\b", "abnormal"),
    (r"\b(low|below|decreased|erniedrigt|niedrig|verlaagd|laag|bas|bajo)\b", "low"),
    (r"\b(high|above|elevated|increased|erhöht|hoch|verhoogd|hoog|élevé|alto)\b", "high"),
    (r"\b(normal|unremarkable|unauffällig|normaal|normale?)\b", "normal"),
)
_POSITIVE_VALUE = re.compile(
    r"\b(positive?|positief|detected|reactive|isolated|present|growth|nachgewiesen|aangetoond)\b", re.IGNORECASE
)
_NEGATED = re.compile(
    r"\b(not?|non|nicht|geen|kein\w*|niet|negativ\w*|un|absent|without)\b[ -]*(\w+[ -]+)?"
    r"(positiv\w*|detected|reactive|isolated|present|growth|nachgewiesen|aangetoond)?",
    re.IGNORECASE,
)
_NEGATION_BEFORE = re.compile(
    r"\b(no|not|non|none|nicht|geen|niet|kein\w*|never|without|absence of)\b[ -]*(\w+[ -]+){0,4}$|\b(un|non-?)$",
    re.IGNORECASE,
)
_DENIED_AFTER = re.compile(r"\s*[:=]\s*(no|none|not|nil|nein|nee|non|negativ\w*)\b", re.IGNORECASE)
MAX_NEGATION_DISTANCE = 60  # characters before a finding that are searched for its negation
MAX_INTERPRETATION_CHARACTERS = 200  # of a stated interpretation
_BLOOD_GROUP = re.compile(
    r"blood (group|type)|blutgruppe|bloedgroep|groupe sanguin|\brh(esus)?\b ?\(?(d|type|factor|pos|neg)|abo\b", re.I
)


def judgement_of(result: Resource, person: RangeSubject) -> Judgement | None:
    """Return the record's judgement of a result; None without one.

    The stated interpretation counts, unless it calls a value normal that is outside the stated range.
    """
    if _is_blood_group(result):
        return None
    stated = stated_interpretation(result)
    by_range = _by_ranges(result, person)
    if stated is None or (stated == "normal" and by_range not in (None, "normal")):
        return by_range or _by_value(result)
    if stated in ("low", "high") and by_range == f"critically {stated}":
        return by_range
    if stated in ("abnormal", "critical") and by_range in ("low", "high"):
        return by_range if stated == "abnormal" else "critically low" if by_range == "low" else "critically high"
    return stated


def _is_blood_group(result: Resource) -> bool:
    """Return whether it is a blood group: Rh positive is no finding."""
    words = [*elements.displays(result.get("code")), elements.concept(result.get("valueCodeableConcept"))]
    return any(text and _BLOOD_GROUP.search(text) for text in words)


def stated_interpretation(result: Resource) -> Judgement | None:
    """Return the strongest stated interpretation, by code, a local code's display, or text."""
    judgements: list[Judgement] = []
    for item in elements.children(result, "interpretation"):
        named: list[Judgement] = []
        for coding in elements.codings(item):
            code = (elements.string(coding, "code") or "").upper()
            if code in _CODES and code not in _NEGATIVE:
                named.append(_CODES[code])
        if not named:
            texts = [*elements.displays(item), *(code.replace("_", " ") for code in elements.codes(item))]
            named = [judgement for text in texts if (judgement := _judgement_of_text(text))]
        judgements += named[:1] if len(set(named)) == 1 else named
    order = ("critically low", "critically high", "critical", "low", "high", "abnormal", "normal")
    return min(judgements, key=order.index, default=None)


def is_negative(result: Resource) -> bool:
    """Return whether the interpretation is the negative result of a detection test."""
    return bool({code.upper() for code in elements.codes(result.get("interpretation"))} & _NEGATIVE)


def _judgement_of_text(text: str) -> Judgement | None:
    text = text[:MAX_INTERPRETATION_CHARACTERS]
    if _NEGATED.fullmatch(text) or re.search(r"\bnegati", text, re.IGNORECASE):
        return None
    return next((judgement for pattern, judgement in _SPELLINGS if re.search(pattern, text, re.IGNORECASE)), None)


def _by_value(result: Resource) -> Judgement | None:
    """Return `Detected`, `Positive`, `Reactive` as abnormal; their negations state only that nothing was found."""
    text = elements.concept(result.get("valueCodeableConcept")) or elements.string(result, "valueString") or ""
    positive = _POSITIVE_VALUE.search(text)
    if positive is None:
        return None
    denied = _NEGATION_BEFORE.search(text[: positive.start()][-MAX_NEGATION_DISTANCE:]) or _DENIED_AFTER.match(
        text[positive.end() :]
    )
    return None if denied else "abnormal"


def _by_ranges(result: Resource, person: RangeSubject) -> Judgement | None:
    value = quantities.measured_value(result)
    if value is None:
        return None
    for limits in critical_bounds(result, person):
        if (judgement := _judgement_by_range(value, limits, result)) in ("low", "high"):
            return "critically low" if judgement == "low" else "critically high"
    name = " ".join(elements.displays(result.get("code")))
    judgements = {_judgement_by_range(value, limits, result) for limits in applicable_ranges(result, name, person)}
    return judgements.pop() if len(judgements) == 1 else None


def _judgement_by_range(value: MeasuredValue, limits: Bounds, result: Resource) -> Judgement | None:
    """Return where a value lies; None where a number may be in thousands (`1.250`) and that matters."""
    exact = limits.exact or quantities.has_three_decimals(elements.number(result.get("valueQuantity")))
    if value.grouped == limits.grouped or exact:
        return _compare_with_limits(value, limits)
    if value.grouped:
        other = _compare_with_limits(MeasuredValue(value.value * 1000, value.comparator, value.unit), limits)
    else:
        low, high = (None if end is None else end * 1000 for end in (limits.low, limits.high))
        other = _compare_with_limits(value, replace(limits, low=low, high=high))
    return other if other == _compare_with_limits(value, limits) else None


def _compare_with_limits(value: MeasuredValue, limits: Bounds) -> Judgement | None:
    """Return where a value lies; None where its comparator leaves it open (`<10` against a limit of 5)."""
    if value.unit and limits.unit and value.unit.lower() != limits.unit.lower():
        return None
    low, high, sign = limits.low, limits.high, value.comparator
    number = value.value
    if limits.strict and not sign and number in (low, high):
        return "low" if number == low else "high"
    if sign in ("<", "<="):
        if low is not None and (number < low or (number == low and sign == "<")):
            return "low"
        return "normal" if low in (None, Decimal(0)) and high is not None and number <= high else None
    if sign in (">", ">="):
        if high is not None and (number > high or (number == high and sign == ">")):
            return "high"
        return "normal" if high is None and low is not None and number >= low else None
    if low is not None and number < low:
        return "low"
    return "high" if high is not None and number > high else "normal"
