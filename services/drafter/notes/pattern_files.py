"""Read tables of regular expressions: kinds and sections by name, one on a line."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

Name = TypeVar("Name", bound=str)
_FOLDER = Path(__file__).parent


def read_patterns(file: str, names: Sequence[Name]) -> tuple[tuple[Name, re.Pattern[str]], ...]:
    """Return the lines of `file` in order.

    Raises KeyError for an unknown name, which is a broken build.
    """
    known = {str(name): name for name in names}
    rows = (line.split("\t", 1) for line in (_FOLDER / file).read_text(encoding="utf-8").splitlines())
    return tuple((known[row[0]], re.compile(row[1], re.IGNORECASE)) for row in rows if len(row) == 2)


def read_word_patterns(file: str) -> dict[str, re.Pattern[str]]:
    """Return whole-word patterns by cue name; the lines of one cue are alternatives."""
    alternatives_by_cue: dict[str, list[str]] = {}
    for line in (_FOLDER / file).read_text(encoding="utf-8").splitlines():
        name, tab, alternatives = line.partition("\t")
        if tab:
            alternatives_by_cue.setdefault(name, []).append(alternatives)
    return {
        name: re.compile(rf"(?<!\w)(?:{'|'.join(items)})(?!\w)", re.IGNORECASE)
        for name, items in alternatives_by_cue.items()
    }
