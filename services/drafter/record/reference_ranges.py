"""Reference ranges: bounds, the population they apply to, and therapeutic targets. Pure.

https://hl7.org/fhir/R4/observation-definitions.html#Observation.referenceRange
"""

import re
from dataclasses import dataclass
from decimal import Decimal

from services.drafter.record import quantities
from shared.clinical import elements
from shared.clinical.elements import Resource

_SEXES = dict.fromkeys(("248152002", "F", "female", "women", "weiblich", "vrouw"), "female") | dict.fromkeys(
    ("248153007", "M", "male", "men", "männlich", "man"), "male"
)
_GENERAL_POPULATION = re.compile(r"normal|general|everyone|all\b|adult|alle\b", re.IGNORECASE)
_YEARS = {"a": 1.0, "mo": 1 / 12, "wk": 7 / 365.25, "d": 1 / 365.25, "year": 1.0, "years": 1.0, "": 1.0, "h": 1 / 8766}
# https://terminology.hl7.org/CodeSystem-referencerange-meaning.html: `treatment` and what is below it
_THERAPEUTIC_CODES = frozenset({"treatment", "therapeutic", "pre", "post"})
_THERAPEUTIC_WORDS = re.compile(r"therap|treatment|target (range|level)|zielbereich|streefwaarde", re.IGNORECASE)
_DRUG_LEVEL = re.compile(
    r"\b(trough|peak|drug level|talspiegel|dalspiegel|spiegel|vancomycin|gentamicin|tobramycin|amikacin|digoxin"
    r"|digitoxin|lithium|phenytoin|valpro\w*|carbamazepin\w*|phenobarbital|lamotrigin\w*|levetiracetam|tacrolimus|ciclosporin\w*"
    r"|cyclosporin\w*|sirolimus|everolimus|theophyllin\w*|methotrexat\w*|voriconazol\w*|clozapin\w*|teicoplanin)\b",
    re.IGNORECASE,
)
_CRITICAL_RANGES = frozenset({"critical", "panic", "alert"})
_TEXT_RANGE = re.compile(
    r"\s*(-?\d+(?:[.,]\d+)?)\s*(?:-|–|—|to|bis|tot|\.\.+)\s*(-?\d+(?:[.,]\d+)?)\b(.*)", re.DOTALL | re.IGNORECASE
)

