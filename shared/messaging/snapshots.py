"""Streams as files, and back: the server's own snapshot, with every sequence, time and header as they were.

The server sends an archive in chunks and waits for their answers, so that a slow disk slows it down; what is encrypted
at rest comes decrypted. Bytes and subjects as in nats-io/nats-server `server/jetstream_api.go`, rewinding: ADR-60.
"""

import asyncio
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from nats import errors
from nats.aio.msg import Msg

from shared.contracts.failures import PermanentError, TransientError
from shared.messaging.connection import Bus

PATIENCE = 30.0  # seconds for the next chunk, or its answer
WHOLE = "204"  # the empty chunk at the end; 408 or 5xx where the server broke off
NOT_FOUND = 10014  # JSConsumerNotFoundErr
STREAM_NOT_FOUND = 10059  # JSStreamNotFoundErr

UNFINISHED = "RESTORING"  # a stream that holds nothing: it is there while a restore is unfinished

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Described:
    """A stream as its snapshot begins: the server's `StreamConfig` and `StreamState`."""

    config: Json
    state: Json


@dataclass(frozen=True, slots=True)
class Position:
    """How far a consumer is. Two that are equal mean that nothing was delivered or acknowledged in between."""

    delivered: int  # deliveries so far
    floor: int  # stream sequence up to which everything is acknowledged
    unanswered: int


async def take(bus: Bus, stream: str, write: Callable[[bytes], object]) -> Described:
    """Hand the snapshot of `stream`, with its consumers, to `write`, chunk by chunk.

    Messages may be appended meanwhile; they are in it or not. Consumers are written last: their state may be ahead of
    the messages. Raises PermanentError, TransientError.
    """
    inbox = bus.client.new_inbox()
    arrived: asyncio.Queue[Msg] = asyncio.Queue()
    subscription = await bus.client.subscribe(inbox, cb=arrived.put)
    try:
        begun = await call(bus, f"$JS.API.STREAM.SNAPSHOT.{stream}", {"deliver_subject": inbox, "jsck": True})
        while (chunk := await asyncio.wait_for(arrived.get(), PATIENCE)).data:
            write(chunk.data)
            if chunk.reply:
                await bus.client.publish(chunk.reply)
    except TimeoutError:
        raise TransientError(f"the snapshot of {stream} stopped half-way") from None
    finally:
        await subscription.unsubscribe()
    status = (chunk.headers or {}).get("Status", WHOLE)
    if status != WHOLE:
        raise TransientError(f"the snapshot of {stream} was broken off ({status})")
    return Described(begun["config"], begun["state"])


async def put_back(bus: Bus, described: Described, chunks: Iterable[bytes], *, replicas: int = 1) -> Json:
    """Make the stream again from its snapshot; returns its state. It must not be there.

    `chunks` may be cut anywhere, each below the server's `max_payload`. Raises PermanentError, TransientError.
    """
    name = described.config["name"]
    config = described.config | {"num_replicas": replicas}
    wanted = {"config": config, "state": described.state}
    target = (await call(bus, f"$JS.API.STREAM.RESTORE.{name}", wanted))["deliver_subject"]
    for chunk in chunks:
        await call(bus, target, chunk)
    state: Json = (await call(bus, target, b""))["state"]
    return state


async def position(bus: Bus, stream: str, consumer: str) -> Position | None:
    """How far the consumer is; None when it is not there."""
    try:
        info = await call(bus, f"$JS.API.CONSUMER.INFO.{stream}.{consumer}", b"")
    except Refused as refused:
        if refused.code in (NOT_FOUND, STREAM_NOT_FOUND):
            return None
        raise
    return Position(info["delivered"]["consumer_seq"], info["ack_floor"]["stream_seq"], info["num_ack_pending"])


async def rewind(bus: Bus, stream: str, consumer: str, floor: int) -> None:
    """Everything after `floor` is delivered to the consumer (again)."""
    await call(bus, f"$JS.API.CONSUMER.RESET.{stream}.{consumer}", {"seq": floor + 1})


class Refused(PermanentError):
    """JetStream's own error answer; `code` is of its error table."""

    def __init__(self, what: str, code: int) -> None:
        super().__init__(f"{what}: JetStream error {code}")
        self.code = code


async def call(bus: Bus, subject: str, body: bytes | Mapping[str, Any]) -> Json:
    """One request of the JetStream API and its answer; an empty answer is an empty object.

    Raises Refused, TransientError.
    """
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    # `$JS.API.STREAM.INFO.X` → "stream info"; subjects that the server made up carry nothing to tell.
    what = " ".join(subject.split(".")[2:4]).lower()
    try:
        answer = await bus.client.request(subject, data, timeout=PATIENCE)
    except (errors.Error, OSError, TimeoutError) as error:
        raise TransientError(f"{what}: {type(error).__name__}") from None
    found: Json = json.loads(answer.data) if answer.data else {}
    if (refusal := found.get("error")) is not None:
        raise Refused(what, refusal.get("err_code", 0))
    return found
