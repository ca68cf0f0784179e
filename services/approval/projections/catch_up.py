"""A catch-up subscription: follow some events of the stream, starting from a stored checkpoint.

A checkpoint is no snapshot of the projection. It holds the position up to which the stream was read, and the sequences
of earlier events that the projection still depends on: these are read again, so that a projection never differs from
the stream. A checkpoint of another stream, such as that of an older backup, is ignored, and everything is read.
"""

import asyncio
import logging
import zlib
from collections.abc import Callable, Iterable, Sequence

from nats import errors
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError
from pydantic import ValidationError

from shared.contracts.errors import CountersignError, TransientError
from shared.contracts.model import Model
from shared.contracts.subjects import case_filter
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import STREAM, RawMessage, raw_message_of
from shared.messaging.stream_pages import read_stream_pages

logger = logging.getLogger(__name__)

BUCKET = "reviews"
EVENTS_PER_CHECKPOINT = 1_000  # some 0.2 s to read again
MAX_CONCURRENT_READS = 256  # events
# Seconds between the server's heartbeats while there are no messages. If two to four are missed, nats-py recreates the
# consumer.
IDLE_HEARTBEAT = 1.0
RETRY_DELAY = 1.0  # seconds
EVENTS_BETWEEN_PAUSES = 16  # less than a millisecond
READ_TIMEOUT = 120.0  # seconds without a message after which reading the event stream has failed


class ProjectionCheckpoint(Model):
    """Start after the event with sequence `at`, which is verified by its id and time."""

    at: int
    id: str
    time: str
    counting: tuple[int, ...]  # sequences of earlier events that the projection depends on, ascending


