"""Snapshot and restore streams by the server's own archive, which keeps sequences, times and headers.

The server sends the archive in chunks and waits for their acknowledgement, so a slow disk slows it down; data that is
encrypted at rest is decrypted in it. Format and subjects: nats-io/nats-server `server/jetstream_api.go`; reset of
consumers: ADR-60.
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
from shared.messaging.connection import NatsConnection

CHUNK_TIMEOUT = 30.0  # seconds for the next chunk, or its answer
CONSUMER_ASSIGNMENT_TIME = 2.0  # seconds in which a cluster assigns the consumers of a restored stream
ELECTION_TIMEOUT = 15.0  # seconds in which a cluster gives a consumer its leader; an election takes up to nine
POLL_TIMEOUT = 0.5  # seconds for a reply from a server that may not be ready; then the request is repeated
POLL_INTERVAL = 0.02  # seconds
END_OF_SNAPSHOT = "204"  # the empty chunk at the end; 408 or 5xx where the server broke off
NOT_FOUND = 10014  # JSConsumerNotFoundErr
STREAM_NOT_FOUND = 10059  # JSStreamNotFoundErr
RESTORE_FAILED = 10062  # JSStreamRestoreErrF
BROKEN_OFF = (
    "the server broke off the restore of {}: its disk did not take in the messages within five seconds. Run the server "
    "with `sync_interval: 2m` for the restore (docs/how-to/backup-and-restore.md), then run it again"
)

UNFINISHED = "RESTORING"  # an empty stream that exists while a restore is unfinished

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class StreamSnapshot:
    """A stream as its snapshot begins: the server's `StreamConfig` and `StreamState`."""

    config: Json
    state: Json


@dataclass(frozen=True, slots=True)
class Position:
    """The position of a consumer. Equal positions: nothing was delivered or acknowledged in between."""

    delivered: int  # deliveries so far
    floor: int  # stream sequence up to which everything is acknowledged
    ack_pending: int  # messages that are delivered and not acknowledged


async def snapshot(bus: NatsConnection, stream: str, write: Callable[[bytes], object]) -> StreamSnapshot:
    """Pass the snapshot of `stream`, with its consumers, to `write`, chunk by chunk.

    Messages that are appended during the snapshot may be in it or not. Consumers are written last: their state may be
    ahead of the messages. Raises PermanentError, TransientError.
    """
    inbox = bus.client.new_inbox()
    arrived: asyncio.Queue[Msg] = asyncio.Queue()
    subscription = await bus.client.subscribe(inbox, cb=arrived.put)
    try:
        begun = await call(bus, f"$JS.API.STREAM.SNAPSHOT.{stream}", {"deliver_subject": inbox, "jsck": True})
        while (chunk := await asyncio.wait_for(arrived.get(), CHUNK_TIMEOUT)).data:
            write(chunk.data)
            if chunk.reply:
                await bus.client.publish(chunk.reply)
    except TimeoutError:
        raise TransientError(f"the snapshot of {stream} stopped half-way") from None
    finally:
        await subscription.unsubscribe()
    status = (chunk.headers or {}).get("Status", END_OF_SNAPSHOT)
    if status != END_OF_SNAPSHOT:
        raise TransientError(f"the snapshot of {stream} was broken off ({status})")
    return StreamSnapshot(begun["config"], begun["state"])


async def remove(bus: NatsConnection, stream: str) -> None:
    """Delete the stream if it exists. Raises PermanentError, TransientError.

    Waits until two seconds after its restore: until then a cluster may still be assigning its consumers, and if the
    stream is restored once more, they may never get a leader.
    """
    with suppress(CountersignError):  # a half-restored stream has no info
        info = await call(bus, f"$JS.API.STREAM.INFO.{stream}", b"", timeout_s=POLL_TIMEOUT)
        age = datetime.fromisoformat(info["ts"]) - datetime.fromisoformat(info["created"])
        await asyncio.sleep(CONSUMER_ASSIGNMENT_TIME - age.total_seconds())
    try:
        await call(bus, f"$JS.API.STREAM.DELETE.{stream}", b"")
    except SnapshotRefusedError as refused:
        if refused.code != STREAM_NOT_FOUND:
            raise


