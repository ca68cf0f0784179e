"""Compare the passages of two versions of the knowledge base. Pure.

A passage keeps its id while its text, its headings and its document stay the same.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal, NamedTuple

from shared.contracts.knowledge import Chunk, DocumentEntry

MAX_WORDS = 1500  # of a passage that is compared word by word; a longer one is shown as removed and added
_WORDS = re.compile(r"\S+\s*|\s+")
Kind = Literal["same", "added", "removed"]
DocumentKey = tuple[str, str]  # source, document


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """A document that two versions have differently. Numbers are those of passages."""

    kind: Literal["added", "changed", "removed"]
    source: str
    document: str
    added: int
    removed: int
    kept: int


class Segment(NamedTuple):
    """A run of text in a changed passage."""

    kind: Kind
    text: str


@dataclass(frozen=True, slots=True)
class PassageRow:
    """A passage, or two that replace each other (`changed`), as `segments`."""

    kind: Literal["same", "added", "removed", "changed"]
    path: tuple[str, ...]
    segments: tuple[Segment, ...]


def by_document(chunks: Iterable[Chunk]) -> dict[DocumentKey, set[str]]:
    """Return the ids of the passages of each document."""
    found: defaultdict[DocumentKey, set[str]] = defaultdict(set)
    for chunk in chunks:
        found[chunk.source, chunk.document].add(chunk.id)
    return found


def changed_documents(before: dict[DocumentKey, set[str]], after: dict[DocumentKey, set[str]]) -> list[DocumentChange]:
    """Return the documents whose passages differ, by source and name."""
    found = []
    for key in sorted({*before, *after}):
        old, new = before.get(key, set()), after.get(key, set())
        if old != new:
            kind: Literal["added", "changed", "removed"] = "changed" if old and new else ("added" if new else "removed")
            found.append(DocumentChange(kind, *key, len(new - old), len(old - new), len(old & new)))
    return found


def in_order(chunks: Iterable[Chunk], entry: DocumentEntry | None) -> list[Chunk]:
    """Return passages in the order of the document.

    The order is known for the newest version only. A passage that has left it stands beside those under the same
    headings; one whose headings have left it too stands at the end.
    """
    found = sorted(chunks, key=lambda item: (item.path, item.id))
    positions = {id: number for number, (id, _) in enumerate(entry.chunks if entry is not None else ())}
    of_path: dict[tuple[str, ...], int] = {}
    for item in found:
        if item.id in positions:
            of_path[item.path] = min(positions[item.id], of_path.get(item.path, len(positions)))
    return sorted(found, key=lambda item: positions.get(item.id, of_path.get(item.path, len(positions))))


def compare(before: Sequence[Chunk], after: Sequence[Chunk]) -> list[PassageRow]:
    """Return the passages of one document in two versions: what stayed, went, came and changed."""
    rows: list[PassageRow] = []
    old, new = [item.id for item in before], [item.id for item in after]
    for kind, start, end, first, last in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            rows += [_row("same", item) for item in after[first:last]]
            continue
        rows += _replaced(before[start:end], after[first:last])
    return rows


def _replaced(gone: Sequence[Chunk], came: Sequence[Chunk]) -> list[PassageRow]:
    """Pair passages under the same headings; the others were removed or added."""
    rows: list[PassageRow] = []
    left = list(gone)
    for item in came:
        pair = next((old for old in left if old.path == item.path), None)
        if pair is None:
            rows.append(_row("added", item))
            continue
        left.remove(pair)
        rows.append(PassageRow("changed", item.path, tuple(_words(pair.text, item.text))))
    return [*(_row("removed", item) for item in left), *rows]


def _row(kind: Kind, chunk: Chunk) -> PassageRow:
    return PassageRow(kind, chunk.path, (Segment(kind, chunk.text),))


def _words(before: str, after: str) -> list[Segment]:
    old, new = _WORDS.findall(before), _WORDS.findall(after)
    if max(len(old), len(new)) > MAX_WORDS:
        return [Segment("removed", before), Segment("added", after)]
    found: list[Segment] = []
    for kind, start, end, first, last in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            found.append(Segment("same", "".join(new[first:last])))
            continue
        if start < end:
            found.append(Segment("removed", "".join(old[start:end])))
        if first < last:
            found.append(Segment("added", "".join(new[first:last])))
    return found
