"""Decide what a scanned document changes in the next version. Pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from shared.contracts.knowledge import Chunk, DocumentEntry, Fingerprint
from shared.contracts.refresh import Started

ChunkRef = tuple[str, int]  # chunk id, version it came with


@dataclass(frozen=True, slots=True)
class TargetVersion:
    """The version that is being made."""

    refresh: str
    started: Started
    head: int  # the newest complete version

    @property
    def version(self) -> int:
        return self.started.target


@dataclass(frozen=True, slots=True)
class DocumentChange:
    """What one document adds to a refresh's counts. `kind` is None for an unchanged document."""

    kind: Literal["new", "changed", "removed_entry"] | None
    fresh: int  # chunks
    kept: int
    retired: int


_shared_change = lru_cache(1024)(DocumentChange)  # most documents have the same


@dataclass(frozen=True, slots=True)
class KnownDocument:
    """The known state of a document during a scan; compact, as there may be many."""

    packed: bytes  # its fingerprint as JSON, a fraction of the model's size
    digested: bool  # its content was read once
    trusted: bool  # its chunks are complete in the target collection
    done: bool  # this refresh processed it before an interruption
    there: bool  # the vector store has, or may have, chunks of it
    unreadable: str | None
    change: DocumentChange

    @property
    def fingerprint(self) -> Fingerprint:
        return Fingerprint.read(self.packed)

    @property
    def comparable(self) -> bool:
        """Return whether the document need not be read where its fingerprint is the same."""
        return self.done or (self.trusted and self.there and (self.digested or not self.unreadable))


class Fingerprints(Mapping[str, Fingerprint]):
    """Known fingerprints for connectors, unpacked one at a time."""

    def __init__(self, known: Mapping[str, KnownDocument]) -> None:
        self._known = known

    def __getitem__(self, document: str) -> Fingerprint:
        item = self._known[document]
        if not item.comparable:
            raise KeyError(document)
        return item.fingerprint

    def __iter__(self) -> Iterator[str]:
        return (name for name, item in self._known.items() if item.comparable)

    def __len__(self) -> int:
        return sum(1 for _ in self)


def to_known(entry: DocumentEntry, target: TargetVersion) -> KnownDocument:
    settled = entry.target <= target.head
    return KnownDocument(
        entry.fingerprint.model_dump_json(exclude_none=True).encode(),
        digested=bool(entry.fingerprint.digest),
        trusted=settled and entry.collection == target.started.collection and not target.started.fill,
        done=entry.refresh == target.refresh,
        there=not entry.removed or not settled,
        unreadable=entry.unreadable,
        change=change_of(entry, target.version) if entry.refresh == target.refresh else unchanged_entry(entry),
    )


def change_of(entry: DocumentEntry, version: int) -> DocumentChange:
    """Return what `entry` changed in `version`."""
    fresh = sum(since == version for _, since in entry.chunks)
    return _shared_change(entry.change, fresh, len(entry.chunks) - fresh, len(entry.retired))


def unchanged_entry(entry: DocumentEntry) -> DocumentChange:
    return _shared_change(None, 0, len(entry.chunks), 0)


def baseline(entry: DocumentEntry | None, target: TargetVersion) -> tuple[ChunkRef, ...]:
    """Return the document's chunks in the newest complete version, in the target's collection.

    An entry above that version is from a failed refresh: its new chunks do not count, its expired ones do.
    """
    if entry is None or entry.collection != target.started.collection:
        return ()
    if entry.target <= target.head:
        return entry.chunks
    return (*(item for item in entry.chunks if item[1] <= target.head), *entry.retired)


def updated_entry(
    source: str,
    document: str,
    fingerprint: Fingerprint,
    before: DocumentEntry | None,
    chunks: Sequence[Chunk],
    target: TargetVersion,
) -> tuple[DocumentEntry, list[Chunk]]:
    """Return the document's new entry, and the chunks that have to be embedded."""
    there = dict(baseline(before, target))
    kept = {} if target.started.fill else there
    ids = {chunk.id for chunk in chunks}
    entry = DocumentEntry(
        source=source,
        document=document,
        fingerprint=fingerprint,
        collection=target.started.collection,
        target=target.version,
        refresh=target.refresh,
        change="new" if before is None or before.removed else "changed",
        chunks=tuple((chunk.id, kept.get(chunk.id, target.version)) for chunk in chunks),
        retired=tuple((id, since) for id, since in there.items() if id not in ids or id not in kept),
    )
    return entry, [chunk for chunk in chunks if chunk.id not in kept]


def removed_entry(before: DocumentEntry, target: TargetVersion) -> DocumentEntry:
    """Return the entry of a deleted document."""
    return DocumentEntry(
        source=before.source,
        document=before.document,
        fingerprint=Fingerprint(),
        collection=target.started.collection,
        target=target.version,
        refresh=target.refresh,
        change="removed",
        retired=baseline(before, target),
    )


def unreadable_entry(
    source: str,
    document: str,
    fingerprint: Fingerprint,
    before: DocumentEntry | None,
    reason: str,
    target: TargetVersion,
) -> DocumentEntry:
    """Return the entry of a document that could not be read: its chunks stay, with the reason."""
    if before is not None and not before.removed:
        return before.model_copy(update={"fingerprint": fingerprint, "unreadable": reason})
    return DocumentEntry(
        source=source,
        document=document,
        fingerprint=fingerprint,
        collection=target.started.collection,
        target=target.head,  # adds nothing, so it is no change
        refresh="",
        change="new",
        unreadable=reason,
    )
