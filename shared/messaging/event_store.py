"""The DISCHARGE stream as an event store: append with compare-and-set, read a case's events."""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from nats.aio.msg import Msg
from opentelemetry.trace import SpanKind

from shared.contracts.case import causing_event, fold
from shared.contracts.envelope import ChainHead, RecordedEvent, chain_digest, decode, encode
from shared.contracts.errors import CountersignError, PermanentError, TransientError
from shared.contracts.events import CaseEvent, StepName
from shared.contracts.subjects import CaseRef, parse_case_subject
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.messaging.event_metrics import measure
from shared.messaging.stream_pages import read_stream_pages
from shared.telemetry import tracing

Clock = Callable[[], datetime]

STREAM = "DISCHARGE"
MAX_ATTEMPTS = 5  # to append while other events come in between


class WrongExpectedVersionError(Exception):
    """Somebody else appended first. `history` is the case as it is now."""

    def __init__(self, history: Sequence[RecordedEvent]) -> None:
        super().__init__("the case has moved on")
        self.history = history


@dataclass(frozen=True, slots=True)
class RawMessage:
    """One message as the stream holds it, for whoever verifies it."""

    subject: str
    headers: dict[str, str]
    data: bytes
    sequence: int


@dataclass(frozen=True, slots=True)
class UnreadableEvent:
    """A message in the event stream that cannot be read as an event: what its subject names, and why."""

    case: CaseRef
    event: str
    sequence: int
    reason: str
    newer: bool = False  # only a newer version than this process is may know it

    def __str__(self) -> str:
        return f"case {self.case.id}: event {self.event} (sequence {self.sequence}): {self.reason}"


class StepNoLongerAwaitedError(Exception):
    """The case no longer awaits the step: somebody else did it, or the case was withdrawn."""


