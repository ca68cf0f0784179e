"""Tests with their units, and how a value of the record may be written.

Factors between units are those of the molar masses and of SI prefixes, as laboratory manuals give them.
"""

import re
from dataclasses import dataclass

_ANNOTATION = re.compile(r"\{[^}]*\}")  # of UCUM: `1.4 {INR}`
_QUANTITY = re.compile(r"(\d+(?:\.\d+)?)\s*(.*)")


@dataclass(frozen=True, slots=True)
class Test:
    """A laboratory test or vital sign: how its name begins in the record, its key in a wording, other units."""

    begins: str
    key: str
    units: tuple[tuple[str, str, float, int], ...] = ()  # unit of the record, other unit, factor, digits


TESTS = (
    Test(
        "Leukocytes [#",
        "wbc",
        (
            ("/µL", "K/µL", 0.001, 1),
            ("/µL", "x10^9/L", 0.001, 1),
            ("10^3/µL", "K/µL", 1, 1),
            ("10^3/µL", "/µL", 1e3, 0),
        ),
    ),
    Test("Hemoglobin [Mass", "hgb", (("g/dL", "g/L", 10, 0),)),
    Test("Platelets [#", "plt", (("10^3/µL", "K/µL", 1, 0), ("10^3/µL", "x10^9/L", 1, 0))),
    Test("Sodium [Moles", "na", (("mmol/L", "mEq/L", 1, 0),)),
    Test("Potassium [Moles", "k", (("mmol/L", "mEq/L", 1, 1),)),
    Test("Creatinine [Mass", "crea", (("mg/dL", "µmol/L", 88.4, 0),)),
    Test("Urea nitrogen [Mass", "bun"),
    Test("Glucose [Mass", "glc", (("mg/dL", "mmol/L", 0.0555, 1),)),
    Test("C reactive protein", "crp", (("mg/L", "mg/dL", 0.1, 2), ("mg/dL", "mg/L", 10, 1))),
    Test("Albumin [Mass", "alb", (("g/dL", "g/L", 10, 0),)),
    Test("Aspartate aminotransferase", "ast"),
    Test("Alanine aminotransferase", "alt"),
    Test("Calcium [Mass", "ca"),
    Test("INR in", "inr"),
    Test("Hemoglobin A1c", "a1c"),
    Test("Natriuretic peptide B", "bnp", (("pg/mL", "ng/L", 1, 1),)),
    Test("Heart rate", "hr", (("/min", "bpm", 1, 0), ("/min", "beats per minute", 1, 0))),
    Test("Body temperature", "temp", (("°C", "°F", 0, 1),)),
    Test("Oxygen saturation", "spo2"),
    Test("Respiratory rate", "rr", (("/min", "breaths per minute", 1, 0),)),
    Test("Body weight", "weight"),
)
VITAL = frozenset({"hr", "temp", "spo2", "rr", "weight"})


def test_of(name: str) -> Test | None:
    """The test that a series of the record is of, where it is one of these."""
    return next((test for test in TESTS if name.startswith(test.begins)), None)


def quantity(value: str) -> tuple[float, str] | None:
    """Number and unit of a value of the record, as in `9800.0 /µL`; None for any other text."""
    match = _QUANTITY.fullmatch(_ANNOTATION.sub("", value).strip())
    return (float(match.group(1)), match.group(2)) if match else None


def plain(number: float) -> str:
    """Without needless digits: `139`, `13.7`, `0.89`."""
    return f"{number:.4f}".rstrip("0").rstrip(".")


def written(test: Test, value: str) -> tuple[str, ...]:
    """The ways to write a value: as it is, in other units. Empty where it is not a number."""
    found = quantity(value)
    if found is None:
        return ()
    number, unit = found
    space = "" if unit == "%" else " "
    ways = [f"{plain(number)}{space}{unit}".strip()]
    for own, other, factor, digits in test.units:
        if own == unit:
            converted = number * 1.8 + 32 if other == "°F" else number * factor
            ways.append(f"{converted:.{digits}f} {other}")
    return tuple(ways)


FREQUENCIES = {
    "once daily": "daily",
    "daily": "daily",
    "twice daily": "bid",
    "three times daily": "tid",
    "four times daily": "qid",
    "every 6 hours": "qid",
    "once a week": "weekly",
    "at bedtime": "bedtime",
}
ROUTES = {
    "PO": "oral",
    "oral": "oral",
    "Oral use": "oral",
    "IV": "iv",
    "intravenous": "iv",
    "SC": "sc",
    "subcutaneous": "sc",
    "INH": "inhaled",
    "INHALED": "inhaled",
    "inhalation": "inhaled",
    "inhaled": "inhaled",
    "NEB": "nebulized",
    "intramuscular": "im",
}
