"""Run refreshes: the queue, preparation, further attempts, and the nightly schedule."""

from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

from nats.aio.msg import Msg

from services.ingest.documents.reader import DocumentReader
from services.ingest.refresh import refresh_queue
from services.ingest.refresh.plan import TargetVersion
from services.ingest.refresh.prepare import RefreshPreparation, token_counter
from services.ingest.refresh.schedule import next_run
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.knowledge import ALL_SOURCES
from shared.contracts.refresh import AttemptFailed, BatchReady, Indexed, RefreshRef, Requested, Resumed, Started
from shared.contracts.refresh_state import Refresh, fold_refresh
from shared.contracts.subjects import derived_id, fired_timer_filter, refresh_timer_subjects
from shared.knowledge import knowledge_file
from shared.knowledge.collections import collection_name
from shared.knowledge.document_index import DocumentIndex
from shared.knowledge.knowledge_file import KnowledgeFile
from shared.knowledge.live import LiveBucket, QueuedRefresh, RefreshQueue
from shared.knowledge.refresh_attempts import RefreshAttempts
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.messaging.dead_letter_queue import FailedMessage
from shared.messaging.event_metrics import initialize_refresh_counters
from shared.messaging.refreshes import RefreshLog, read_refresh
from shared.messaging.steps import Clock
from shared.messaging.timers import REFRESHES, Timers

SCHEDULE_HEADER = "countersign-schedule"