class EventStore:
    """Cases in one stream. `source` is the service that appends."""

    def __init__(self, bus: NatsConnection, source: str) -> None:
        self._bus = bus
        self._source = source

    async def append(
        self,
        case: CaseRef,
        event: CaseEvent,
        *,
        after: ChainHead,
        id: str,
        time: datetime,
        traceparent: str | None = None,
    ) -> ChainHead:
        """Append `event` exactly after `after`; returns its own head. Repeating an append that went through is a no-op.

        Raises WrongExpectedVersionError when another event stands there, TransientError, PermanentError.
        """
        attributes = {"messaging.message.id": id, "countersign.case.id": case.id}
        with tracing.span(event.event, SpanKind.PRODUCER, attributes, key=case.id, parent=traceparent):
            parent = tracing.traceparent() or traceparent
            headers, data = encode(case, event, id=id, source=self._source, time=time, after=after, traceparent=parent)
            head, fresh = await self._publish(case, event, headers, data, after)
        if fresh:
            measure(case, event, time)
            if after.sequence == 0:
                tracing.start_root("case", case.id, {"countersign.case.id": case.id})
        return head

    async def append_awaited(
        self,
        step: StepName,
        cause: RecordedEvent,
        event: CaseEvent,
        history: Sequence[RecordedEvent] | None,
        *,
        id: str,
        clock: Clock,
    ) -> None:
        """Append what `step` made of `cause`: after it or, where other events have come in between, after those.

        `history` is the case as far as it was read; None: not at all. Raises StepNoLongerAwaitedError, TransientError,
        PermanentError.
        """
        head = cause.head if history is None else history[-1].head
        for _ in range(MAX_ATTEMPTS):
            try:
                await self.append(cause.case, event, after=head, id=id, time=clock(), traceparent=cause.traceparent)
                return
            except WrongExpectedVersionError as conflict:
                case = fold(conflict.history)
                latest = causing_event(step, conflict.history)
                # The same step may be awaited again for a later cause: what was made of this one is stale then.
                if case.awaits != step or latest is None or latest.id != cause.id:
                    raise StepNoLongerAwaitedError from None
                head = case.head
        raise TransientError("the case changed too often while a step was being appended")

    async def _publish(
        self, case: CaseRef, event: CaseEvent, headers: dict[str, str], data: bytes, after: ChainHead
    ) -> tuple[ChainHead, bool]:
        """Append the event; return its head, and whether this call appended it."""
        id = headers["ce-id"]
        expectation = {
            "Nats-Expected-Last-Subject-Sequence": str(after.sequence),
            "Nats-Expected-Last-Subject-Sequence-Subject": case.filter,
        }
        try:
            ack = await self._bus.publish(
                case.subject(event.event), data, stream=STREAM, headers=headers | expectation, id=id
            )
        except WrongSequenceError:
            return await self._find(case, id), False
        if ack.duplicate:
            return await self._find(case, id), False
        return ChainHead(ack.seq, chain_digest(headers, data)), True

    async def _find(self, case: CaseRef, id: str) -> ChainHead:
        # R1 answers a repeat with a wrong sequence, R3 with `duplicate`: either way, look whether it is already there.
        history = await self.history(case)
        for event in history:
            if event.id == id:
                return event.head
        raise WrongExpectedVersionError(history)

    async def history(self, case: CaseRef) -> list[RecordedEvent]:
        """Return every event of the case, oldest first; empty when there is no such case."""
        return [decode(item.subject, item.headers, item.data, item.sequence) for item in await self.stored(case.filter)]

    async def history_with(self, event: RecordedEvent) -> list[RecordedEvent]:
        """Return every event of the case of `event`, including it.

        Any replica may answer a read, also one that is behind; a missing event must not look like completed work.
        Raises TransientError then.
        """
        history = await self.history(event.case)
        if all(item.id != event.id for item in history):
            raise TransientError("the replica of the event stream that was read is behind")
        return history

    async def find(self, case_id: str) -> list[RecordedEvent]:
        """Return the events of a case whose department is not known."""
        return await self.history(CaseRef("*", case_id))

    async def stored(self, filter: str, *, start: int = 1) -> list[RawMessage]:
        """Return the case's messages, oldest first."""
        return [item async for page in self.pages(filter, start=start) for item in page]

    async def pages(self, filter: str, *, start: int = 1) -> AsyncIterator[list[RawMessage]]:
        """Yield messages in pages, with one page in memory."""
        async for page in read_stream_pages(self._bus, STREAM, filter, start=start):
            yield [raw_message_of(message) for message in page]

    async def readable(self, case_id: str) -> tuple[list[RecordedEvent], list[UnreadableEvent]]:
        """Return the readable events of a case, for display only; a handler reads its `history`."""
        return sort_readable(await self.stored(CaseRef("*", case_id).filter))

    async def recent(self, events: int) -> tuple[list[RecordedEvent], list[UnreadableEvent]]:
        """Return the last `events` events of the whole stream, oldest first, and those that cannot be read."""
        info = await self._bus.jetstream.stream_info(STREAM)
        start = max(info.state.first_seq, info.state.last_seq - events + 1, 1)
        return sort_readable(await self.stored("discharge.>", start=start))


def sort_readable(messages: Iterable[RawMessage]) -> tuple[list[RecordedEvent], list[UnreadableEvent]]:
    """Separate events from messages that cannot be read."""
    found: list[RecordedEvent] = []
    unreadable: list[UnreadableEvent] = []
    for item in messages:
        event = read_event(item)
        if isinstance(event, RecordedEvent):
            found.append(event)
        else:
            unreadable.append(event)
    return found, unreadable


def read_event(item: RawMessage) -> RecordedEvent | UnreadableEvent:
    """Return the event of a message, or why it cannot be read."""
    try:
        return decode(item.subject, item.headers, item.data, item.sequence)
    except CountersignError as error:
        try:
            case, name = parse_case_subject(item.subject)
        except PermanentError:
            case, name = CaseRef("", ""), ""
        return UnreadableEvent(case, name, item.sequence, error.reason, isinstance(error, TransientError))


def raw_message_of(message: Msg) -> RawMessage:
    """Convert a direct-get response, whose stream sequence and subject are in `Nats-*` headers."""
    headers = dict(message.headers or {})
    return RawMessage(headers["Nats-Subject"], headers, message.data, int(headers["Nats-Sequence"]))
