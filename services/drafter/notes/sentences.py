"""Split typed notes into sentences: join wrapped lines, separate list items, keep abbreviations. Pure."""

import re
from collections.abc import Iterable, Iterator

from shared.grounding import split_sentences

BULLET = re.compile(
    r"^\s*(?:#+\s*\d{0,2}[.)]?|[-*•·▪◦‣→>]+|\(?\d{1,2}[.)](?=\s)|\(?[a-z][.)](?=\s)|\[[ x]?\])\s*", re.IGNORECASE
)
_UNFINISHED = re.compile(r"[^.!?:;|]$")
_LABEL = re.compile(r"[^\W\d_][\w /&-]{1,40}:(?=\s)")  # `Monitoring: weights`
_MIN_WRAPPED_CHARACTERS = 55  # a shorter line without a full stop was not wrapped
_WORDS = re.compile(r"[^\W_]+(?:[.,]\d+)*")


def split_note_sentences(lines: Iterable[str]) -> Iterator[str]:
    """Yield the sentences of a section's lines, without bullets, one line each."""
    for text in _join_lines(lines):
        for sentence in split_sentences(text):
            bare = " ".join(BULLET.sub("", sentence).split())
            if re.search(r"\w{2}", bare):
                yield bare


def _join_lines(lines: Iterable[str]) -> Iterator[str]:
    """Join lines that an editor or a PDF broke."""
    open_text, open_line = "", ""
    for line in lines:
        text = " ".join(line.split())
        if not text:
            if open_text:
                yield open_text
            open_text = ""
            continue
        if open_text and _continues(open_line, text):
            open_text = f"{open_text[:-1]}{text}" if _is_broken_word(open_text, text) else f"{open_text} {text}"
        else:
            if open_text:
                yield open_text
            open_text = text
        open_line = text
    if open_text:
        yield open_text


def _continues(before: str, text: str) -> bool:
    if BULLET.match(text) or _LABEL.match(text) or "|" in text or "|" in before:
        return False
    if before.endswith(","):
        return True
    if not _UNFINISHED.search(before):
        return len(before) >= _MIN_WRAPPED_CHARACTERS and not before.endswith((":", "|"))
    return text[:1].islower() or len(before) >= _MIN_WRAPPED_CHARACTERS


def _is_broken_word(before: str, text: str) -> bool:
    return bool(re.search(r"[a-z]-$", before)) and text[:1].islower() and len(before) >= _MIN_WRAPPED_CHARACTERS


def normalize(text: str) -> str:
    """Return a sentence for comparison: case, punctuation and spaces do not count, digits do."""
    return " ".join(_WORDS.findall(text.casefold()))
