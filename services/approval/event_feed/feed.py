"""Follow the event stream for open connections: each reads on at its own pace, and loses nothing."""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from nats import errors
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError

from services.approval.event_feed.message import CaseEventMessage, message_of
from services.approval.projections.catch_up import IDLE_HEARTBEAT
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.subjects import CASE_EVENTS, CaseRef
from shared.messaging.connection import NatsConnection, sort_api_error
from shared.messaging.event_store import STREAM, EventStore, RawMessage

PAGE_WINDOW = 0.1  # seconds in which events are read together


@dataclass(frozen=True, slots=True)
class EventFilter:
    """What a connection gets. None: all; `departments` are those of which the caller may know."""

    departments: tuple[str, ...] | None = None
    types: tuple[str, ...] | None = None
    case_id: str | None = None

    @property
    def subject(self) -> str:
        """Return the subject filter for the server. `takes` checks what a subject cannot express."""
        department = self.departments[0] if self.departments and len(self.departments) == 1 else "*"
        type = self.types[0] if self.types and len(self.types) == 1 else "*"
        return CaseRef(department, self.case_id or "*").subject(type)

    def takes(self, event: CaseEventMessage) -> bool:
        return (
            (self.departments is None or event.department in self.departments)
            and (self.types is None or event.event in self.types)
            and self.case_id in (None, event.case_id)
        )


class EventFeed:
    """Notifies connections of new events; each reads them from the stream by itself.

    A slow reader costs no memory here, and one that was notified late or not at all reads the same.
    """

    def __init__(self, bus: NatsConnection) -> None:
        self._bus = bus
        self._store = EventStore(bus, "approval")
        self._waiting: set[asyncio.Event] = set()

    async def start(self) -> None:
        """Follow new events in the background. Raises TransientError where the stream cannot be read."""
        config = ConsumerConfig(filter_subjects=[CASE_EVENTS], headers_only=True, deliver_policy=DeliverPolicy.NEW)
        try:
            await self._bus.jetstream.subscribe(
                "",
                stream=STREAM,
                config=config,
                ordered_consumer=True,
                idle_heartbeat=IDLE_HEARTBEAT,
                cb=self._on_message,
            )
        except (errors.Error, APIError, TimeoutError) as error:
            raise TransientError(f"the event stream could not be read ({type(error).__name__})") from None

    async def _on_message(self, _: Msg) -> None:
        for event in self._waiting:
            event.set()

    async def end(self) -> int:
        """Return the sequence of the last event; 0 where there is none. Raises TransientError, PermanentError."""
        try:
            return (await self._bus.jetstream.stream_info(STREAM)).state.last_seq
        except APIError as error:
            raise sort_api_error(error, "reading the event stream") from None
        except errors.Error as error:
            raise TransientError(f"reading the event stream: {type(error).__name__}") from None

    async def follow(
        self, wanted: EventFilter, after: int, heartbeat: float
    ) -> AsyncGenerator[CaseEventMessage | None]:
        """Yield the events behind sequence `after`, in stream order, then those that come; it does not end.

        None after `heartbeat` seconds without an event. Raises TransientError where the stream cannot be read.
        """
        now = asyncio.get_running_loop().time
        due = now() + heartbeat
        with self._notified() as changed:
            while True:
                changed.clear()  # before the read, so that events that arrive during it are read next
                async for page in self._store.pages(wanted.subject, start=after + 1):
                    for event in _messages(page):
                        if wanted.takes(event):
                            yield event
                            due = now() + heartbeat
                    after = page[-1].sequence
                if now() >= due:
                    yield None
                    due = now() + heartbeat
                with suppress(TimeoutError):  # then it reads, too: a lost notification only delays events
                    async with asyncio.timeout_at(due):
                        await changed.wait()
                        await asyncio.sleep(PAGE_WINDOW)

    @contextmanager
    def _notified(self) -> Iterator[asyncio.Event]:
        event = asyncio.Event()
        self._waiting.add(event)
        try:
            yield event
        finally:
            self._waiting.discard(event)


def _messages(page: Iterable[RawMessage]) -> Iterator[CaseEventMessage]:
    for item in page:
        # No service writes anything else; it is alerted by projections/unreadable_events.py.
        with suppress(PermanentError):
            yield message_of(item.subject, item.headers, item.sequence)
