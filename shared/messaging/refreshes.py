"""The KNOWLEDGE stream as the log of refreshes: each event of a refresh stands there once."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from nats.aio.msg import Msg
from opentelemetry.trace import SpanKind
from pydantic import ValidationError

from shared.contracts.cloudevents import event_headers
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.events import name_of
from shared.contracts.refresh import (
    REFRESH_EVENT_ADAPTER,
    BatchIndexed,
    BatchReady,
    RecordedRefreshEvent,
    RefreshEvent,
    RefreshRef,
    Requested,
    parse_refresh_subject,
)
from shared.contracts.subjects import derived_id
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.messaging.event_metrics import measure_refresh
from shared.messaging.stream_pages import read_stream_pages
from shared.telemetry import tracing

STREAM = "KNOWLEDGE"
Event = TypeVar("Event", bound=RefreshEvent)
PAGE = 256


class RefreshLog:
    """`source` is the service that appends."""

    def __init__(self, bus: NatsConnection, source: str, clock: Callable[[], datetime]) -> None:
        self._bus = bus
        self._source = source
        self._clock = clock

    async def append(self, ref: RefreshRef, event: RefreshEvent, *, number: int | None = None, after: int = 0) -> bool:
        """Append unless it is there already: exactly one, however many try. Returns whether this call did it.

        `after` is the subject's last sequence, for events that may come again.
        """
        subject = ref.subject(event.event, number)
        headers = self._headers(ref, event, derived_id(f"{subject}/{after}", event.event))
        headers["Nats-Expected-Last-Subject-Sequence"] = str(after)
        with tracing.span(event.event, SpanKind.PRODUCER, {"countersign.knowledge.refresh": ref.id}, key=ref.id):
            if (parent := tracing.traceparent()) is not None:
                headers["traceparent"] = parent
            try:
                ack = await self._bus.publish(
                    subject, event.model_dump_json(exclude_none=True).encode(), stream=STREAM, headers=headers
                )
            except WrongSequenceError:
                return False
        if ack.duplicate:
            return False
        measure_refresh(ref, event)
        if isinstance(event, Requested):
            tracing.start_root("refresh", ref.id, {"countersign.knowledge.refresh": ref.id})
        return True

    async def append_indexed(self, ref: RefreshRef, event: BatchIndexed, *, after: int) -> int:
        """Append to the refresh's row of indexed batches, exactly after sequence `after`; returns its own.

        Raises WrongSequenceError when another one stands there.
        """
        headers = self._headers(ref, event, derived_id(ref.id, f"batch-indexed/{event.number}"))
        headers["Nats-Expected-Last-Subject-Sequence"] = str(after)
        headers["Nats-Expected-Last-Subject-Sequence-Subject"] = ref.subject("batch-indexed") + ".*"
        data = event.model_dump_json(exclude_none=True).encode()
        subject = ref.subject(event.event, event.number)
        return (await self._bus.publish(subject, data, stream=STREAM, headers=headers)).seq

    def _headers(self, ref: RefreshRef, event: RefreshEvent, id: str) -> dict[str, str]:
        return event_headers(
            id=id,
            type=f"countersign.knowledge.{event.event}.v{event.version}",
            source=self._source,
            time=self._clock(),
            subject=f"{ref.source}/{ref.id}",
        )

    async def history(self, refresh: str, *, after: RecordedRefreshEvent | None = None) -> list[RecordedRefreshEvent]:
        """Return the events of a refresh in order, without its batches; empty when there is no such refresh.

        Raises TransientError when the result lacks `after`, which was delivered: it is from a replica that is behind.
        """
        found = [item async for item in self._scan(RefreshRef("*", refresh).subject_filter)]
        if after is not None and (not found or found[-1].sequence < after.sequence):
            raise TransientError("the log of refreshes is behind")
        return found

    async def batches(self, ref: RefreshRef) -> list[RecordedRefreshEvent]:
        """Return every batch of a refresh with its content. Only for repairs, as this may be large."""
        return [item async for item in self._scan(f"{ref.subject('batch-ready')}.*")]

    async def last_batch(self, ref: RefreshRef, event: str) -> RecordedRefreshEvent | None:
        """Return the latest `batch-ready` or `batch-indexed` of a refresh."""
        query = {"last_by_subj": f"{ref.subject(event)}.*"}
        return next((_record(item) for item in await self._bus.direct_get(STREAM, query)), None)

    async def latest(self, event: str) -> RecordedRefreshEvent | None:
        """Return the latest event of a type, of whichever refresh."""
        query = {"last_by_subj": RefreshRef("*", "*").subject(event)}
        return next((_record(item) for item in await self._bus.direct_get(STREAM, query)), None)

    async def of_batch(self, ref: RefreshRef, event: str, number: int) -> RecordedRefreshEvent | None:
        """Return one batch's `batch-ready` or `batch-indexed`."""
        query = {"last_by_subj": ref.subject(event, number)}
        return next((_record(item) for item in await self._bus.direct_get(STREAM, query)), None)

    async def _scan(self, filter: str) -> Any:
        async for page in read_stream_pages(self._bus, STREAM, filter, size=PAGE):
            for message in page:
                yield _record(message)


def _record(message: Msg) -> RecordedRefreshEvent:
    headers = dict(message.headers or {})
    return decode_refresh(headers["Nats-Subject"], headers, message.data, int(headers["Nats-Sequence"]))


def read_refresh(message: Msg) -> RecordedRefreshEvent:
    """Return the event of a delivered message. Raises PermanentError when it breaks the contract."""
    return decode_refresh(message.subject, dict(message.headers or {}), message.data, message.metadata.sequence.stream)


def read_refresh_as(message: Msg, kind: type[Event]) -> tuple[RecordedRefreshEvent, Event]:
    """Return the event and its body, for a consumer that is filtered to one type of event.

    Raises PermanentError also if it is of another type.
    """
    record = read_refresh(message)
    if not isinstance(record.body, kind):
        raise PermanentError(f"a {record.body.event} message where a {name_of(kind)} was wanted")
    return record, record.body


def decode_refresh(subject: str, headers: dict[str, str], data: bytes, sequence: int) -> RecordedRefreshEvent:
    ref, name, number = parse_refresh_subject(subject)
    try:
        body = REFRESH_EVENT_ADAPTER.validate_json(data, extra="ignore")
        id, time = headers["ce-id"], datetime.fromisoformat(headers["ce-time"])
    except (ValidationError, KeyError, ValueError) as error:
        raise PermanentError(f"a {name} message breaks the contract ({type(error).__name__})") from None
    if body.event != name or (isinstance(body, BatchReady | BatchIndexed) and body.number != number):
        raise PermanentError(f"a {name} message has a ce-subject other than its subject")
    return RecordedRefreshEvent(ref, id, time, sequence, body)
