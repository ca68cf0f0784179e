"""How many planted identifiers are found in free text, by kind, and what is altered that is none.

The figures are those of `docs/explanation/pseudonyms.md`; `python -m tests.unit.test_pseudonym_recall` prints them.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from datetime import date

import pytest

from services.drafter.pseudonyms.pseudonyms import Pseudonyms
from services.drafter.pseudonyms.spans import Span
from shared.contracts.context import Identifier
from tests.support.planted import CLINICAL, NOTES

END = date(2026, 3, 7)
_PLANTED = re.compile(r"\[\[(\w+)\|([^\]]+)\]\]")
_TITLES = re.compile(r"^(?:Dr\.|Prof\.|Mr\.|Nurse|Hausarzt|Tuesday)$|^(?:MD|DO|PA-C|de)$")
# Found of those that are planted, without any record: what the documentation states.
RECALL = {
    "address": (3, 3),
    "age": (3, 3),
    "bare": (5, 9),
    "contact": (2, 2),
    "date": (15, 15),
    "number": (9, 9),
    "phone": (8, 8),
    "place": (0, 4),
    "relative": (12, 12),
    "titled": (18, 19),
}
ALTERED = 0


def unmarked(note: str) -> tuple[str, list[tuple[str, int, int]]]:
    """Return the text of a note, and kind and place of what is planted in it."""
    text, places, at = "", [], 0
    for found in _PLANTED.finditer(note):
        text += note[at : found.start()]
        places.append((found[1], len(text), len(text) + len(found[2])))
        text, at = text + found[2], found.end()
    return text + note[at:], places


def altered(text: str, identifiers: Iterable[Identifier] = ()) -> list[Span]:
    """Return what is replaced in a text."""
    found = Pseudonyms(b"k" * 32, "case", END, identifiers)
    sent = found.replace(text)
    spans, at = [], 0
    for item in found.restorations(sent):
        start = item.start + at
        if item.text != sent[item.start : item.end]:  # a year stays as it is
            spans.append(Span(start, start + len(item.text), item.text))
        at += len(item.text) - (item.end - item.start)
    return spans


def is_found(text: str, start: int, end: int, spans: list[Span]) -> bool:
    """Return whether every word of an identifier is replaced, but titles and particles."""
    taken = {place for span in spans for place in range(span.start, span.end)}
    words = [item for item in re.finditer(r"[^\s,]+", text[start:end]) if not _TITLES.match(item[0])]
    return all(
        place in taken
        for word in words
        for place in range(start + word.start(), start + word.end())
        if text[place].isalnum()
    )


def measure() -> tuple[dict[str, tuple[int, int]], list[str], list[str]]:
    """Return found and planted by kind, what is missed, and what is altered in clinical text."""
    counts: defaultdict[str, Counter[bool]] = defaultdict(Counter)
    missed = []
    wrong = [item.text for text in CLINICAL for item in altered(text)]
    for note in NOTES:
        text, places = unmarked(note)
        spans = altered(text)
        for kind, start, end in places:
            found = is_found(text, start, end, spans)
            counts[kind][found] += 1
            if not found:
                missed.append(f"{kind}: {text[start:end]}")
        inside = {place for _, start, end in places for place in range(start, end)}
        wrong += [item.text for item in spans if inside.isdisjoint(range(item.start, item.end))]
    return {kind: (found[True], found.total()) for kind, found in sorted(counts.items())}, missed, wrong


@pytest.mark.timeout(300)
def test_recall_in_free_text_is_what_the_documentation_states() -> None:
    recall, missed, wrong = measure()
    assert recall == RECALL, missed
    assert len(wrong) == ALTERED, wrong


def test_with_the_record_every_name_number_and_address_of_it_is_found() -> None:
    kinds = {"titled": "person", "relative": "person", "bare": "person", "number": "number", "phone": "contact"}
    kinds |= {"contact": "contact", "address": "address", "place": "organization"}
    for note in NOTES:
        text, places = unmarked(note)
        known = [
            Identifier.model_validate({"kind": kinds[kind], "text": text[start:end]})
            for kind, start, end in places
            if kind in kinds and text[start:end] != "Halvorsen mill"
        ]
        spans = altered(text, known)
        for kind, start, end in places:
            if kind in kinds and kind != "place":
                assert is_found(text, start, end, spans), text[start:end]


if __name__ == "__main__":
    by_kind, not_found, changed = measure()
    print(by_kind, *not_found, "altered:", *changed, sep="\n")
