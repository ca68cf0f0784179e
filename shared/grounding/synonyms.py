"""Synonyms: abbreviations of diagnoses, classes of medicines, procedures and imaging, body parts.

`names.tsv` (kind, name, synonyms separated by bars) is our own list of what is common in English hospital notes, with
the words of German and Dutch records.
"""

from functools import cache

from shared.grounding.vocabulary import FOLDER

# Lowercase forms that are also words or other abbreviations: they count in capitals only.
CAPITALS_ONLY = frozenset(
    "af cap mi pe dm ms oa ra hf pad ca dvt cad chd ihd chf aki uti dka gib pr tlc rbs fbs".split()  # noqa: SIM905
)
IMAGING = frozenset({"x-ray", "ct", "mri", "ultrasound"})
# Words that end so name a procedure.
PROCEDURE_ENDINGS = ("ectomy", "ostomy", "otomy", "plasty", "scopy", "centesis", "desis", "pexy", "graphy", "rrhaphy")


@cache
def synonyms(kind: str) -> dict[str, tuple[str, ...]]:
    """Return the synonyms of each name of one kind: `diagnosis`, `class`, `procedure` or `body`."""
    rows = (line.split("\t") for line in (FOLDER / "names.tsv").read_text().splitlines())
    return {name: tuple(others.split("|")) for of, name, others in rows if of == kind}


@cache
def by_synonym(kind: str) -> dict[str, str]:
    """Return the name for each synonym."""
    return {other: name for name, others in synonyms(kind).items() for other in others}


def class_members(name: str) -> frozenset[str]:
    """Return the medicines of a class; () for an unknown class."""
    return frozenset(synonyms("class").get(name, ()))
