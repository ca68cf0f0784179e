"""The `live` bucket: the live pointer, the record of each version, and the refresh queue."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Literal

from pydantic import Field

from shared.contracts.knowledge import (
    DocumentCounts,
    LiveMove,
    Pin,
    RelevanceThreshold,
    RetrievalMetrics,
    SearchMode,
)
from shared.contracts.model import Model
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection

BUCKET = "live"


class LivePointer(Model):
    """The version that searches use."""

    version: int = Field(description="number of the live version")
    collection: str
    embedder: str  # Triton model that its vectors come from
    search: SearchMode = Field(default="dense", description="how passages are searched")
    relevance: RelevanceThreshold = RelevanceThreshold()  # how similar a passage must be to be cited
    since: datetime = Field(description="since when it is live")
    by: str  # "evaluation", or who rolled back to it or promoted it
    pin: Pin | None = Field(default=None, description="who keeps it live; null: nobody")
    move: LiveMove | None = Field(default=None, description="number of the last move")


class VersionRecord(Model):
    """A version and how it was evaluated."""

    version: int = Field(description="number of the version")
    collection: str
    embedder: str
    search: SearchMode = Field(default="dense", description="how passages are searched")
    refresh: str
    time: datetime
    decision: Literal["promoted", "held-back"] = Field(description="whether it went live, or was held back")
    reason: str
    metrics: RetrievalMetrics | None = Field(default=None, description="figures of the golden queries")
    relevance: RelevanceThreshold = RelevanceThreshold()
    documents: DocumentCounts = Field(default=DocumentCounts(), description="documents by what became of them")
    worst: tuple[str, ...] = Field(default=(), description="ids of the golden queries with the worst results")
    golden: int | None = Field(
        default=None, description="version of the set of golden queries that it was evaluated with"
    )
    promoted_by: str | None = Field(
        default=None, description="who promoted it although the evaluation had held it back"
    )


class QueuedRefresh(Model):
    """A refresh in the queue."""

    refresh: str
    source: str  # the subject's token


class RefreshQueue(Model):
    """Refreshes run one at a time: each makes the next version of the whole knowledge base.

    `head` is the newest complete version, `dirty` are sources that a failed refresh has left incomplete.
    """

    active: QueuedRefresh | None = None
    waiting: tuple[QueuedRefresh, ...] = ()
    head: int = 0  # newest complete version
    collection: str = ""  # it is in
    dirty: tuple[str, ...] = ()  # sources that a failed refresh left incomplete; `*` for all


class LiveBucket:
    """Read and write the `live` bucket."""

    def __init__(self, bus: NatsConnection) -> None:
        self._bucket = Bucket(bus, BUCKET)

    async def live(self) -> tuple[LivePointer | None, int]:
        """Return the pointer and its revision; None and 0 before the first promotion."""
        entry = await self._bucket.get("knowledge")
        return (LivePointer.read(entry.value), entry.revision) if entry else (None, 0)

    async def compare_and_set(self, live: LivePointer, revision: int) -> None:
        """Move the pointer if its revision is still `revision`.

        Raises WrongSequenceError when it is not.
        """
        await self._bucket.put("knowledge", live.model_dump_json(exclude_none=True).encode(), revision=revision)

    async def version(self, number: int) -> VersionRecord | None:
        entry = await self._bucket.get(f"version.{number}")
        return VersionRecord.read(entry.value) if entry else None

    async def versions(self) -> list[VersionRecord]:
        """Return every version, oldest first."""
        found = [VersionRecord.read(entry.value) async for entry in self._bucket.scan("version")]
        return sorted(found, key=lambda record: record.version)

    async def put_version(self, record: VersionRecord) -> None:
        await self._bucket.put(f"version.{record.version}", record.model_dump_json(exclude_none=True).encode())

    async def moves(self) -> list[LiveMove]:
        """Return what people did to the live version, oldest first."""
        found = {item.number: item async for item in self._moves()}
        live, _ = await self.live()
        if live is not None and live.move is not None:
            found[live.move.number] = live.move
        return [found[number] for number in sorted(found)]

    async def _moves(self) -> AsyncIterator[LiveMove]:
        async for entry in self._bucket.scan("move"):
            yield LiveMove.read(entry.value)

    async def put_move(self, move: LiveMove) -> None:
        await self._bucket.put(f"move.{move.number}", move.model_dump_json(exclude_none=True).encode())

    async def queue(self) -> tuple[RefreshQueue, int]:
        entry = await self._bucket.get("refreshes")
        return (RefreshQueue.read(entry.value), entry.revision) if entry else (RefreshQueue(), 0)

    async def set_queue(self, queue: RefreshQueue, revision: int) -> None:
        """Store the queue if its revision is still `revision`.

        Raises WrongSequenceError when it is not.
        """
        await self._bucket.put("refreshes", queue.model_dump_json(exclude_none=True).encode(), revision=revision)


def oldest_retained(newest: int, live: int | None, keep: int) -> int:
    """Return the oldest version that is kept for queries: `keep` versions, and always the live one."""
    oldest = max(1, newest - keep + 1)
    return min(oldest, live) if live is not None else oldest
