"""What is live, what each version was worth, and which refresh has its turn: the `live` bucket."""

from datetime import datetime
from typing import Literal

from shared.contracts.knowledge import Counts, Metrics, Relevance, Search
from shared.contracts.model import Model
from shared.messaging.buckets import Bucket
from shared.messaging.connection import Bus

BUCKET = "live"


class Live(Model):
    """The pointer: what searches see."""

    version: int
    collection: str
    embedder: str  # Triton model that its vectors come from
    search: Search = "dense"  # the way it was judged by, and is asked by
    relevance: Relevance = Relevance()  # how similar a passage must be to be cited
    since: datetime
    by: str  # "evaluation", or who went back to it


class VersionRecord(Model):
    """A version, as it was judged."""

    version: int
    collection: str
    embedder: str
    search: Search = "dense"
    refresh: str
    time: datetime
    decision: Literal["promoted", "held-back"]
    reason: str
    metrics: Metrics | None = None
    relevance: Relevance = Relevance()
    documents: Counts = Counts()
    worst: tuple[str, ...] = ()  # ids of the golden queries that did worst


class Turn(Model):
    """The refresh that has its turn."""

    refresh: str
    source: str  # the subject's token


class Queue(Model):
    """Refreshes go one after the other: each makes the next version of the whole base."""

    active: Turn | None = None
    waiting: tuple[Turn, ...] = ()
    head: int = 0  # newest complete version
    collection: str = ""  # it is in
    dirty: tuple[str, ...] = ()  # sources whose last refresh failed half-way; empty token `*`: all


class LiveBucket:
    def __init__(self, bus: Bus) -> None:
        self._bucket = Bucket(bus, BUCKET)

    async def live(self) -> tuple[Live | None, int]:
        """The pointer and its revision; None and 0 before the first promotion."""
        entry = await self._bucket.get("knowledge")
        return (Live.read(entry.value), entry.revision) if entry else (None, 0)

    async def point(self, live: Live, revision: int) -> None:
        """Move the pointer, if it still is the one of `revision`. Raises WrongSequenceError when it is not."""
        await self._bucket.put("knowledge", live.model_dump_json(exclude_none=True).encode(), revision=revision)

    async def version(self, number: int) -> VersionRecord | None:
        entry = await self._bucket.get(f"version.{number}")
        return VersionRecord.read(entry.value) if entry else None

    async def versions(self) -> list[VersionRecord]:
        """Every version, oldest first."""
        found = [VersionRecord.read(entry.value) async for entry in self._bucket.scan("version")]
        return sorted(found, key=lambda record: record.version)

    async def record(self, record: VersionRecord) -> None:
        await self._bucket.put(f"version.{record.version}", record.model_dump_json(exclude_none=True).encode())

    async def queue(self) -> tuple[Queue, int]:
        entry = await self._bucket.get("refreshes")
        return (Queue.read(entry.value), entry.revision) if entry else (Queue(), 0)

    async def set_queue(self, queue: Queue, revision: int) -> None:
        """Raises WrongSequenceError when somebody else was first."""
        await self._bucket.put("refreshes", queue.model_dump_json(exclude_none=True).encode(), revision=revision)


def oldest_kept(newest: int, live: int | None, keep: int) -> int:
    """The oldest version that can still be asked: `keep` of them, and always what is live."""
    oldest = max(1, newest - keep + 1)
    return min(oldest, live) if live is not None else oldest
