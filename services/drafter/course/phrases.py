"""Phrases that composed sentences share: lists, days, names for comparison, sentences with evidence. Pure."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from shared.contracts.context import ContextEntry
from shared.contracts.draft import Evidence, Narrative, Sentence, is_note

_UNTIL = re.compile(r"\((?=until \d)")  # the entry's own end; its day then begins a period
_DETAILS = re.compile(r"\s*\([^()]*\)|,? unspecified\b|\bunspecified ")
_REGISTERED = re.compile(r" \((?:registered|ordered, no result yet)\)$")
_PARTIAL = re.compile(r" \((?:preliminary|partial)\)$")
MAX_DAYS_LISTED = 3  # days of one entry that are listed


def join_list(items: Sequence[str]) -> str:
    """Join `a`, `a and b`, `a, b and c`; with semicolons where an item has a comma."""
    if len(items) < 2:
        return "".join(items)
    comma = "; " if any(re.search("[,;]| and ", item) for item in items) else ", "
    last = "; and " if comma == "; " else " and "
    return comma.join(items[:-1]) + last + items[-1]


def without_full_stop(text: str) -> str:
    """Return one line without a final full stop, to stand inside a sentence; `IV_access` becomes `IV access`."""
    return re.sub(r"(?<=[^\W_])_+(?=[^\W_])", " ", " ".join(text.split())).rstrip(" .;,")


def comparable_name(text: str) -> str:
    """Return a name without bracketed details and `unspecified`, for comparison."""
    return " ".join(_DETAILS.sub("", without_full_stop(text).lower()).split())


def day(time: datetime | None, on: str | None) -> str:
    """Return the day with the record's precision; empty where it has none."""
    return on or (f"{time:%Y-%m-%d}" if time else "")


def with_day(item: ContextEntry) -> str:
    """Return the entry's text with its day."""
    return _add_days(without_full_stop(item.text), [day(item.time, item.on)])


def with_days(items: Iterable[ContextEntry]) -> list[str]:
    """Return the entries with their days; a text with several days is listed once with all of them."""
    by_text: dict[str, list[ContextEntry]] = {}
    for item in unique_texts(items):
        by_text.setdefault(without_full_stop(item.text).lower(), []).append(item)
    return [
        _add_days(without_full_stop(same[0].text), [day(item.time, item.on) for item in same])
        for same in by_text.values()
    ]


def _add_days(text: str, days: Iterable[str]) -> str:
    known = list(dict.fromkeys(item for item in days if item))
    if not known:
        return text
    if len(known) == 1 and _UNTIL.search(text):
        return _UNTIL.sub(f"({known[0]} ", text, count=1)
    when = f"{len(known)} days, {min(known)} to {max(known)}" if len(known) > MAX_DAYS_LISTED else ", ".join(known)
    return f"{text} ({when})"


def pending_phrases(items: Iterable[ContextEntry]) -> list[str]:
    """Return pending results in words: FHIR's status words say little to a reader."""
    return with_days(item.model_copy(update={"text": _state(without_full_stop(item.text))}) for item in items)


def _state(text: str) -> str:
    return _PARTIAL.sub(", only preliminary so far", _REGISTERED.sub(", no result yet", text))


def unique_texts(items: Iterable[ContextEntry]) -> list[ContextEntry]:
    """Return the entries without repeated or empty texts, in order."""
    found: dict[str, ContextEntry] = {}
    for item in items:
        if text := without_full_stop(item.text):
            found.setdefault(f"{text.lower()}|{item.on}", item)
    return list(found.values())


def composed_sentence(narrative: Narrative, text: str, evidence: Iterable[tuple[str, str]]) -> Sentence:
    """Return a composed sentence; `evidence` is pairs of source and text, repeats are dropped."""
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


def evidence_of(entries: Iterable[ContextEntry]) -> list[tuple[str, str]]:
    """Return entries as evidence."""
    return [(item.source, item.text) for item in entries]


def is_from_note(item: ContextEntry) -> bool:
    """Return whether an entry is a sentence of a document, not a resource of its own."""
    return item.source.startswith(("Composition/", "DocumentReference/"))
