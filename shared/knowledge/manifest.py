"""What the base should show: every document with its chunks, in the `sources` bucket."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable

from shared.contracts.knowledge import DocumentEntry, entry_key
from shared.messaging.buckets import Bucket
from shared.messaging.connection import Bus

BUCKET = "sources"
AT_ONCE = 32
REMOVED_FOR = 90 * 86_400  # seconds that a removed document is remembered
NAMES = "names"


class Manifest:
    def __init__(self, bus: Bus) -> None:
        self._bucket = Bucket(bus, BUCKET)

    async def get(self, source: str, document: str) -> DocumentEntry | None:
        found = await self._bucket.get(entry_key(source, document))
        return DocumentEntry.read(found.value) if found else None

    async def entries(self, source: str) -> AsyncIterator[DocumentEntry]:
        async for found in self._bucket.scan(source):
            yield DocumentEntry.read(found.value)

    async def put(self, entries: Iterable[DocumentEntry]) -> None:
        """Store all; each write is synced, so they go together."""
        waiting = list(entries)
        for start in range(0, len(waiting), AT_ONCE):
            await asyncio.gather(*(self._put(entry) for entry in waiting[start : start + AT_ONCE]))

    async def _put(self, entry: DocumentEntry) -> None:
        ttl = REMOVED_FOR if entry.removed else None
        await self._bucket.put(entry.key, entry.model_dump_json(exclude_none=True).encode(), ttl=ttl)

    async def sources(self) -> list[str]:
        """Names of the sources that have entries."""
        found = await self._bucket.get(NAMES)
        return list(json.loads(found.value)) if found else []

    async def remember(self, sources: Iterable[str]) -> None:
        """Add to the names of the sources that have entries."""
        before = await self.sources()
        after = sorted({*before, *sources})
        if after != before:
            await self._bucket.put(NAMES, json.dumps(after).encode())
