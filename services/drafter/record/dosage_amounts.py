"""Amounts of an order: dose, rate, upper limits, and doses per kg of body weight. Pure."""

import re

from services.drafter.record.dosage_words import NUMBER, UNIT
from services.drafter.record.dose_units import format_dose, format_dose_range, format_dose_ratio
from services.drafter.record.timing import format_duration
from shared.clinical import elements
from shared.clinical.elements import Resource

_PER_BODY = re.compile(
    r"/ ?(\d+ )?(kg|g\{body|m2|m²|m\^2|1\.73|\[lb_av\]|lb|g\{bodyweight)|per (kg|kilo|m2|m²)", re.IGNORECASE
)
_PER_BODY_IN_TEXT = re.compile(
    rf"({NUMBER}) ?({UNIT}) ?(/|per|pro|je) ?(\d+ ?)?(kg|kilo\w*|m2|m²|sqm)\b(( ?/ ?| per | pro )(d"
    rf"|day|tag|dag|dose|h|min)\b)?",
    re.I,
)
_CONCENTRATION = re.compile(rf"{NUMBER} ?{UNIT} ?/ ?(\d+(?:[.,]\d+)?)? ?(ml|l)\b", re.IGNORECASE)
_UPPER_LIMIT = re.compile(
    rf"\b(max\w*|at most|up to|not (to )?exceed|höchstens|bis zu|hooguit)\W.{{0,15}}?{NUMBER} ?{UNIT}", re.IGNORECASE
)
_ABSOLUTE = re.compile(rf"(?<![\w.,/]){NUMBER} ?{UNIT}\b", re.IGNORECASE)


def list_doses(line: Resource) -> list[str]:
    """Return every dose of a line: ordered before calculated, per body weight last."""
    doses = elements.children(line, "doseAndRate") or [line]
    found = []
    for item in sorted(doses, key=_dose_rank):
        named = item.get("doseQuantity") or item.get("dose")  # MedicationAdministration has `dose`
        found += [format_dose(named) or format_dose_range(item.get("doseRange")) or ""]
    return _absolute_first(found)


def list_rates(line: Resource) -> list[str]:
    """Return every rate of a line: per body weight last."""
    found = []
    for item in elements.children(line, "doseAndRate") or [line]:
        found += [
            format_dose(item.get("rateQuantity"))
            or format_dose_ratio(item.get("rateRatio"))
            or format_dose_range(item.get("rateRange"))
            or ""
        ]
    return _absolute_first(found)


def first_dose(line: Resource) -> str:
    """Return the dose to give: `37.5 mg`, `0.5-1 g`; the one per body weight without another."""
    return next(iter(list_doses(line)), "")


def first_rate(line: Resource) -> str:
    return next((f"at {found}" for found in list_rates(line)), "")


def weight_based_dose(line: Resource) -> str:
    """Return `15 mg/kg` where text and structure state the dose only so; it is never computed silently."""
    stated = [*list_doses(line), *list_rates(line)]
    text = elements.string(line, "text") or ""
    match = _PER_BODY_IN_TEXT.search(text)
    alone = _UPPER_LIMIT.sub(" ", _CONCENTRATION.sub(" ", _PER_BODY_IN_TEXT.sub(" ", text)))
    if any(not _PER_BODY.search(found) for found in stated) or _ABSOLUTE.search(alone):
        return ""
    return next(iter(stated), "") or (match.group() if match else "")


def _dose_rank(item: Resource) -> int:
    codes = elements.codes(item.get("type")) | {str(elements.string(item.get("type"), "text")).lower()}
    return 0 if "ordered" in codes else 1 if "calculated" in codes else 2


def _absolute_first(found: list[str]) -> list[str]:
    return sorted(dict.fromkeys(text for text in found if text), key=lambda text: _PER_BODY.search(text) is not None)


def upper_limits(line: Resource) -> list[str]:
    """Return the upper limits of a dose."""
    period = [
        f"at most {_limit_per_period(item)}"
        for item in elements.children(line, "maxDosePerPeriod")
        if _limit_per_period(item)
    ]
    once, ever = format_dose(line.get("maxDosePerAdministration")), format_dose(line.get("maxDosePerLifetime"))
    return [*period, f"at most {once} per dose" if once else "", f"at most {ever} in a lifetime" if ever else ""]


def _limit_per_period(limit: Resource) -> str:
    """Return `4 g per day`, `4 g in 24 hours`."""
    upper, within = format_dose(limit.get("numerator")), format_duration(elements.child(limit, "denominator"))
    if not upper or not within:
        return upper or ""
    return f"{upper} per {within.removeprefix('1 ')}" if within.startswith("1 ") else f"{upper} in {within}"