class CatchUpSubscription:
    """Pass every event called one of `names` to `apply_event`, in stream order, each once.

    `live_sequences` returns the sequences of the events that the projection still depends on; the checkpoint `key`
    stores them. A projection that depends on all events has no checkpoint (`stored` false): each start reads the whole
    stream.
    """

    def __init__(
        self,
        key: str,
        names: Sequence[str],
        apply_event: Callable[[RawMessage], None],
        live_sequences: Callable[[], Iterable[int]] = tuple,
        *,
        headers_only: bool = False,
        stored: bool = True,
    ) -> None:
        self._key = key
        self._apply_event = apply_event
        self._live_sequences = live_sequences
        self._stores_checkpoint = stored
        self._names = frozenset(names)
        self._filters = [case_filter(name) for name in names]
        self._headers_only = headers_only
        self._at = 0  # sequence of the last event that was read
        self._saved = 0  # sequence of the checkpoint
        self._received = 0
        self._reading: asyncio.Task[None] | None = None
        self._caught_up = asyncio.Event()

    async def start(self, bus: NatsConnection) -> None:
        """Subscribe. Events that are stored already are read in the background.

        Raises TransientError where the stream cannot be read.
        """
        self._bus = bus
        self._checkpoints = Bucket(bus, BUCKET)
        try:
            if self._stores_checkpoint and (checkpoint := await self._read_checkpoint()) is not None:
                await self._resume(checkpoint)
            last = (await bus.jetstream.stream_info(STREAM)).state.last_seq
        except (errors.Error, APIError, TimeoutError) as error:
            raise _unread(error) from None
        self._reading = asyncio.create_task(self._read_on(last))

    async def _read_on(self, last: int) -> None:
        """Read the events that are stored up to `last`, then follow; try again where the server does not answer."""
        client = self._bus.client
        while True:
            try:
                await self._read_stored(last)
                await self._subscribe()
                self._caught_up.set()
                return
            except CountersignError as failure:
                if client.is_closed or self._bus.client is not client:
                    return  # the connection was replaced: its owner starts the subscription again
                logger.warning("%s: %s", self._key, failure.reason)
                await asyncio.sleep(RETRY_DELAY)

    async def _read_stored(self, last: int) -> None:
        """Apply stored events, a page of the stream in memory: a consumer would push all of a long stream at once.

        Other events are left out here: pages of several filters may come from several replicas, of which one could be
        behind. And the server counts what is left of a filter for each page, for `>` alone without looking for it.
        """
        async for page in read_stream_pages(self._bus, STREAM, ">", start=self._at + 1):
            events = [event for event in map(raw_message_of, page) if event.sequence <= last]
            for event in events:
                if self._names.isdisjoint(("*", event.subject.rpartition(".")[2])):
                    self._at = event.sequence
                else:
                    await self._receive(event)
            if len(events) < len(page):
                return
            if self._stores_checkpoint and events[-1].sequence - self._saved >= EVENTS_PER_CHECKPOINT:
                await self._save(events[-1])

    async def _subscribe(self) -> None:
        """Follow from the last event that was read."""
        config = ConsumerConfig(filter_subjects=self._filters, headers_only=self._headers_only or None)
        if self._at:
            config.deliver_policy = DeliverPolicy.BY_START_SEQUENCE
            config.opt_start_seq = self._at + 1
        try:
            subscription = await self._bus.jetstream.subscribe(
                "",
                stream=STREAM,
                config=config,
                ordered_consumer=True,
                idle_heartbeat=IDLE_HEARTBEAT,
                cb=self._on_message,
            )
        except (errors.Error, APIError, TimeoutError) as error:
            raise _unread(error) from None
        state = subscription._sub._jsi
        if state is not None:  # without it, one that has received nothing starts at the beginning of the stream again
            state._sseq = max(state._sseq, self._at)  # after its connection is lost

    @property
    def is_caught_up(self) -> bool:
        """Return whether the events that were stored at the start have been read."""
        return self._caught_up.is_set()

    async def caught_up(self) -> None:
        """Wait until the events that were stored at the start have been read.

        Raises TransientError where no more events arrive.
        """
        while not self._caught_up.is_set():
            before = self._at
            try:
                await asyncio.wait_for(self._caught_up.wait(), READ_TIMEOUT)
            except TimeoutError:
                if self._at == before:
                    raise TransientError("the event stream could not be read: no messages arrive any more") from None

    async def _read_checkpoint(self) -> ProjectionCheckpoint | None:
        """Return the stored checkpoint if it belongs to this event stream."""
        entry = await self._checkpoints.get(self._key)
        if entry is None:
            return None
        try:
            found = ProjectionCheckpoint.read(zlib.decompress(entry.value))
        except (ValidationError, zlib.error):
            logger.warning(
                "the stored checkpoint of %s cannot be read: the event stream is read from its start", self._key
            )
            return None
        info = await self._bus.jetstream.stream_info(STREAM)
        if found.at <= info.state.last_seq:
            (last,) = await self._stored([found.at])
            if (found.id, found.time) == _identity(last):
                return found
        logger.warning(
            "the stored checkpoint of %s is of another event stream, which is read from its start", self._key
        )
        return None

    async def _resume(self, checkpoint: ProjectionCheckpoint) -> None:
        """Apply the events that the projection still depends on, and continue after the checkpoint."""
        for start in range(0, len(checkpoint.counting), MAX_CONCURRENT_READS):
            for event in await self._stored(checkpoint.counting[start : start + MAX_CONCURRENT_READS]):
                self._apply(event)
        self._at = self._saved = checkpoint.at

    async def _stored(self, sequences: Sequence[int]) -> list[RawMessage]:
        """Return messages. Raises TransientError if one is missing: a replica that is behind may have answered."""
        found = await asyncio.gather(*(self._bus.direct_get(STREAM, {"seq": sequence}) for sequence in sequences))
        if not all(found):
            raise TransientError("the replica of the event stream that was read is behind")
        return [raw_message_of(message) for (message,) in found]

    async def _on_message(self, message: Msg) -> None:
        sequence = message.metadata.sequence.stream
        await self._receive(RawMessage(message.subject, dict(message.headers or {}), message.data, sequence))

    async def _receive(self, event: RawMessage) -> None:
        """Apply an event, once."""
        if event.sequence <= self._at:
            return
        self._apply(event)
        self._at = event.sequence
        self._received += 1
        if self._stores_checkpoint and self._received % EVENTS_PER_CHECKPOINT == 0:
            await self._save(event)
        if self._received % EVENTS_BETWEEN_PAUSES == 0:
            await asyncio.sleep(0)  # let other tasks run while a long event stream is read

    def _apply(self, event: RawMessage) -> None:
        try:
            self._apply_event(event)
        except CountersignError as error:
            logger.warning("an event is not applied to %s: %s", self._key, error.reason)
        except Exception as error:  # noqa: BLE001 - a message that is no event of ours must not hide the ones after it
            logger.error("an event is not applied to %s: %s", self._key, type(error).__name__)

    async def _save(self, last: RawMessage) -> None:
        """Store a checkpoint. If that fails, only the next start takes longer."""
        self._saved = last.sequence
        id, time = _identity(last)
        checkpoint = ProjectionCheckpoint(
            at=last.sequence, id=id, time=time, counting=tuple(sorted(self._live_sequences()))
        )
        try:
            await self._checkpoints.put(self._key, zlib.compress(checkpoint.model_dump_json().encode()))
        except CountersignError as failure:
            logger.warning("where %s begins could not be stored: %s", self._key, failure.reason)


def _unread(error: Exception) -> TransientError:
    return TransientError(f"the event stream could not be read ({type(error).__name__})")


def _identity(event: RawMessage) -> tuple[str, str]:
    return event.headers.get("ce-id", ""), event.headers.get("ce-time", "")
