"""Contents of a version of the knowledge base: documents and passages, and how two versions differ."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from services.evaluator import passage_diff
from services.evaluator.passage_diff import DocumentChange, PassageRow
from shared.contracts.errors import PermanentError
from shared.contracts.knowledge import Chunk, DocumentEntry
from shared.knowledge.document_index import DocumentIndex
from shared.knowledge.live import LiveBucket, VersionRecord
from shared.knowledge.vector_store import ChunkFilter, VectorStore
from shared.messaging.connection import NatsConnection
from shared.runtime.problems import ProblemError

PAGE = 1000
MAX_PASSAGES = 200_000  # of a version that a page lists or compares


@dataclass(frozen=True, slots=True)
class VersionDocument:
    """A document of a version. `unreadable`: why its newest content could not be read."""

    source: str
    document: str
    title: str
    passages: int
    unreadable: str | None = None


@dataclass(frozen=True, slots=True)
class ReadDocument:
    """One document of a version with its passages in order."""

    source: str
    document: str
    title: str
    url: str | None
    passages: tuple[Chunk, ...]
    unreadable: str | None


class KnowledgeContent:
    """Read versions. Every method raises ProblemError for a version that does not exist or is too large."""

    def __init__(self, bus: NatsConnection, base: VectorStore) -> None:
        self._base = base
        self._live = LiveBucket(bus)
        self._index = DocumentIndex(bus)

    async def documents(self, version: int) -> list[VersionDocument]:
        """Return the documents of a version, and those that could not be read, by source and name."""
        record = await self._record(version)
        counts: dict[tuple[str, str], tuple[str, int]] = {}
        for chunk in await self._chunks(record, ChunkFilter(version)):
            title, passages = counts.get((chunk.source, chunk.document), (chunk.title, 0))
            counts[chunk.source, chunk.document] = (title, passages + 1)
        unreadable = {(item.source, item.document): item.unreadable for item in await self.unreadable()}
        keys = sorted({*counts, *unreadable})
        return [VersionDocument(*key, *counts.get(key, ("", 0)), unreadable.get(key)) for key in keys]

    async def unreadable(self) -> list[DocumentEntry]:
        """Return the documents whose newest content could not be read."""
        return [entry for entry in await self.entries() if entry.unreadable is not None]

    async def entries(self) -> list[DocumentEntry]:
        """Return the documents of every source as they were scanned last, without the removed ones."""
        found = []
        for source in await self._index.sources():
            found += [entry async for entry in self._index.entries(source) if not entry.removed]
        return found

    async def document(self, version: int, source: str, document: str) -> ReadDocument:
        """Return one document. Raises ProblemError 404 where the version does not contain it."""
        record = await self._record(version)
        entry = await self._index.get(source, document)
        passages = passage_diff.in_order(
            await self._chunks(record, ChunkFilter(version, source, document), text=True), entry
        )
        unreadable = entry.unreadable if entry is not None and not entry.removed else None
        if not passages and unreadable is None:
            raise ProblemError(404, "There is no such document", f"Version {version} does not contain it.")
        first = passages[0] if passages else None
        return ReadDocument(
            source,
            document,
            first.title if first else document,
            first.url if first else None,
            tuple(passages),
            unreadable,
        )

    async def changes(self, before: int, after: int) -> list[DocumentChange]:
        """Return the documents that differ between two versions, by source and name."""
        found = []
        for version in (before, after):
            record = await self._record(version)
            found.append(passage_diff.by_document(await self._chunks(record, ChunkFilter(version))))
        return passage_diff.changed_documents(*found)

    async def compare(self, before: int, after: int, source: str, document: str) -> list[PassageRow]:
        """Return the passages of one document in two versions, compared."""
        entry = await self._index.get(source, document)
        sides = []
        for version in (before, after):
            record = await self._record(version)
            chunks = await self._chunks(record, ChunkFilter(version, source, document), text=True)
            sides.append(passage_diff.in_order(chunks, entry))
        return await asyncio.to_thread(passage_diff.compare, *sides)

    async def _record(self, version: int) -> VersionRecord:
        record = await self._live.version(version)
        if record is None:
            raise ProblemError(404, "There is no such version", f"Version {version} is not known.")
        return record

    async def _chunks(self, record: VersionRecord, wanted: ChunkFilter, *, text: bool = False) -> Sequence[Chunk]:
        found: list[Chunk] = []
        after: str | None = None
        while True:
            try:
                page, after = await self._base.chunks(record.collection, wanted, after, PAGE, text=text)
            except PermanentError:
                raise ProblemError(
                    410, "That version is no longer available", f"Its vectors ({record.collection}) are gone."
                ) from None
            found += page
            if after is None:
                return found
            if len(found) > MAX_PASSAGES:
                raise ProblemError(
                    422, "The version is too large for this page", f"It has more than {MAX_PASSAGES} passages."
                )
