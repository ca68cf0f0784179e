"""Format amounts with units as clinicians write them: never rounded, never converted. Pure."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from shared.clinical import elements
from shared.clinical.elements import Number, Resource, format_number

# UCUM → what is printed. https://ucum.org/ucum
_UNITS = {
    "mm[Hg]": "mmHg",
    "cm[H2O]": "cmH2O",
    "Cel": "°C",
    "[degF]": "°F",
    "[IU]": "IU",
    "[iU]": "IU",
    "[in_i]": "in",
    "[lb_av]": "lb",
    "[pH]": "",
    "{1.73_m2}": "1.73 m²",
    "{1.73m2}": "1.73 m²",
}
_COMPARATORS = {"<": "<", "<=": "≤", ">=": "≥", ">": ">", "ad": ""}
_SPOKEN_COMPARATORS = (
    (r"(greater|more|higher) than or equal( to)?|at least|min(imum|\.)?|mindestens|vanaf|ab", ">="),
    (r"(less|lower) than or equal( to)?|at most|up to|max(imum|\.)?|bis( zu)?|tot|höchstens", "<="),
    (r"(greater|more|higher) than|above|over", ">"),
    (r"(less|lower) than|below|under", "<"),
)
_MEASURED_TEXT = re.compile(r"\s*(<=|>=|=<|=>|<|>|≤|≥)?\s*([-+]?\d+(?:[.,]\d+)?)(?![\d.,:/])\s*(\D.*)?", re.DOTALL)


def format_unit(text: str) -> str:
    """Return `10*9/L` → `10^9/L`, `umol/L` → `µmol/L`, `mm[Hg]` → `mmHg`; without annotations in braces."""
    for written, printed in _UNITS.items():
        text = text.replace(written, printed)
    text = re.sub(r"\{[^}]*\}", "", text)
    text = re.sub(r"(?<![\d])10\*(-?\d+)", r"10^\1", text)
    return re.sub(r"(?<![A-Za-z])u(?=(g|mol|L|l|m|s|kat)(/|$))", "µ", text).strip()


def unit_of(element: Any) -> str:
    """Return the unit of a Quantity: as its author wrote it, else its code."""
    stated = elements.string(element, "unit")
    return format_unit(stated or elements.string(element, "code") or "")


def format_quantity(element: Any, *, trailing_zeros: bool = True) -> str | None:
    """Format `{"value": 0.125, "unit": "mg"}` → `0.125 mg`, with its comparator."""
    amount = elements.number(element)
    if amount is None:
        return None
    comparator = _COMPARATORS.get(elements.string(element, "comparator") or "", "")
    shown = unit_of(element)
    return f"{comparator}{format_number(amount, trailing_zeros=trailing_zeros)} {shown}".strip()


def format_range(element: Any, *, trailing_zeros: bool = True) -> str | None:
    """Format a Range: `0.5-1 g`, `≥ 3 mg`."""
    low, high = elements.child(element, "low"), elements.child(element, "high")
    first, last = (format_quantity(part, trailing_zeros=trailing_zeros) for part in (low, high))
    if first and last:
        same = unit_of(low) == unit_of(high) or not unit_of(low)
        start = format_number(low["value"], trailing_zeros=trailing_zeros) if same else first
        return f"{start} to {last}" if "-" in start or not same else f"{start}-{last}"
    return f"≥ {first}" if first else f"≤ {last}" if last else None


def format_ratio(element: Any, *, trailing_zeros: bool = True) -> str | None:
    """Format a Ratio: `1:640`, `4 g per day`, `10 mg/5 mL`."""
    above, below = elements.child(element, "numerator"), elements.child(element, "denominator")
    top, bottom = (format_quantity(part, trailing_zeros=trailing_zeros) for part in (above, below))
    if top is None:
        return None
    if bottom is None:
        return top
    if not unit_of(above) and not unit_of(below):
        return f"{top}:{bottom}"
    number, _, name = bottom.partition(" ")
    return f"{top}/{name or number}" if name and number in ("1", "1.0") else f"{top}/{bottom}"


class MeasuredValue:
    """A number to compare with a range: the value and its comparator."""

    def __init__(self, value: Decimal, comparator: str = "", unit: str = "", *, grouped: bool = False) -> None:
        self.value = value
        self.comparator = comparator
        self.unit = unit
        self.grouped = grouped  # its words may be thousands: `1.250`


def may_be_thousands(text: str) -> bool:
    """Return whether a number in words may mean 1250 or 1.25, by language; `0.125` may not."""
    return re.fullmatch(r"[-+]?[1-9]\d{0,2}\.\d{3}", text) is not None


def has_three_decimals(number: Number | None) -> bool:
    """Return whether a number of the record has three decimal places, as those in its words then have."""
    return number is not None and -Decimal(str(number)).as_tuple().exponent == 3  # type: ignore[operator]


def measured_value(observation: Resource) -> MeasuredValue | None:
    """Return the number of an Observation or component; also one in words (`GREATER THAN 10000`, `<0.01`)."""
    element = observation.get("valueQuantity")
    amount = elements.number(element)
    if amount is None:
        amount = elements.number(observation, "valueInteger")
    if amount is not None:
        return MeasuredValue(_decimal(amount), elements.string(element, "comparator") or "", unit_of(element))
    return parse_measured(elements.string(observation, "valueString") or "")


def parse_measured(text: str) -> MeasuredValue | None:
    """Return `> 35,5 mg/L` as 35.5 with comparator and unit; None for no number, or an unclear one."""
    for spoken, sign in _SPOKEN_COMPARATORS:
        text = re.sub(rf"^\s*({spoken})\b", sign, text, flags=re.IGNORECASE)
    match = _MEASURED_TEXT.fullmatch(text)
    if match is None or re.fullmatch(r"[-+]?\d{1,3},\d{3}", match[2]):
        return None  # `35,000` is thirty-five thousand to some and thirty-five to others
    comparator = {"=<": "<=", "=>": ">=", "≤": "<=", "≥": ">="}.get(match[1] or "", match[1] or "")
    try:
        value, stated = Decimal(match[2].replace(",", ".")), format_unit((match[3] or "").strip())
        return MeasuredValue(value, comparator, stated, grouped=may_be_thousands(match[2]))
    except InvalidOperation:
        return None


def _decimal(amount: Number) -> Decimal:
    return Decimal(str(amount))
