"""A bus in memory for unit tests: compare-and-set, dedupe, direct get and purge, as the server does them.

It passes the same suite as the real server: tests/connected/test_bus_port.py.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

from shared.contracts.errors import PermanentError
from shared.contracts.subjects import subject_matches
from shared.messaging.broker import ServiceBroker
from shared.messaging.connection import WrongSequenceError
from shared.messaging.topology import CONSUMERS


@dataclass(slots=True)
class StoredMessage:
    """One stored message."""

    stream: str
    sequence: int
    subject: str
    headers: dict[str, str]
    data: bytes


@dataclass(slots=True)
class MemoryBus:
    """The part of a NatsConnection that event store, dead letters and brokers use."""

    kept: list[StoredMessage] = field(default_factory=list)
    sequences: dict[str, int] = field(default_factory=dict)  # the last of each stream
    master_keys: tuple[bytes, ...] = ()

    def on_reconnect(self, _: Any) -> None:
        """It is never lost."""

    @property
    def jetstream(self) -> "MemoryBus":
        return self

    async def publish(
        self,
        subject: str,
        data: bytes,
        *,
        stream: str,
        headers: Mapping[str, str] | None = None,
        id: str | None = None,
    ) -> Any:
        sent = dict(headers or {})
        here = [item for item in self.kept if item.stream == stream]
        latest = self.sequences.get(stream, 0)
        if pattern := sent.pop("Nats-Expected-Last-Subject-Sequence-Subject", None):
            last = max((item.sequence for item in here if subject_matches(pattern, item.subject)), default=0)
            if last != int(sent.pop("Nats-Expected-Last-Subject-Sequence")):
                raise WrongSequenceError
        same = [item for item in here if id is not None and item.headers.get("Nats-Msg-Id") == id]
        if same:
            return SimpleNamespace(seq=same[0].sequence, duplicate=True)
        if id is not None:
            sent["Nats-Msg-Id"] = id
        if (wanted := sent.pop("Nats-Expected-Last-Subject-Sequence", None)) is not None and wanted != str(
            max((item.sequence for item in here if item.subject == subject), default=0)
        ):
            raise WrongSequenceError
        self.sequences[stream] = latest + 1
        self.kept.append(StoredMessage(stream, latest + 1, subject, sent, data))
        return SimpleNamespace(seq=latest + 1, duplicate=False)

    async def direct_get(self, stream: str, query: Mapping[str, Any]) -> list[Any]:
        if wanted := query.get("multi_last") or [query[name] for name in ("last_by_subj",) if name in query]:
            here = [item for item in self.kept if item.stream == stream]
            asked = [item for item in here if any(subject_matches(pattern, item.subject) for pattern in wanted)]
            lasts = {item.subject: item for item in asked}
            return [_answer(item) for item in lasts.values()]
        start, pattern = query.get("seq", 1), query.get("next_by_subj")
        here = [item for item in self.kept if item.stream == stream and item.sequence >= start]
        found = [item for item in here if subject_matches(pattern, item.subject)] if pattern else here[:1]
        return [
            _answer(item, pending=len(found) - index) for index, item in enumerate(found[: query.get("batch", 1)], 1)
        ]

    def expire(self) -> None:
        """As if the time to live of every entry had ended."""
        lasts = {(item.stream, item.subject): item for item in self.kept}
        ended = {key for key, item in lasts.items() if "Nats-TTL" in item.headers}
        self.kept = [item for item in self.kept if (item.stream, item.subject) not in ended]

    async def purge_stream(self, stream: str, *, seq: int | None = None, subject: str) -> None:
        """Everything of `subject` that stands before `seq`."""
        self.kept = [
            item
            for item in self.kept
            if item.stream != stream or not subject_matches(subject, item.subject) or (seq and item.sequence >= seq)
        ]

    async def delete_msg(self, stream: str, seq: int) -> None:
        self.kept = [item for item in self.kept if (item.stream, item.sequence) != (stream, seq)]


def _answer(item: StoredMessage, pending: int = 0) -> Any:
    headers = item.headers | {
        "Nats-Subject": item.subject,
        "Nats-Sequence": str(item.sequence),
        "Nats-Num-Pending": str(pending),
    }
    return SimpleNamespace(headers=headers, data=item.data)


async def deliver(broker: ServiceBroker, consumer: str, message: StoredMessage, attempt: int = 1) -> "Delivery":
    """Hand `message` to the consumer's subscriber, through all of FastStream; returns how it was answered."""
    delivery = Delivery(message, attempt, consumer)
    subscriber = broker.consumers[consumer]
    if not broker.config.logger.logger:  # what a start does besides connecting
        broker._setup_logger()
    if any(call.parser is None for call in subscriber.calls):
        subscriber._build_fastdepends_model()
    await subscriber.process_message(delivery)  # type: ignore[arg-type]
    return delivery


class Delivery:
    """A message as a handler sees it. `answer` is what the handler told the server."""

    def __init__(self, message: StoredMessage, attempt: int, consumer: str = "") -> None:
        self.subject, self.headers, self.data = message.subject, dict(message.headers), message.data
        self.header, self.reply, self._ackd = self.headers, "", False
        self.metadata = SimpleNamespace(
            num_delivered=attempt,
            sequence=SimpleNamespace(stream=message.sequence),
            stream=message.stream,
            consumer=consumer,
            num_pending=0,
        )
        self.answer: str | None = None
        self.delay: float | None = None

    async def ack(self) -> None:
        self.answer = "ack"

    async def nak(self, delay: float | None = None) -> None:
        self.answer, self.delay = "nak", delay

    async def term(self) -> None:
        self.answer = "term"

    async def in_progress(self) -> None:
        await asyncio.sleep(0)


def consumers_of(message: StoredMessage) -> list[str]:
    """Every durable consumer that gets `message`."""
    return [
        item.name
        for item in CONSUMERS
        if item.stream == message.stream and any(subject_matches(pattern, message.subject) for pattern in item.subjects)
    ]


def refuse(reason: str = "told to fail") -> PermanentError:
    return PermanentError(reason)
