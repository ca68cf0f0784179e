"""Store each message before it is sent, so that what is sent again is the same bytes, also after a crash.

The bytes are an artifact of the case, which erasures remove. The entry about them is in the bucket of renditions, under
the digest of the decision.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from pydantic import ValidationError

from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.model import Model
from shared.messaging.artifacts import Artifacts
from shared.messaging.buckets import Bucket, KvEntry
from shared.messaging.connection import NatsConnection, WrongSequenceError

BUCKET = "renditions"


class OutgoingMessage(Model):
    """A message: its MSH-10, the digest of its bytes, and MSH-10 of the answer that accepted it."""

    control_id: str
    message: str
    renditions: dict[str, str]  # content type → SHA-256 of what it carries
    accepted: bool = False
    answer: str = ""


@dataclass(frozen=True, slots=True)
class MessageDraft:
    """A composed message and the digests of what it carries, by content type."""

    control_id: str
    content: bytes
    renditions: dict[str, str]


Compose = Callable[[], Awaitable[MessageDraft]]


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored message with its bytes."""

    entry: KvEntry
    message: OutgoingMessage
    content: bytes


class Outbox:
    def __init__(self, bus: NatsConnection) -> None:
        self._artifacts = Artifacts(bus)
        self._bucket = Bucket(bus, BUCKET)

    async def prepare(self, decision: RecordedEvent, name: str, compose: Compose) -> Stored:
        """Return the message of the decision called `name`: the stored one, or a new one once it is stored."""
        key = f"{decision.head.digest}.{name}"
        if (stored := await self._find(decision, key)) is not None:
            return stored
        draft = await compose()
        digest = await self._artifacts.of(decision.case.id, decision.head.sequence).put(draft.content)
        message = OutgoingMessage(control_id=draft.control_id, message=digest, renditions=draft.renditions)
        value = message.model_dump_json().encode()
        try:
            revision = await self._bucket.put(key, value, revision=0)
        except WrongSequenceError:  # another process was first: its bytes count
            stored = await self._find(decision, key)
            if stored is None:
                raise TransientError("the stored message cannot be read yet") from None
            return stored
        return Stored(KvEntry(key, value, revision), message, draft.content)

    async def accepted(self, decision: RecordedEvent, name: str) -> bool:
        """Return whether the receiver has accepted this message."""
        entry = await self._bucket.get(f"{decision.head.digest}.{name}")
        return entry is not None and _parse(entry).accepted

    async def accept(self, stored: Stored, answer: str) -> Stored:
        """Store that the receiver has the message. Two that were answered at once keep the first answer."""
        message = stored.message.model_copy(update={"accepted": True, "answer": answer})
        try:
            await self._bucket.put(stored.entry.key, message.model_dump_json().encode(), revision=stored.entry.revision)
        except WrongSequenceError:
            entry = await self._bucket.get(stored.entry.key)
            message = _parse(entry) if entry is not None else message
        return replace(stored, message=message)

    async def digests(self, decision: str) -> list[str]:
        """Return the digests of the messages of the decision with this digest."""
        found: dict[str, None] = {}
        async for entry in self._bucket.scan(decision):
            try:
                found[_parse(entry).message] = None
            except PermanentError:
                continue
        return list(found)

    async def _find(self, decision: RecordedEvent, key: str) -> Stored | None:
        entry = await self._bucket.get(key)
        if entry is None:
            return None
        message = _parse(entry)
        return Stored(entry, message, await self._artifacts.of(decision.case.id).get(message.message))


def _parse(entry: KvEntry) -> OutgoingMessage:
    try:
        return OutgoingMessage.read(entry.value)
    except ValidationError:
        raise PermanentError("a stored message cannot be read") from None
