"""How a process reaches NATS: one nkey user, its own inbox prefix, reconnecting for ever."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import nats
from nats import errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import PubAck
from nats.js.errors import APIError, NoStreamResponseError

from shared.contracts.failures import PermanentError, TransientError
from shared.messaging.topology import inbox

logger = logging.getLogger(__name__)

WRONG_LAST_SEQUENCE = 10071  # JSStreamWrongLastSequenceErrF of the server's error table
REQUEST_TIMEOUT = 5.0


class WrongSequenceError(Exception):
    """The subject's last sequence is not the expected one: somebody appended in between."""


async def _log_error(error: Exception) -> None:
    # Refused subjects arrive here and nowhere else: the caller only sees a time-out.
    logger.warning("nats connection: %s", type(error).__name__ if isinstance(error, OSError) else error)


async def connect(url: str, user: str, seed: str, *, patient: bool = False) -> "Bus":
    """A connection as `user`. A `patient` one waits for the server, now and after every loss, for ever.

    Raises TransientError when nobody answers and `patient` is false.
    """
    bus = Bus()
    try:
        bus.client = await nats.connect(
            url,
            name=f"countersign-{user}",
            nkeys_seed_str=seed,
            inbox_prefix=inbox(user),
            max_reconnect_attempts=-1 if patient else 1,
            reconnect_time_wait=0.2,
            error_cb=_log_error,
            reconnected_cb=bus.reconnected,
        )
    except (OSError, errors.Error) as error:
        raise TransientError(f"NATS does not answer ({type(error).__name__})") from None
    bus.jetstream = bus.client.jetstream(timeout=REQUEST_TIMEOUT)
    return bus


class Bus:
    """What the rest needs of NATS, with its errors sorted into ours."""

    client: Client
    jetstream: JetStreamContext

    def __init__(self) -> None:
        self._on_reconnect: list[Callable[[], Awaitable[None]]] = []
        self._reads: Reads | None = None

    def on_reconnect(self, call: Callable[[], Awaitable[None]]) -> None:
        """Call when the connection is there again after a loss."""
        self._on_reconnect.append(call)

    async def reconnected(self) -> None:
        for call in self._on_reconnect:
            await call()

    @property
    def connected(self) -> bool:
        return self.client.is_connected

    async def publish(
        self,
        subject: str,
        data: bytes,
        *,
        stream: str,
        headers: Mapping[str, str] | None = None,
        id: str | None = None,
    ) -> PubAck:
        """Store one message; `id` makes a repeat within the dedupe window a no-op.

        Raises WrongSequenceError, TransientError (it may still be stored later), PermanentError.
        """
        sent: dict[str, Any] = dict(headers or {})
        if id is not None:
            sent["Nats-Msg-Id"] = id
        try:
            return await self.jetstream.publish(subject, data, stream=stream, headers=sent)
        except APIError as error:
            if error.err_code == WRONG_LAST_SEQUENCE:
                raise WrongSequenceError from None
            raise sort_api_error(error, f"publish to {stream}") from None
        except (errors.Error, NoStreamResponseError, OSError, TimeoutError) as error:
            raise TransientError(f"publish to {stream}: {type(error).__name__}") from None

    async def direct_get(self, stream: str, query: Mapping[str, Any]) -> list[Msg]:
        """Stored messages by the server's direct-get API, in stream order; one request, however many messages.

        `query` is a JSApiMsgGetRequest of ADR-31 (batch, next_by_subj, last_by_subj, seq).
        """
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                return await self._read(f"$JS.API.DIRECT.GET.{stream}", query)
        except (errors.Error, OSError, TimeoutError) as error:
            raise TransientError(f"read of {stream}: {type(error).__name__}") from None

    async def _read(self, subject: str, query: Mapping[str, Any]) -> list[Msg]:
        """Answers arrive on one inbox for all reads, told apart by its last token."""
        if self._reads is None:
            self._reads = Reads(self.client.new_inbox())
            await self.client.subscribe(f"{self._reads.inbox}.*", cb=self._reads.on_message)
        reply, answer = self._reads.expect(batch="batch" in query)
        try:
            await self.client.publish(subject, json.dumps(query).encode(), reply=reply)
            return await answer
        finally:
            self._reads.forget(reply)

    async def close(self) -> None:
        await self.client.close()


class Reads:
    """Direct gets that are being answered."""

    def __init__(self, inbox: str) -> None:
        self.inbox = inbox
        self._count = 0
        self._open: dict[str, _Read] = {}

    def expect(self, *, batch: bool) -> tuple[str, "asyncio.Future[list[Msg]]"]:
        """Where the next read is to be answered, and its answer to be."""
        self._count += 1
        reply = f"{self.inbox}.{self._count}"
        read = self._open[reply] = _Read(batch, [], asyncio.get_running_loop().create_future())
        return reply, read.answer

    def forget(self, reply: str) -> None:
        self._open.pop(reply, None)

    async def on_message(self, message: Msg) -> None:
        read = self._open.get(message.subject)
        if read is None or read.answer.done():
            return  # given up
        status = (message.headers or {}).get("Status")
        if status is None:
            read.found.append(message)
            if not read.batch:
                read.answer.set_result(read.found)
        elif status in ("404", "204"):  # nothing there; end of the batch
            read.answer.set_result(read.found)
        else:
            read.answer.set_exception(TransientError(f"direct get answered {status}"))


@dataclass(frozen=True, slots=True)
class _Read:
    batch: bool
    found: list[Msg]
    answer: "asyncio.Future[list[Msg]]"


def sort_api_error(error: APIError, what: str) -> TransientError | PermanentError:
    """A JetStream API error as one of ours: 5xx and 408 may pass, the rest will not."""
    if (error.code or 500) >= 500 or error.code == 408:
        return TransientError(f"{what}: JetStream error {error.err_code}")
    return PermanentError(f"{what}: JetStream error {error.err_code}")
