"""Embed batches of chunks into the next version; complete the version after the last batch."""

import asyncio
import json
import logging
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from nats import errors
from nats.aio.msg import Msg

from services.embedder import domain
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.knowledge import BATCH_SIZE, STILL_VALID, Chunk, point_id
from shared.contracts.refresh import BatchIndexed, BatchReady, Indexed, Promoted, RefreshRef, Started
from shared.contracts.refresh import Embedded as EmbeddedEvent
from shared.contracts.refresh_state import fold_refresh
from shared.contracts.subjects import peak_timer_subjects
from shared.contracts.timestamps import format_utc
from shared.inference.embeddings import Embedder
from shared.inference.triton import BATCH_PRIORITY
from shared.knowledge import knowledge_file
from shared.knowledge.document_index import DocumentIndex
from shared.knowledge.knowledge_file import KnowledgeFile
from shared.knowledge.live import LiveBucket, oldest_retained
from shared.knowledge.refresh_attempts import RefreshAttempts
from shared.knowledge.vector_store import EmbeddedChunk, VectorStore
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.messaging.dead_letter_queue import FailedMessage
from shared.messaging.event_metrics import initialize_refresh_counters
from shared.messaging.refreshes import RefreshLog, read_refresh, read_refresh_as
from shared.messaging.steps import Clock
from shared.messaging.timers import REFRESHES, Timers
from shared.messaging.topology import EMBED
from shared.telemetry import instruments
from shared.telemetry.metric_definitions import OUTCOME, SOURCE

logger = logging.getLogger(__name__)

EMBED_DEADLINE_S = 45.0  # of one request to the model server
MAX_APPEND_ATTEMPTS = 8
PEAK_TIMER, PEAK_FIRED = peak_timer_subjects("all")


