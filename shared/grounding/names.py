"""Other names: abbreviations of diagnoses, classes of medicines, procedures and imaging, parts of the body.

They are in `names.tsv` (kind, name, other names with bars between): our own list of what is common in English hospital
notes, with the words of the German and Dutch records that we know.
"""

from functools import cache

from shared.grounding.vocabulary import FOLDER

# Lowercase forms that are also words or other abbreviations: they count in capitals only.
CAPITALS = frozenset("af cap mi pe dm ms oa ra hf pad ca dvt cad chd ihd chf aki uti dka gib pr tlc rbs fbs".split())  # noqa: SIM905
IMAGING = frozenset({"x-ray", "ct", "mri", "ultrasound"})
# Words that end so name a procedure.
PROCEDURE_ENDINGS = ("ectomy", "ostomy", "otomy", "plasty", "scopy", "centesis", "desis", "pexy", "graphy", "rrhaphy")


@cache
def table(kind: str) -> dict[str, tuple[str, ...]]:
    """Name → other names of one kind: `diagnosis`, `class`, `procedure` or `body`."""
    rows = (line.split("\t") for line in (FOLDER / "names.tsv").read_text().splitlines())
    return {name: tuple(others.split("|")) for of, name, others in rows if of == kind}


@cache
def inverted(kind: str) -> dict[str, str]:
    """Every other name → what it stands for."""
    return {other: name for name, others in table(kind).items() for other in others}


def members(name: str) -> frozenset[str]:
    """The medicines of a class; none of a name that is no class."""
    return frozenset(table("class").get(name, ()))
