"""Streams as files, and back: the server's own snapshot, with every sequence, time and header as they were.

The server sends an archive in chunks and waits for their answers, so that a slow disk slows it down; what is encrypted
at rest comes decrypted. Bytes and subjects as in nats-io/nats-server `server/jetstream_api.go`, rewinding: ADR-60.
"""

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from nats import errors
from nats.aio.msg import Msg

from shared.contracts.errors import CountersignError, PermanentError, TransientError
from shared.messaging.connection import Bus

PATIENCE = 30.0  # seconds for the next chunk, or its answer
HANDED_OUT = 2.0  # seconds after which a cluster has handed out the consumers of a stream that was put back
ELECTED = 15.0  # seconds in which a cluster gives a consumer its leader; an election takes up to nine
ANSWER = 0.5  # seconds for the answer of somebody who may not be there yet; then we ask again
AGAIN = 0.02  # seconds until we look again
WHOLE = "204"  # the empty chunk at the end; 408 or 5xx where the server broke off
NOT_FOUND = 10014  # JSConsumerNotFoundErr
STREAM_NOT_FOUND = 10059  # JSStreamNotFoundErr
RESTORE_FAILED = 10062  # JSStreamRestoreErrF
BROKEN_OFF = (
    "the server broke off the restore of {}: its disk did not take in the messages within five seconds. Run the server "
    "with `sync_interval: 2m` for the restore (docs/how-to/backup-and-restore.md), then run it again"
)

UNFINISHED = "RESTORING"  # a stream that holds nothing: it is there while a restore is unfinished

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StreamSnapshot:
    """A stream as its snapshot begins: the server's `StreamConfig` and `StreamState`."""

    config: Json
    state: Json


@dataclass(frozen=True, slots=True)
class Position:
    """How far a consumer is. Two that are equal mean that nothing was delivered or acknowledged in between."""

    delivered: int  # deliveries so far
    floor: int  # stream sequence up to which everything is acknowledged
    unanswered: int


async def snapshot(bus: Bus, stream: str, write: Callable[[bytes], object]) -> StreamSnapshot:
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
    return StreamSnapshot(begun["config"], begun["state"])


async def remove(bus: Bus, stream: str) -> None:
    """Delete the stream, where there is one. Raises PermanentError, TransientError.

    Not in the two seconds after it was put back: until then a cluster may still be handing out its consumers, and would
    go on when the stream is put back once more, whose consumers may then never get a leader.
    """
    with suppress(CountersignError):  # one that is half put back has nothing to tell
        info = await call(bus, f"$JS.API.STREAM.INFO.{stream}", b"", patience=ANSWER)
        age = datetime.fromisoformat(info["ts"]) - datetime.fromisoformat(info["created"])
        await asyncio.sleep(HANDED_OUT - age.total_seconds())
    try:
        await call(bus, f"$JS.API.STREAM.DELETE.{stream}", b"")
    except SnapshotRefusedError as refused:
        if refused.code != STREAM_NOT_FOUND:
            raise


async def restore(bus: Bus, described: StreamSnapshot, chunks: Iterable[bytes]) -> Json:
    """Make the stream again from its snapshot, as `described.config` has it; returns its state. It must not be there.

    `chunks` may be cut anywhere, each below the server's `max_payload`. Its consumers are there when this returns; its
    replicas in a cluster may still be catching up. Raises PermanentError, TransientError.
    """
    name = described.config["name"]
    wanted = {"config": described.config, "state": described.state}
    target = (await call(bus, f"$JS.API.STREAM.RESTORE.{name}", wanted))["deliver_subject"]
    try:
        for chunk in chunks:
            await _hand_over(bus, target, chunk)
        state: Json = (await _hand_over(bus, target, b""))["state"]
    except SnapshotRefusedError as refused:
        if refused.code == RESTORE_FAILED and "closed pipe" in refused.description:
            raise TransientError(BROKEN_OFF.format(name)) from None
        raise
    await _consumers_come(bus, name, state["consumer_count"])
    return state


async def _hand_over(bus: Bus, target: str, chunk: bytes) -> Json:
    """In a cluster another server may take the stream up, and ours not know yet where that is: what
    nobody took is sent again.
    """
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return await call(bus, target, chunk)
        except NobodyThereError:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(AGAIN)


async def _consumers_come(bus: Bus, stream: str, count: int) -> None:
    """A cluster answers before it has handed out the consumers of a restored stream. Whoever looks for one until then
    finds none, and would make it anew: at the beginning of the stream.
    """
    try:
        async with asyncio.timeout(ELECTED):
            while True:
                names = (await call(bus, f"$JS.API.CONSUMER.NAMES.{stream}", b""))["consumers"] or []
                if len(names) >= count and all(await asyncio.gather(*(_answers(bus, stream, name) for name in names))):
                    return
                await asyncio.sleep(AGAIN)
    except TimeoutError:
        raise TransientError(f"the consumers of {stream} did not come back with it: run it again") from None


async def _answers(bus: Bus, stream: str, consumer: str) -> bool:
    try:
        await _info(bus, stream, consumer)
    except CountersignError:
        return False
    return True


async def position(bus: Bus, stream: str, consumer: str) -> Position | None:
    """How far the consumer is; None when it is not there. Raises PermanentError, TransientError."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            info = await _info(bus, stream, consumer)
        except SnapshotRefusedError as refused:
            if refused.code in (NOT_FOUND, STREAM_NOT_FOUND):
                return None
            raise
        except TransientError:
            if time.monotonic() > deadline:
                raise
        else:
            return Position(info["delivered"]["consumer_seq"], info["ack_floor"]["stream_seq"], info["num_ack_pending"])


async def _info(bus: Bus, stream: str, consumer: str) -> Json:
    """In a cluster nobody answers while it has no leader, and what was asked then is not answered later."""
    return await call(bus, f"$JS.API.CONSUMER.INFO.{stream}.{consumer}", b"", patience=ANSWER)


async def reset_consumer(bus: Bus, stream: str, consumer: str, floor: int) -> None:
    """Everything after `floor` is delivered to the consumer (again)."""
    await call(bus, f"$JS.API.CONSUMER.RESET.{stream}.{consumer}", {"seq": floor + 1})


class SnapshotRefusedError(PermanentError):
    """JetStream's own error answer; `code` and `description` are of its error table."""

    def __init__(self, what: str, code: int, description: str = "") -> None:
        super().__init__(f"{what}: JetStream error {code}")
        self.code, self.description = code, description


class NobodyThereError(TransientError):
    """Nobody listens to such requests, or the server that we speak to does not know of it yet: it was not delivered."""


async def call(bus: Bus, subject: str, body: bytes | Mapping[str, Any], *, patience: float | None = None) -> Json:
    """One request of the JetStream API and its answer within `patience` seconds; an empty answer is an empty object.

    Raises Refused, NobodyThereError, TransientError.
    """
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    # `$JS.API.STREAM.INFO.X` → "stream info"; subjects that the server made up carry nothing to tell.
    what = " ".join(subject.split(".")[2:4]).lower()
    try:
        answer = await bus.client.request(subject, data, timeout=patience or PATIENCE)
    except errors.NoRespondersError:
        raise NobodyThereError(f"{what}: NoRespondersError") from None
    except (errors.Error, OSError, TimeoutError) as error:
        raise TransientError(f"{what}: {type(error).__name__}") from None
    found: Json = json.loads(answer.data) if answer.data else {}
    if (refusal := found.get("error")) is not None:
        raise SnapshotRefusedError(what, refusal.get("err_code", 0), refusal.get("description", ""))
    return found
