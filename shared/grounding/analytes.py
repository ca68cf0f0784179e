"""Laboratory tests and vital signs: their names, and the data to convert their units.

`analytes.tsv`: id, names separated by bars, grams per mole, valence, scale. Names and molar masses are common knowledge
of laboratory medicine (IUPAC atomic weights; haemoglobin as its monomer, 16,114 g/mol; urea as nitrogen, 28.01).
German, Dutch, Portuguese and Spanish names are those of FHIR records.
"""

from dataclasses import dataclass
from functools import cache

from shared.grounding.vocabulary import FOLDER


@dataclass(frozen=True, slots=True)
class Analyte:
    """A test. `scale` is the customary factor of a number that is written without a unit (9.8 for 9,800 /µL)."""

    id: str
    names: tuple[str, ...]
    grams_per_mole: float | None = None
    valence: int = 1
    scale: float = 1.0


# What both kinds of a test are called.
FAMILIES = {
    "renal function": ("creatinine",),
    "kidney function": ("creatinine",),
    "liver function": ("alt", "ast"),
    "liver function tests": ("alt", "ast"),
    "electrolytes": ("sodium", "potassium"),
"troponin": ("troponin i", "troponin t"), "transaminases": ("alt", "ast"), "liver enzymes": ("alt", "ast"),
            "aminotransferases": ("alt", "ast"), "co2": ("pco2", "bicarbonate"), "lfts": ("alt", "ast"),
            "cardiac enzymes": ("troponin i", "troponin t", "ck")}  # fmt: skip


_TEST_NOUNS = ("level", "levels", "count", "value", "values", "reading", "readings")


@cache
def analytes() -> dict[str, Analyte]:
    """Return all tests by id."""
    rows = (line.split("\t") for line in (FOLDER / "analytes.tsv").read_text().splitlines())
    return {
        row[0]: Analyte(row[0], tuple(row[1].split("|")), float(row[2]) if row[2] else None, int(row[3]), float(row[4]))
        for row in rows
    }


@cache
def analyte_names() -> dict[str, str]:
    """Return the test's id for each of its names."""
    found = {f"{name} {of}": item.id for item in analytes().values() for name in item.names for of in _TEST_NOUNS}
    found |= {name: item.id for item in analytes().values() for name in item.names}
    return found | {name: name for name in FAMILIES}


def core_name(name: str) -> str:
    """Return the part of a LOINC name that states what is measured.

    Example: `Glucose [Mass/volume] in Urine` → `urine glucose`.
    """
    head = name.lower().partition("[")[0].strip() or name.lower()
    urine = any(word in name.lower() for word in ("urin", "csf", "cerebrospinal", "pleural"))
    head = head.partition(" in platelet poor")[0].partition(" in blood")[0].partition(" im blut")[0]
    head = head.replace("ph of arterial blood", "ph").replace("ph of venous blood", "venous ph")
    if "carbon dioxide" in head and "pressure" in name.lower():
        return "pco2"
    if head.startswith("oxygen") and "pressure" in name.lower():
        return "po2"
    return f"urine {head}" if urine and "urin" not in head else head
