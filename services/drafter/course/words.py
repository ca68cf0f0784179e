"""Words that the composed sentences share: lists, cases of letters, sentences with their evidence. Pure."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from shared.contracts.context import Entry
from shared.contracts.draft import Evidence, Narrative, Sentence, is_note

# First words of names that are safe in lower case inside a sentence: common nouns and adjectives of clinical English.
_SAFE = frozenset(
    "acute chronic severe mild moderate pain fever cough chest shortness abdominal essential unspecified primary"  # noqa: SIM905 - a list of words
    " secondary other bacterial viral fracture closed displaced pneumonia sepsis hypertension asthma heart congestive"
    " nausea vomiting headache dyspnea weakness fall elective planned".split()
)


def listed(items: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`; semicolons where an item has a comma of its own."""
    if len(items) < 2:
        return "".join(items)
    comma = "; " if any("," in item or " and " in item for item in items) else ", "
    last = "; and " if comma == "; " else " and "
    return comma.join(items[:-1]) + last + items[-1]


def lowered(text: str) -> str:
    """The text with a small first letter, where its first word is a known common one; else as the record has it."""
    first = text.split(" ", 1)[0].rstrip(",;:")
    return text[:1].lower() + text[1:] if first[:1].isupper() and first.lower() in _SAFE else text


def clean(text: str) -> str:
    """One line without a full stop at its end, so that it can stand inside a sentence."""
    return " ".join(text.split()).rstrip(" .;,")


def day(time: datetime | None, on: str | None) -> str:
    """The day with the precision of the record; empty where it has none."""
    return on or (f"{time:%Y-%m-%d}" if time else "")


def dated(item: Entry) -> str:
    """The entry's text with its day."""
    when = day(item.time, item.on)
    return f"{clean(item.text)} ({when})" if when else clean(item.text)


def unique(items: Iterable[Entry]) -> list[Entry]:
    """The entries without those whose text stood before, in order; empty ones are left out."""
    found: dict[str, Entry] = {}
    for item in items:
        if text := clean(item.text):
            found.setdefault(f"{text.lower()}|{item.on}", item)
    return list(found.values())


def sentence(narrative: Narrative, text: str, evidence: Iterable[tuple[str, str]]) -> Sentence:
    """A composed sentence; `evidence` is pairs of source and text, repeats are dropped."""
    pairs = dict.fromkeys((source, words) for source, words in evidence if source)
    text = text[:1].upper() + text[1:]
    return Sentence(
        narrative=narrative,
        text=text if text.endswith((".", "!", "?")) else f"{text}.",
        evidence=tuple(
            Evidence(source=source, text=words, kind="note" if is_note(source) else "record") for source, words in pairs
        ),
        origin="rules",
        by_note=any(is_note(source) for source, _ in pairs),
    )


def of(entries: Iterable[Entry]) -> list[tuple[str, str]]:
    """The evidence that entries are."""
    return [(item.source, item.text) for item in entries]