class Refreshing:
    """Handle refreshes. `file` declares the knowledge base; `tokenizer` is the embedding model's."""

    def __init__(
        self,
        bus: NatsConnection,
        file: Path | None,
        tokenizer: Path,
        reader: DocumentReader,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        self._file = file
        self._tokenizer = tokenizer
        self._reader = reader
        self._clock = clock
        self._new_id = new_id
        self._bus = bus
        self._log = RefreshLog(bus, "ingest", self._clock)
        self._live = LiveBucket(bus)
        self._manifest = DocumentIndex(bus)
        self._timers = Timers(bus, REFRESHES)
        self._attempts = RefreshAttempts(bus, self._log, self._clock, self._retry_delay)

    async def start(self) -> None:
        initialize_refresh_counters()
        await self.set_schedules()

    def read_knowledge_file(self) -> KnowledgeFile:
        """Return the current declaration of the knowledge base.

        Raises PermanentError saying what is wrong with the file.
        """
        return knowledge_file.read_knowledge_file(self._file) if self._file is not None else KnowledgeFile()

    def _retry_delay(self) -> timedelta:
        try:
            return self.read_knowledge_file().attempts_apart
        except PermanentError:
            return KnowledgeFile().attempts_apart

    async def request(self, requested: Requested, id: str | None = None) -> RefreshRef:
        """Request a refresh; return it, or a waiting one that covers it."""
        ref = RefreshRef(requested.sources[0] if len(requested.sources) == 1 else ALL_SOURCES, id or self._new_id())
        queue, _ = await self._live.queue()
        if id is None and not requested.full and not requested.judge:
            sources_by_refresh = {turn.refresh: await self._sources_to_refresh(turn) for turn in queue.waiting}
            if (
                waits := refresh_queue.find_waiting(
                    queue, requested.sources, lambda turn: sources_by_refresh[turn.refresh]
                )
            ) is not None:
                return RefreshRef(waits.source, waits.refresh)
        await self._log.append(ref, requested)
        return ref

    async def _sources_to_refresh(self, turn: QueuedRefresh) -> tuple[str, ...]:
        refresh = fold_refresh(await self._log.history(turn.refresh))
        return refresh.requested.sources if refresh.requested else (turn.source,)

    async def run_next(self, message: Msg) -> None:
        """Start the next refresh, after one was requested or has ended."""
        record = read_refresh(message)
        if isinstance(record.body, AttemptFailed) and record.body.again_at is not None:
            return
        queue, revision = await self._live.queue()
        if isinstance(record.body, Requested):
            changed = refresh_queue.enqueue(queue, QueuedRefresh(refresh=record.ref.id, source=record.ref.source))
        else:
            refresh = fold_refresh(await self._log.history(record.ref.id, after=record))
            changed = refresh_queue.complete(queue, refresh, refresh.outcome) if refresh.outcome else queue
        if changed != queue:
            try:
                await self._live.set_queue(changed, revision)
            except WrongSequenceError:
                raise TransientError("the refresh queue changed in the meantime") from None
        if changed.active is not None:
            await self._begin(changed, changed.active)

    async def _begin(self, queue: RefreshQueue, turn: QueuedRefresh) -> None:
        """Append `started` for `turn`. Idempotent."""
        ref = RefreshRef(turn.source, turn.refresh)
        refresh = fold_refresh(await self._log.history(turn.refresh))
        if refresh.started is not None or refresh.requested is None:
            return
        requested = refresh.requested
        embedder = await self._embedder(queue.head if requested.judge else None)
        collection = collection_name(embedder)
        fill = requested.full or (queue.head > 0 and collection != queue.collection)
        started = Started(
            sources=refresh_queue.sources_to_scan(requested.sources, queue, fill=fill),
            target=queue.head if requested.judge else queue.head + 1,
            embedder=embedder,
            collection=queue.collection if requested.judge else collection,
            fill=fill,
            judge=requested.judge,
        )
        await self._log.append(ref, started)

    async def _embedder(self, version: int | None) -> str:
        """Return the declared embedding model, or the one of `version`."""
        if version is not None and (record := await self._live.version(version)) is not None:
            return record.embedder
        try:
            return self.read_knowledge_file().embedder
        except PermanentError:
            return KnowledgeFile().embedder  # preparing fails for the same reason and reports it

    async def prepare(self, message: Msg) -> None:
        """Scan the sources and enqueue what has changed; on a further attempt, enqueue what is missing."""
        record = read_refresh(message)
        refresh = fold_refresh(await self._log.history(record.ref.id, after=record))
        if refresh.started is None:
            return
        if refresh.started.judge:
            await self._evaluate_only(record.ref, refresh)
        elif refresh.awaits == "prepare":
            await self._prepare(record.ref, refresh.started)
        elif refresh.awaits == "embed" and refresh.planned is not None and refresh.attempt > 1:
            await self._queue_again(record.ref)

    async def _prepare(self, ref: RefreshRef, started: Started) -> None:
        file = self.read_knowledge_file()
        await self.set_schedules()  # the file may have changed since the last time
        if unknown := set(started.sources) - {source.name for source in file.sources}:
            raise PermanentError(f"there is no source called {', '.join(sorted(unknown))}")
        queue, _ = await self._live.queue()
        count = token_counter(str(self._tokenizer))
        target = TargetVersion(ref.id, started, queue.head)
        await RefreshPreparation(ref, target, file, count, self._log, self._manifest, self._reader).run()

    async def _evaluate_only(self, ref: RefreshRef, refresh: Refresh) -> None:
        started = refresh.started
        if refresh.awaits is None or started is None:
            return
        if started.target == 0:
            raise PermanentError("there is no version to evaluate yet")
        indexed = Indexed(target=started.target, embedder=started.embedder, collection=started.collection, points=0)
        await self._log.append(ref, indexed)

    async def _queue_again(self, ref: RefreshRef) -> None:
        """Enqueue batches again that were given up."""
        for record in await self._log.batches(ref):
            if isinstance(record.body, BatchReady):
                number = record.body.number
                if await self._log.of_batch(ref, "batch-indexed", number) is None:
                    await self._log.append(ref, record.body, number=number, after=record.sequence)

    async def on_retries_exhausted(self, original: FailedMessage, reason: str) -> None:
        await self._attempts.on_retries_exhausted(original, reason, "prepare")

    async def on_timer(self, message: Msg) -> None:
        """Handle a nightly timer, or the timer of another attempt."""
        headers = message.headers or {}
        if message.subject.startswith(fired_timer_filter("again.")):
            await self._resume(RefreshRef(headers["countersign-source"], headers["countersign-refresh"]))
        else:
            await self._nightly(message.subject.rpartition(".")[2], headers["countersign-due"])
        await self._timers.purge(message.subject)

    async def _resume(self, ref: RefreshRef) -> None:
        history = await self._log.history(ref.id)
        refresh = fold_refresh(history)
        if refresh.outcome is None and refresh.failure is not None and refresh.failure.attempt == refresh.attempt:
            last = max((item.sequence for item in history if isinstance(item.body, Resumed)), default=0)
            await self._log.append(ref, Resumed(attempt=refresh.attempt + 1), after=last)

    async def _nightly(self, source: str, due: str) -> None:
        """Run once for all nights that were missed, then set the next night's timer."""
        try:
            found = self.read_knowledge_file().source(source)
        except PermanentError:
            await self._retry_schedule(source)
            raise
        if found is None:
            return  # no longer declared
        id = derived_id(f"{source}/{due}", "nightly")
        await self.request(Requested(sources=(source,), by="schedule"), id=id)
        await self._set_schedule(source, str(found.schedule), next_run(found.schedule, self._clock()))

    async def _retry_schedule(self, source: str) -> None:
        """Set tomorrow's timer when the file is invalid; the dead letter and its alert report it."""
        await self._set_schedule(source, "broken", self._clock() + timedelta(days=1))

    async def set_schedules(self) -> None:
        """Set a timer for each source without one, or with a changed schedule. An overdue timer fires by itself."""
        try:
            file = self.read_knowledge_file()
        except PermanentError:
            return  # reported at the first refresh; the services run
        for source in file.sources:
            schedule = str(source.schedule)
            pending = await self._bus.direct_get(REFRESHES, {"last_by_subj": refresh_timer_subjects(source.name)[0]})
            if pending and dict(pending[0].headers or {}).get(SCHEDULE_HEADER) == schedule:
                continue
            await self._set_schedule(source.name, schedule, next_run(source.schedule, self._clock()))

    async def _set_schedule(self, source: str, words: str, time: datetime) -> None:
        await self._timers.set(*refresh_timer_subjects(source), time, {SCHEDULE_HEADER: words})
