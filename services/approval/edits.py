"""What a physician changed: as figures for the trail, as a diff for the eye, and what still waits for a word. Pure."""

import difflib
import re
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from rapidfuzz.distance import Levenshtein

from shared.contracts.draft import Draft
from shared.contracts.events import Edits


class Piece(NamedTuple):
    """A run of text in a diff."""

    kind: Literal["same", "added", "removed"]
    text: str


def standing(draft: Draft, text: str) -> tuple[int, ...]:
    """Sentences of the draft, from 0, that `text` still has word for word."""
    return tuple(index for index, sentence in enumerate(draft.sentences) if sentence.text in text)


def unresolved(draft: Draft, text: str, confirmed: Sequence[int]) -> tuple[int, ...]:
    """Sentences that the record does not support and that were neither confirmed, nor changed, nor removed."""
    return tuple(
        index for index in standing(draft, text) if not draft.sentences[index].supported and index not in confirmed
    )


def unacknowledged(draft: Draft, acknowledged: Sequence[int]) -> tuple[int, ...]:
    """Open points of the draft, from 0, that nobody has confirmed to have seen."""
    return tuple(index for index in range(len(draft.open_points)) if index not in acknowledged)


def figures(draft: Draft, text: str) -> Edits:
    """How far `text`, which is signed, is from the draft."""
    stand = set(standing(draft, text))
    numbers = range(len(draft.sentences))
    return Edits(
        distance=Levenshtein.distance(draft.text, text),
        changed=tuple(index for index in numbers if index not in stand),
        confirmed=tuple(index for index in numbers if index in stand and not draft.sentences[index].supported),
    )


def diff(before: str, after: str) -> list[Piece]:
    """Word by word; only the lines that differ, each with its line break."""
    pieces: list[Piece] = []
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    for tag, start, end, other, stop in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            pieces += _words("".join(old[start:end]), "".join(new[other:stop]))
    return pieces


def _words(before: str, after: str) -> Iterator[Piece]:
    old, new = re.findall(r"\s+|[^\s]+", before), re.findall(r"\s+|[^\s]+", after)
    for tag, start, end, other, stop in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag == "equal":
            yield Piece("same", "".join(old[start:end]))
            continue
        if end > start:
            yield Piece("removed", "".join(old[start:end]))
        if stop > other:
            yield Piece("added", "".join(new[other:stop]))