async def restore(bus: NatsConnection, described: StreamSnapshot, chunks: Iterable[bytes]) -> Json:
    """Restore a stream that does not exist from its snapshot, with `described.config`; return its state.

    `chunks` may be split anywhere, each below the server's `max_payload`. Its consumers exist when this returns; its
    replicas in a cluster may still be catching up. Raises PermanentError, TransientError.
    """
    name = described.config["name"]
    wanted = {"config": described.config, "state": described.state}
    target = (await call(bus, f"$JS.API.STREAM.RESTORE.{name}", wanted))["deliver_subject"]
    try:
        for chunk in chunks:
            await _send_chunk(bus, target, chunk)
        state: Json = (await _send_chunk(bus, target, b""))["state"]
    except SnapshotRefusedError as refused:
        if refused.code == RESTORE_FAILED and "closed pipe" in refused.description:
            raise TransientError(BROKEN_OFF.format(name)) from None
        raise
    await _wait_for_consumers(bus, name, state["consumer_count"])
    return state


async def _send_chunk(bus: NatsConnection, target: str, chunk: bytes) -> Json:
    """Send a chunk; repeat it while there is no responder.

    In a cluster another server may take the stream, before the server of this connection knows of it.
    """
    deadline = time.monotonic() + CHUNK_TIMEOUT
    while True:
        try:
            return await call(bus, target, chunk)
        except NoRespondersError:
            if time.monotonic() > deadline:
                raise
        await asyncio.sleep(POLL_INTERVAL)


async def _wait_for_consumers(bus: NatsConnection, stream: str, count: int) -> None:
    """Wait until a restored stream has `count` consumers with leaders.

    A cluster replies before it has assigned them. A service that does not find its consumer would create a new one, at
    the beginning of the stream.
    """
    try:
        async with asyncio.timeout(ELECTION_TIMEOUT):
            while True:
                names = (await call(bus, f"$JS.API.CONSUMER.NAMES.{stream}", b""))["consumers"] or []
                if len(names) >= count and all(
                    await asyncio.gather(*(_has_leader(bus, stream, name) for name in names))
                ):
                    return
                await asyncio.sleep(POLL_INTERVAL)
    except TimeoutError:
        raise TransientError(f"the consumers of {stream} were not restored with it: run the command again") from None


async def _has_leader(bus: NatsConnection, stream: str, consumer: str) -> bool:
    try:
        await _info(bus, stream, consumer)
    except CountersignError:
        return False
    return True


async def position(bus: NatsConnection, stream: str, consumer: str) -> Position | None:
    """Return the position of the consumer; None if it does not exist. Raises PermanentError, TransientError."""
    deadline = time.monotonic() + CHUNK_TIMEOUT
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


async def _info(bus: NatsConnection, stream: str, consumer: str) -> Json:
    """Return the consumer's info. While it has no leader, there is no reply, also not later."""
    return await call(bus, f"$JS.API.CONSUMER.INFO.{stream}.{consumer}", b"", timeout_s=POLL_TIMEOUT)


async def reset_consumer(bus: NatsConnection, stream: str, consumer: str, floor: int) -> None:
    """Reset the consumer: everything after the stream sequence `floor` is delivered again."""
    await call(bus, f"$JS.API.CONSUMER.RESET.{stream}.{consumer}", {"seq": floor + 1})


class SnapshotRefusedError(PermanentError):
    """An error response of JetStream; `code` and `description` are from its error table."""

    def __init__(self, what: str, code: int, description: str = "") -> None:
        super().__init__(f"{what}: JetStream error {code}")
        self.code, self.description = code, description


class NoRespondersError(TransientError):
    """The request was not delivered: no responder, or the server does not know of one yet."""


async def call(
    bus: NatsConnection, subject: str, body: bytes | Mapping[str, Any], *, timeout_s: float | None = None
) -> Json:
    """Send a request to the JetStream API; return its response within `timeout_s` seconds, an empty one as {}.

    Raises SnapshotRefusedError, NoRespondersError, TransientError.
    """
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    # `$JS.API.STREAM.INFO.X` → "stream info"; subjects that the server generated say nothing.
    what = " ".join(subject.split(".")[2:4]).lower()
    try:
        answer = await bus.client.request(subject, data, timeout=timeout_s or CHUNK_TIMEOUT)
    except errors.NoRespondersError:
        raise NoRespondersError(f"{what}: NoRespondersError") from None
    except (errors.Error, OSError, TimeoutError) as error:
        raise TransientError(f"{what}: {type(error).__name__}") from None
    found: Json = json.loads(answer.data) if answer.data else {}
    if (refusal := found.get("error")) is not None:
        raise SnapshotRefusedError(what, refusal.get("err_code", 0), refusal.get("description", ""))
    return found