_THOUSANDS = re.compile(r"-?\d{1,3},\d{3}")
_ANOTHER_RANGE = re.compile(r"\d\s*(-|–|—|to|bis|tot)\s*\d|:\s*\d|[<>≤≥]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Bounds:
    """A reference range: its bounds in the unit of the value, and its printed form."""

    low: Decimal | None
    high: Decimal | None
    text: str
    unit: str = ""
    strict: bool = False  # the limit itself lies outside: `< 0.04`
    grouped: bool = False  # its words may be thousands: `4.500-11.000`
    exact: bool = False  # a limit that is a number has three decimal places


@dataclass(frozen=True, slots=True)
class RangeSubject:
    """Sex and age, which select among several ranges."""

    sex: str | None = None
    years: float | None = None


def reference_ranges(result: Resource, person: RangeSubject) -> list[Bounds]:
    """Return the normal ranges that apply to the person."""
    stated = elements.children(result, "referenceRange")
    return _applicable_bounds(
        [item for item in stated if not _range_types(item) & _CRITICAL_RANGES and not _is_therapeutic(item)], person
    )


def therapeutic_ranges(result: Resource, person: RangeSubject) -> list[Bounds]:
    """Return target ranges of a treatment: of a drug level, of the INR under anticoagulation."""
    return _applicable_bounds(
        [item for item in elements.children(result, "referenceRange") if _is_therapeutic(item)], person
    )


def applicable_ranges(result: Resource, name: str, person: RangeSubject) -> list[Bounds]:
    """Return the ranges to compare a value with: therapeutic for a drug level, else every stated range.

    An INR does not show whether a patient is treated: where its ranges disagree about a value, none is applied.
    """
    aimed = therapeutic_ranges(result, person)
    return aimed if aimed and _DRUG_LEVEL.search(name) else [*reference_ranges(result, person), *aimed]


def _is_therapeutic(stated: Resource) -> bool:
    types = _range_types(stated)
    return bool(types & _THERAPEUTIC_CODES) or any(_THERAPEUTIC_WORDS.search(text) for text in types)


def _applicable_bounds(stated: list[Resource], person: RangeSubject) -> list[Bounds]:
    """Return the ranges for the person: by sex or age before the general one."""
    fitting = [item for item in stated if _applies_to(item, person)]
    specific = [item for item in fitting if item.get("appliesTo") or item.get("age")]
    chosen = specific or [item for item in fitting if not item.get("appliesTo") and not item.get("age")]
    return [bounds for item in chosen if (bounds := parse_bounds(item))]


def parse_bounds(stated: Resource) -> Bounds | None:
    """Return a range from its bounds, else from its text; None without a number."""
    low, high = elements.child(stated, "low"), elements.child(stated, "high")
    first, last = elements.number(low), elements.number(high)
    if first is not None or last is not None:
        unit = quantities.unit_of(low) or quantities.unit_of(high)
        exact = any(quantities.has_three_decimals(number) for number in (first, last))
        return Bounds(_decimal(first), _decimal(last), quantities.format_range(stated) or "", unit, exact=exact)
    text = elements.string(stated, "text") or ""
    if match := _TEXT_RANGE.fullmatch(text):
        if any(_THOUSANDS.fullmatch(match[end]) for end in (1, 2)) or _ANOTHER_RANGE.search(match[3]):
            return None  # `4,500` is two numbers to two readers; of several ranges in words nobody says which applies
        low_end, high_end = (Decimal(match[end].replace(",", ".")) for end in (1, 2))
        grouped = any(quantities.may_be_thousands(match[end]) for end in (1, 2))
        return Bounds(low_end, high_end, text, _unit_in(match[3]), grouped=grouped)
    limit = quantities.parse_measured(text)
    if limit is None or not limit.comparator or _ANOTHER_RANGE.search(limit.unit):
        return None
    below, strict = limit.comparator in ("<", "<="), limit.comparator in ("<", ">")
    return Bounds(
        None if below else limit.value,
        limit.value if below else None,
        text,
        _unit_in(limit.unit),
        strict,
        grouped=limit.grouped,
    )


def _unit_in(text: str) -> str:
    """Return the unit at the start of `text`: `mg/dL (fasting)`; empty where a word is there."""
    first = next(iter(text.split()), "")
    return quantities.format_unit(first) if "/" in first and "(" not in first else ""


def critical_bounds(result: Resource, person: RangeSubject) -> list[Bounds]:
    stated = [
        item
        for item in elements.children(result, "referenceRange")
        if _range_types(item) & _CRITICAL_RANGES and _applies_to(item, person)
    ]
    return [bounds for item in stated if (bounds := parse_bounds(item))]


def _range_types(stated: Resource) -> set[str]:
    type = stated.get("type")
    return {text.lower() for text in (*elements.codes(type), *elements.displays(type))}


def _applies_to(stated: Resource, person: RangeSubject) -> bool:
    """Return whether a range is for this sex and age; unknown attributes fit any range."""
    named = [
        code
        for item in elements.children(stated, "appliesTo")
        for code in (*elements.codes(item), *elements.displays(item))
    ]
    sexes = {_SEXES[key] for text in named for key in (text, text.lower()) if key in _SEXES}
    if sexes and person.sex in ("male", "female") and person.sex not in sexes:
        return False
    if named and not sexes and not any(_GENERAL_POPULATION.search(text) for text in named):
        return False  # a pregnancy or an ancestry, of which the record says nothing here
    age = elements.child(stated, "age")
    if not age or person.years is None:
        return True
    low, high = (_age_in_years(elements.child(age, end)) for end in ("low", "high"))
    whole_years = _age_unit(elements.child(age, "high")) in ("a", "year", "years", "")
    return (low is None or low <= person.years) and (high is None or person.years < high + whole_years)


def _age_in_years(age: Resource) -> float | None:
    amount = elements.number(age)
    return None if amount is None else float(amount) * _YEARS.get(_age_unit(age), 1.0)


def _age_unit(age: Resource) -> str:
    return (elements.string(age, "code") or elements.string(age, "unit") or "").lower()


def _decimal(number: elements.Number | None) -> Decimal | None:
    return None if number is None else Decimal(str(number))
