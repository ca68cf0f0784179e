"""A sentence that an entry of the record says in nearly the same words is supported by it."""

from shared.grounding.assertion import scopes
from shared.grounding.lines import Line, content
from shared.grounding.parsed import Parsed
from shared.grounding.record import Record

_FEWEST = 3  # words that say something: fewer say too little to be compared


def said_by(parsed: Parsed, record: Record) -> Line | None:
    """The note or entry that has all words and numbers of the sentence, in its order, and the same cues."""
    keys = [key for key, _, _ in content(parsed.text)]
    if len(keys) < _FEWEST:
        return None
    cues = sorted({scope.name for scope in scopes(parsed.text)})
    numbers = [(figure.value, figure.dimension) for figure in parsed.figures]
    for line in record.lines_with(keys):
        if sorted({scope.name for scope in scopes(line.text)}) != cues or (
            line.part == "family_history" and "family" not in cues
        ):
            continue
        if (
            numbers == [(figure.value, figure.dimension) for figure in line.figures]
            and not parsed.dates
            and _ordered(keys, line)
        ):
            return line
    return None


def _ordered(keys: list[str], line: Line) -> bool:
    """Whether the entry has the words in the same order, with few others."""
    own = [key for key, _, _ in content(line.text)]
    position = 0
    for key in own:
        position += position < len(keys) and key == keys[position]
    return position == len(keys) and len(own) <= 1.5 * len(keys) + 1
