"""How a process reaches NATS: one nkey user, its own inbox prefix, reconnecting for ever."""

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
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
        reply = self.client.new_inbox()
        subscription = await self.client.subscribe(reply)
        try:
            await self.client.publish(f"$JS.API.DIRECT.GET.{stream}", json.dumps(query).encode(), reply=reply)
            return [message async for message in _replies(subscription, batch="batch" in query)]
        except (errors.Error, OSError) as error:
            raise TransientError(f"read of {stream}: {type(error).__name__}") from None
        finally:
            if not self.client.is_closed:
                await subscription.unsubscribe()

    async def close(self) -> None:
        await self.client.close()


async def _replies(subscription: Any, *, batch: bool) -> Any:
    while True:
        message = await subscription.next_msg(timeout=REQUEST_TIMEOUT)
        status = (message.headers or {}).get("Status")
        if status == "404" or status == "204":  # nothing there; end of batch
            return
        if status is not None:
            raise TransientError(f"direct get answered {status}")
        yield message
        if not batch:
            return


def sort_api_error(error: APIError, what: str) -> TransientError | PermanentError:
    """A JetStream API error as one of ours: 5xx and 408 may pass, the rest will not."""
    if (error.code or 500) >= 500 or error.code == 408:
        return TransientError(f"{what}: JetStream error {error.err_code}")
    return PermanentError(f"{what}: JetStream error {error.err_code}")
