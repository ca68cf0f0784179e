"""A sentence that an entry of the record says in nearly the same words is supported by it."""

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
    """The note or entry that has all words and numbers of the sentence, in its order, affirmed or denied as there."""
    same = record.by_text.get(joined(parsed.text))
    if same is not None:
        return same
    keys = [key for key, _, _ in parsed.content]
    if len(keys) < _FEWEST or parsed.dates:
        return None
    said = {key: parsed.properties((start, end)) - {"past"} for key, start, end in parsed.content}
    numbers = [(figure.value, figure.second, figure.dimension) for figure in parsed.figures]
    for line in record.lines_with(keys):
        if line.part not in _PARTS or any(line.stems[key] - {"past"} != what for key, what in said.items()):
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
