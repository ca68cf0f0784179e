"""A sentence that an entry of the record has in nearly the same words is supported by it."""

from shared.grounding.evidence_index import EvidenceIndex
from shared.grounding.indexed_entries import IndexedEntry, content_words
from shared.grounding.parsed_sentence import ParsedSentence
from shared.grounding.vocabulary import normalized_name

_MIN_WORDS = 3  # fewer words are too few to compare
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


def verbatim_entries(parsed: ParsedSentence, record: EvidenceIndex) -> IndexedEntry | None:
    """Return the entry that has all words and numbers of the sentence, in order and with the same polarity."""
    same = record.by_text.get(normalized_name(parsed.text))
    if same is not None:
        return same
    keys = [key for key, _, _ in parsed.content]
    if len(keys) < _MIN_WORDS or parsed.dates:
        return None
    properties = {key: parsed.properties((start, end)) - {"past"} for key, start, end in parsed.content}
    numbers = [(quantity.value, quantity.second_value, quantity.dimension) for quantity in parsed.quantities]
    for line in record.entries_with(keys):
        if line.part not in _PARTS or any(line.stems[key] - {"past"} != what for key, what in properties.items()):
            continue
        if numbers == [
            (quantity.value, quantity.second_value, quantity.dimension) for quantity in line.quantities
        ] and _in_same_order(keys, line):
            return line
    return None


def _in_same_order(keys: list[str], line: IndexedEntry) -> bool:
    """Return whether the entry has the words in the same order, with few others between."""
    own = [key for key, _, _ in content_words(line.text) if not key[0].isdigit()]
    position = 0
    for key in own:
        position += position < len(keys) and key == keys[position]
    return position == len(keys) and len(own) <= 1.5 * len(keys) + 1
