"""Synthetic stays that ship with Countersign, as records that a drafter has read: candidates are evaluated on them.

`python -m tests.stays.ship` writes the files from the corpus of the tests. Nobody in them is real.
"""

import gzip
import json
from functools import cache
from pathlib import Path

from shared.contracts.context import EncounterContext
from shared.contracts.envelope import sha256_hex
from shared.contracts.errors import PermanentError
from shared.contracts.model import Model, read_strictly

FOLDER = Path(__file__).parent / "synthetic"
INDEX = FOLDER / "index.json"


class SyntheticStay(Model):
    """An entry of the index. `context` is the SHA-256 of its record."""

    name: str
    document: str  # the shipped kind of document that it gets
    department: str
    context: str


@cache
def index() -> tuple[SyntheticStay, ...]:
    """Return the stays in the order of their names."""
    return tuple(SyntheticStay.model_validate(item) for item in json.loads(INDEX.read_text(encoding="utf-8")))


def record(name: str, digest: str) -> EncounterContext:
    """Return the record of a stay.

    Raises PermanentError where this version of Countersign has none of that name and digest.
    """
    if all((item.name, item.context) != (name, digest) for item in index()):
        raise PermanentError("this version of Countersign has another record of the synthetic stay, or none")
    data = gzip.decompress(file_of(name).read_bytes())
    if sha256_hex(data) != digest:
        raise PermanentError("the record of the synthetic stay is not that of the index")
    return read_strictly(EncounterContext, data)


def file_of(name: str) -> Path:
    return FOLDER / f"{name}.json.gz"