class Embedding:
    def __init__(
        self, bus: NatsConnection, file: Path | None, embedder: Embedder, base: VectorStore, clock: Clock
    ) -> None:
        self._file = file
        self._embedder = embedder
        self._base = base
        self._clock = clock
        self._counting = asyncio.Lock()  # serializes this process's appends, so that they do not conflict
        self._bus = bus
        self._log = RefreshLog(bus, "embedder", self._clock)
        self._live = LiveBucket(bus)
        self._manifest = DocumentIndex(bus)
        self._timers = Timers(bus, REFRESHES)
        self._attempts = RefreshAttempts(bus, self._log, self._clock, lambda: self._declared().attempts_apart)

    async def start(self) -> None:
        initialize_refresh_counters()
        await self.apply_peak_hours()

    def _declared(self) -> KnowledgeFile:
        try:
            return knowledge_file.read_knowledge_file(self._file) if self._file is not None else KnowledgeFile()
        except PermanentError:
            return KnowledgeFile()  # preparing the next refresh reports what is wrong with the file

    async def embed(self, message: Msg) -> None:
        """Embed one batch, write it to the vector store as the next version, and append it to the indexed batches."""
        record, batch = read_refresh_as(message, BatchReady)
        queue, _ = await self._live.queue()
        if queue.active is None or queue.active.refresh != record.ref.id:
            return  # its refresh has ended
        if await self._is_new(record.ref, batch.number):
            await self._index(batch.collection, batch.embedder, batch.target, batch.chunks)
            embedded = {SOURCE: record.ref.source, OUTCOME: "embedded"}
            instruments.increment("countersign.knowledge.chunks", len(batch.chunks), embedded)
            last = await self._append_indexed(record.ref, batch)
        else:
            last = await self._end_of_batches(record.ref, batch.number)
        if last.done == last.batches:
            await self._log.append(record.ref, EmbeddedEvent(target=batch.target, batches=last.done))

    async def _is_new(self, ref: RefreshRef, number: int) -> bool:
        return await self._log.of_batch(ref, "batch-indexed", number) is None

    async def _index(self, collection: str, embedder: str, version: int, chunks: Sequence[Chunk]) -> None:
        for start in range(0, len(chunks), BATCH_SIZE):
            part = chunks[start : start + BATCH_SIZE]
            texts = [chunk.text_to_embed for chunk in part]
            vectors = await self._embedder.embed(embedder, texts, priority=BATCH_PRIORITY, deadline=EMBED_DEADLINE_S)
            await self._base.ensure_collection(collection, vectors.shape[1])
            points = [
                EmbeddedChunk(chunk, vector.tolist(), version) for chunk, vector in zip(part, vectors, strict=True)
            ]
            await self._base.upsert(collection, points)

    async def _append_indexed(self, ref: RefreshRef, batch: BatchReady) -> BatchIndexed:
        """Append `batch-indexed` by compare-and-set, so that the event's position counts the batches.

        Returns the last such event.
        """
        async with self._counting:
            for _ in range(MAX_APPEND_ATTEMPTS):
                last = await self._log.last_batch(ref, "batch-indexed")
                # In this order: a batch appended after `last` was read makes this append fail. The delivery count
                # proves nothing, as a killed server forgets it.
                if not await self._is_new(ref, batch.number):
                    return await self._end_of_batches(ref, batch.number)
                before = last.body if last is not None else None
                known = before if isinstance(before, BatchIndexed) else None
                indexed = BatchIndexed(
                    number=batch.number,
                    done=(known.done if known else 0) + 1,
                    batches=batch.number if batch.last else (known.batches if known else None),
                )
                try:
                    await self._log.append_indexed(ref, indexed, after=last.sequence if last else 0)
                except WrongSequenceError:
                    continue
                return indexed
        raise TransientError("the indexed batches changed too often")

    async def _end_of_batches(self, ref: RefreshRef, number: int) -> BatchIndexed:
        """Return the last `batch-indexed` event, where batch `number` is indexed already.

        Raises TransientError when a replica lags behind.
        """
        own = await self._log.of_batch(ref, "batch-indexed", number)
        last = await self._log.last_batch(ref, "batch-indexed")
        if own is None or last is None or last.sequence < own.sequence or not isinstance(last.body, BatchIndexed):
            raise TransientError("the replica of the indexed batches lags behind")
        return last.body

    async def finish_version(self, message: Msg) -> None:
        """Make the version show exactly what the sources contain, then append `indexed`."""
        record = read_refresh(message)
        refresh = fold_refresh(await self._log.history(record.ref.id, after=record))
        if refresh.awaits != "settle" or refresh.started is None:
            return
        started = refresh.started
        expected = domain.ExpectedPoints(started.target, started.collection)
        for source in await self._manifest.sources():
            async for entry in self._manifest.entries(source):
                expected.add(entry)
        repaired = await self._repair_version(record.ref, started, expected)
        await self._base.flush(started.collection)
        await self.apply_peak_hours()  # the file may have changed since the last time
        points = await self._base.count(started.collection, started.target)
        indexed = Indexed(
            target=started.target,
            embedder=started.embedder,
            collection=started.collection,
            points=points,
            repaired=repaired,
        )
        await self._log.append(record.ref, indexed)

    async def _repair_version(self, ref: RefreshRef, started: Started, expected: domain.ExpectedPoints) -> int:
        """Repair the version; return how many points had to be embedded again."""
        version, collection = started.target, started.collection
        if started.fill:
            await self._base.expire_before(collection, version)
        repair = expected.compare(await self._base.changed_in(collection, version))
        await self._base.delete(collection, repair.orphans)
        await self._base.set_valid_until(collection, repair.to_expire, version)
        if not started.fill:
            await self._base.set_valid_until(collection, repair.to_restore, STILL_VALID)
        if repair.missing:
            logger.warning("refresh %s: %d points are missing and will be embedded again", ref.id, len(repair.missing))
            await self._embed_missing(ref, started, repair.missing)
        return len(repair.missing)

    async def _embed_missing(self, ref: RefreshRef, started: Started, missing: frozenset[str]) -> None:
        """Embed points again that the store has lost, such as after a power failure, from the refresh's batches."""
        left = set(missing)
        for record in await self._log.batches(ref):
            if isinstance(record.body, BatchReady):
                lost = [item for item in record.body.chunks if point_id(item.id, started.target) in left]
                await self._index(started.collection, started.embedder, started.target, lost)
                left -= {point_id(item.id, started.target) for item in lost}
        if left:
            raise PermanentError(f"{len(left)} points of version {started.target} are missing")

    async def retain(self, message: Msg) -> None:
        """Purge points that no retained version shows."""
        _, promoted = read_refresh_as(message, Promoted)
        live, _ = await self._live.live()
        version = await self._live.version(promoted.target)
        if live is None or version is None:
            return
        oldest = oldest_retained(promoted.target, live.version, self._declared().promotion.keep_versions)
        await self._base.purge(version.collection, oldest)

    async def on_embed_retries_exhausted(self, original: FailedMessage, reason: str) -> None:
        await self._attempts.on_retries_exhausted(original, reason, "embed")

    async def on_finish_retries_exhausted(self, original: FailedMessage, reason: str) -> None:
        await self._attempts.on_retries_exhausted(original, reason, "settle")

    async def on_peak(self, message: Msg) -> None:
        await self.apply_peak_hours()
        await self._timers.purge(message.subject)

    async def apply_peak_hours(self) -> None:
        """Pause the batches until the peak hours end, if they are on, and set the timer for the next.

        NATS resumes them by itself.
        """
        windows = self._declared().peak_hours
        now = self._clock()
        until = domain.peak_until(windows, now)
        await self._pause(format_utc(until or now - timedelta(days=1), "seconds"))
        following = domain.next_peak(windows, until or now)
        if following is not None:
            await self._timers.set(PEAK_TIMER, PEAK_FIRED, following, {})
        else:
            await self._timers.purge(PEAK_TIMER)

    async def _pause(self, until: str) -> None:
        """Pause the consumer; a time in the past resumes it.

        https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-18.md
        """
        request = json.dumps({"pause_until": until}).encode()
        try:
            answer = await self._bus.client.request(f"$JS.API.CONSUMER.PAUSE.KNOWLEDGE.{EMBED}", request, timeout=5)
        except (errors.Error, TimeoutError) as error:
            raise TransientError(f"pausing the batches: {type(error).__name__}") from None
        if "error" in json.loads(answer.data):
            raise PermanentError("the batches could not be paused")
