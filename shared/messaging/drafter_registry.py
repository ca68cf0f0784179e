"""The registry of drafters: configurations in the bucket `drafters`, moves in the DRAFTERS stream.

Each kind of document has a chain of its own. A move is decided from the state after its last event, and appended
exactly after it, so that of two moves at the same time one is decided again.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime

from pydantic import ValidationError

from shared.contracts.cloudevents import event_headers
from shared.contracts.drafter_states import DocumentDrafters, apply
from shared.contracts.drafters import (
    DRAFTER_EVENT_ADAPTER,
    DRAFTER_EVENT_TYPES,
    DrafterConfiguration,
    DrafterEvent,
    RecordedDrafterEvent,
)
from shared.contracts.envelope import ChainHead, chain_digest, sha256_hex
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.subjects import DRAFTER_EVENTS, derived_id, drafter_subject, parse_drafter_subject
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.messaging.event_store import Clock, RawMessage, raw_message_of
from shared.messaging.stream_pages import read_stream_pages

STREAM = "DRAFTERS"
BUCKET = "drafters"
TYPE_PREFIX = "countersign.drafters."
MAX_ATTEMPTS = 5  # to append while other moves come in between
EVENT_NAMES = frozenset(kind.model_fields["event"].default for kind in DRAFTER_EVENT_TYPES)

Decide = Callable[[DocumentDrafters], DrafterEvent | None]


class DrafterRegistry:
    """Reads what has come in since the last read. `source` is the service that appends."""

    def __init__(self, bus: NatsConnection, source: str, clock: Clock) -> None:
        self._bus = bus
        self._source = source
        self._clock = clock
        self._bucket = Bucket(bus, BUCKET)
        self._states: dict[str, DocumentDrafters] = {}
        self._read = 0  # sequence of the last event that was read
        self._configurations: dict[str, DrafterConfiguration] = {}

    async def states(self) -> Mapping[str, DocumentDrafters]:
        """Return the state of each kind of document. Raises TransientError, PermanentError."""
        async for event in self._events(DRAFTER_EVENTS, self._read + 1):
            if event.head.sequence > self._read:  # another task may have read it in the meantime
                before = self._states.get(event.document) or DocumentDrafters(event.document)
                self._states[event.document] = apply(before, event)
                self._read = event.head.sequence
        return self._states

    async def state(self, document: str) -> DocumentDrafters:
        """Return the state of one kind of document; it is empty where nothing was declared."""
        return (await self.states()).get(document) or DocumentDrafters(document)

    async def history(self, document: str) -> list[RecordedDrafterEvent]:
        """Return the events of a kind of document, oldest first."""
        return [event async for event in self._events(drafter_subject(document, "*"), 1)]

    async def _events(self, filter: str, start: int) -> AsyncIterator[RecordedDrafterEvent]:
        async for page in read_stream_pages(self._bus, STREAM, filter, start=start):
            for message in page:
                yield decode_drafter_event(raw_message_of(message))

    async def move(self, document: str, decide: Decide) -> DocumentDrafters:
        """Append what `decide` makes of the state, and return the state after it.

        Raises what `decide` raises, TransientError (it may still be stored; repeating it is safe), PermanentError.
        """
        for _ in range(MAX_ATTEMPTS):
            now = await self.state(document)
            event = decide(now)
            if event is None:
                return now
            try:
                await self._append(document, event, now.head)
            except WrongSequenceError:
                continue
            return await self._state_with(document, now.head)
        raise TransientError(f"the drafters of {document} changed too often while a move was being appended")

    async def _append(self, document: str, event: DrafterEvent, after: ChainHead) -> None:
        subject = drafter_subject(document, event.event)
        headers = event_headers(
            id=derived_id(f"{subject}/{after.sequence}", event.event),
            type=f"{TYPE_PREFIX}{event.event}.v{event.version}",
            source=self._source,
            time=self._clock(),
            subject=document,
        )
        if after.digest:
            headers["ce-prevdigest"] = after.digest
        headers["Nats-Expected-Last-Subject-Sequence"] = str(after.sequence)
        headers["Nats-Expected-Last-Subject-Sequence-Subject"] = drafter_subject(document, "*")
        await self._bus.publish(
            subject, event.model_dump_json(exclude_none=True).encode(), stream=STREAM, headers=headers
        )

    async def _state_with(self, document: str, before: ChainHead) -> DocumentDrafters:
        now = await self.state(document)
        if now.head == before:
            raise TransientError("the replica of the stream of drafters that was read is behind")
        return now

    async def store(self, configuration: DrafterConfiguration) -> str:
        """Store a configuration under its digest, and return that. What is stored already is not stored again."""
        digest, data = configuration.digest, configuration.stored()
        if await self._bucket.get(digest) is None:
            try:
                await self._bucket.put(digest, data, revision=0)
            except (TransientError, WrongSequenceError):
                if await self._bucket.get(digest) is None:
                    raise TransientError("the drafter configuration could not be stored") from None
        return digest

    async def configuration(self, digest: str) -> DrafterConfiguration:
        """Return a configuration.

        Raises TransientError where it is not found, as a replica may be behind; PermanentError where the stored bytes
        do not have that digest.
        """
        if digest not in self._configurations:
            entry = await self._bucket.get(digest)
            if entry is None:
                raise TransientError(f"the drafter configuration {digest[:12]} is not stored")
            if sha256_hex(entry.value) != digest:
                raise PermanentError(f"the drafter configuration {digest[:12]} was changed after it was stored")
            try:
                self._configurations[digest] = DrafterConfiguration.read(entry.value)
            except ValidationError:
                raise PermanentError(f"the drafter configuration {digest[:12]} is invalid") from None
        return self._configurations[digest]


def decode_drafter_event(item: RawMessage) -> RecordedDrafterEvent:
    """Return the event of one stored message.

    Raises TransientError for an event that only a newer version knows; PermanentError where it breaks the contract.
    """
    document, name = parse_drafter_subject(item.subject)
    if name not in EVENT_NAMES:
        raise TransientError(f"{name} is an event of drafters of a newer version than this process")
    headers = item.headers
    try:
        body = DRAFTER_EVENT_ADAPTER.validate_json(item.data, extra="ignore")
        time, id, source = datetime.fromisoformat(headers["ce-time"]), headers["ce-id"], headers["ce-source"]
    except (ValidationError, KeyError, ValueError) as error:
        raise PermanentError(f"a {name} message of drafters breaks the contract ({type(error).__name__})") from None
    if body.event != name or headers.get("ce-subject") != document or time.tzinfo is None:
        raise PermanentError(f"a {name} message of drafters has a ce-subject or a time that it cannot have")
    head = ChainHead(item.sequence, chain_digest(headers, item.data))
    return RecordedDrafterEvent(document, id, source, time, headers.get("ce-prevdigest", ""), body, head)
