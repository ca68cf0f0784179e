"""A sentence that an entry of the record says in nearly the same words is supported by it."""

from shared.grounding.assertion import scopes
from shared.grounding.lines import Line, content
from shared.grounding.parsed import Parsed
from shared.grounding.record import Record
from shared.grounding.vocabulary import joined

_FEWEST = 3  # words that say something: fewer say too little to be compared
# Diagnoses, family history, allergies and orders are compared by what they mean, never by their words alone.
_PARTS = frozenset(
    {
        "notes",
        "reports",
        "procedures",
        "devices",
        "microbiology",
        "reasons",
        "function",
        "observed",
        "directives",
        "care_plans",
        "diet",
        "goals",
        "services",
        "follow_up",
        "outcome",
        "contradictions",
        "immunizations",
    }
)


def said_by(parsed: Parsed, record: Record) -> Line | None:
    """The note or entry that has all words and numbers of the sentence, in its order, and the same cues."""
    same = record.by_text.get(joined(parsed.text))
    if same is not None:
        return same
    keys = [key for key, _, _ in parsed.content]
    if len(keys) < _FEWEST or parsed.dates:
        return None
    cues = sorted(scope.name for scope in scopes(parsed.text))
    numbers = [(figure.value, figure.second, figure.dimension) for figure in parsed.figures]
    for line in record.lines_with(keys):
        if line.part not in _PARTS or sorted(scope.name for scope in scopes(line.text)) != cues:
            continue
        if numbers == [(figure.value, figure.second, figure.dimension) for figure in line.figures] and _ordered(
            keys, line
        ):
            return line
    return None


def _ordered(keys: list[str], line: Line) -> bool:
    """Whether the entry has the words in the same order, with few others."""
    own = [key for key, _, _ in content(line.text) if not key[0].isdigit()]
    position = 0
    for key in own:
        position += position < len(keys) and key == keys[position]
    return position == len(keys) and len(own) <= 1.5 * len(keys) + 1
