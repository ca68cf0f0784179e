"""The `sources` bucket: every document of the knowledge base with its chunks."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable

from shared.contracts.knowledge import DocumentEntry, entry_key
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection

BUCKET = "sources"
MAX_CONCURRENT_WRITES = 32
TOMBSTONE_TTL_S = 90 * 86_400  # for a removed document
SOURCE_NAMES_KEY = "names"


class DocumentIndex:
    """Read and write the entries of documents."""

    def __init__(self, bus: NatsConnection) -> None:
        self._bucket = Bucket(bus, BUCKET)

    async def get(self, source: str, document: str) -> DocumentEntry | None:
        found = await self._bucket.get(entry_key(source, document))
        return DocumentEntry.read(found.value) if found else None

    async def entries(self, source: str) -> AsyncIterator[DocumentEntry]:
        async for found in self._bucket.scan(source):
            yield DocumentEntry.read(found.value)

    async def put(self, entries: Iterable[DocumentEntry]) -> None:
        """Store all entries concurrently; each write is synced."""
        waiting = list(entries)
        for start in range(0, len(waiting), MAX_CONCURRENT_WRITES):
            await asyncio.gather(*(self._put(entry) for entry in waiting[start : start + MAX_CONCURRENT_WRITES]))

    async def _put(self, entry: DocumentEntry) -> None:
        ttl = TOMBSTONE_TTL_S if entry.removed else None
        await self._bucket.put(entry.key, entry.model_dump_json(exclude_none=True).encode(), ttl=ttl)

    async def sources(self) -> list[str]:
        """Return the names of the sources that have entries."""
        found = await self._bucket.get(SOURCE_NAMES_KEY)
        return list(json.loads(found.value)) if found else []

    async def add_sources(self, sources: Iterable[str]) -> None:
        """Add names of sources that have entries."""
        before = await self.sources()
        after = sorted({*before, *sources})
        if after != before:
            await self._bucket.put(SOURCE_NAMES_KEY, json.dumps(after).encode())
