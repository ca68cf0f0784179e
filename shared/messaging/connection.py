"""The connection of a process to NATS: one nkey user, its own inbox prefix, unlimited reconnects."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nats import errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.errors import APIError

from shared.contracts.errors import PermanentError, TransientError
from shared.messaging.client import NatsClient
from shared.messaging.permissions import inbox, request_inbox
from shared.messaging.replies import Replies
from shared.messaging.tls import client_context, describe_tls_error, suppress_tls_shutdown_warning, wants_tls
from shared.telemetry import instruments, tracing
from shared.telemetry.metric_definitions import ERROR, STREAM

logger = logging.getLogger(__name__)

WRONG_LAST_SEQUENCE = 10071  # JSStreamWrongLastSequenceErrF of the server's error table
ACCOUNT_RESOURCES_EXCEEDED = 10002  # JSAccountResourcesExceededErr, with code 400: the account's disk is full
REQUEST_TIMEOUT = 5.0
CONNECT_RETRY_DELAY = 1.0  # seconds before a service that could not connect by TLS tries again


class WrongSequenceError(Exception):
    """The last sequence of the subject is not the expected one: another message was appended."""


@dataclass(frozen=True, slots=True)
class StorageUsage:
    """Bytes that an account stores, and its limit; None: that of the servers."""

    stored: int
    limit: int | None


@dataclass(frozen=True, slots=True)
class Ack:
    """The stream sequence of a stored message; for a duplicate, that of the first."""

    seq: int
    duplicate: bool


async def open_client(
    url: str, seed: str, on_error: Callable[[Exception], Awaitable[None]], *, ca_file: Path | None, **options: Any
) -> Client:
    """Connect a nats-py client, with TLS if the URL requires it; `options` are passed to `Client.connect`.

    Raises PermanentError when the CA file is not usable, otherwise what nats-py raises.
    """
    tls = client_context(url, ca_file)
    if tls is not None:
        suppress_tls_shutdown_warning()
    client = NatsClient()
    made = False

    async def on_client_error(error: Exception) -> None:
        # Raised, it ends `connect`, which else waits for ever for the end of a connection whose handshake failed:
        # https://github.com/nats-io/nats.py/issues/718
        if tls is not None and client.is_connecting and not made:
            raise error
        await on_error(error)

    await client.connect(
        url.split(","),
        nkeys_seed_str=seed,
        error_cb=on_client_error,
        tls=tls,
        tls_handshake_first=tls is not None,
        **options,
    )
    made = True
    return client


async def connect(
    url: str, user: str, seed: str, *, ca_file: Path | None = None, patient: bool = False
) -> "NatsConnection":
    """Return an open connection as `user`: see `NatsConnection` and `NatsConnection.open`."""
    bus = NatsConnection(url, user, seed, ca_file)
    await bus.open(patient=patient)
    return bus


class NatsConnection:
    """A NATS connection that classifies errors as transient or permanent. Connect it by `open`.

    `url` may contain several servers, separated by commas. `ca_file`: see `client_context`. `master_keys`: the first
    encrypts the keys of cases, each decrypts them (case_keys.py); without one they are stored unencrypted.
    """

    client: Client
    jetstream: JetStreamContext

    def __init__(
        self, url: str, user: str, seed: str, ca_file: Path | None = None, master_keys: tuple[bytes, ...] = ()
    ) -> None:
        self._url, self._user, self._seed, self._ca_file = url, user, seed, ca_file
        self.master_keys = master_keys
        self.opened = False
        self._on_reconnect: list[Callable[[], Awaitable[None]]] = []
        self._replies: dict[str, Replies] = {}  # by the prefix of their inbox
        self.last_error: Exception | None = None  # the last error of the client

    async def open(self, *, patient: bool = False) -> None:
        """Connect, also again after `close`.

        With `patient` it retries without limit, now and after every loss, and logs the reason.

        Raises PermanentError when the CA file is not usable. When `patient` is false: PermanentError when TLS fails,
        TransientError when no server answers.
        """
        self._replies, self.last_error = {}, None
        while True:
            try:
                self.client = await open_client(
                    self._url,
                    self._seed,
                    self.on_error,
                    ca_file=self._ca_file,
                    name=f"countersign-{self._user}",
                    inbox_prefix=inbox(self._user),
                    max_reconnect_attempts=-1 if patient else 1,
                    reconnect_time_wait=0.2,
                    reconnected_cb=self.run_reconnect_callbacks,
                )
                break
            except (OSError, errors.Error) as error:
                if not patient:
                    raise sort_refusal(self.last_error or error, plain=not wants_tls(self._url)) from None
                await self.on_error(error)
                await asyncio.sleep(CONNECT_RETRY_DELAY)
        self.jetstream = self.client.jetstream(timeout=REQUEST_TIMEOUT)
        self.opened = True

    async def on_error(self, error: Exception) -> None:
        """Log an error of the client, which continues."""
        # Refused subjects arrive here and nowhere else: the caller only sees a time-out.
        if "permissions violation" in str(error).lower():
            instruments.increment("countersign.nats.refused")
        self.last_error = error
        description = describe_tls_error(error) or (type(error).__name__ if isinstance(error, OSError) else error)
        logger.warning("nats connection: %s", description)

    def on_reconnect(self, call: Callable[[], Awaitable[None]]) -> None:
        """Register a callback that runs after each reconnect."""
        self._on_reconnect.append(call)

    async def run_reconnect_callbacks(self) -> None:
        for call in self._on_reconnect:
            await call()

    @property
    def connected(self) -> bool:
        return self.opened and self.client.is_connected

    async def publish(
        self,
        subject: str,
        data: bytes,
        *,
        stream: str,
        headers: Mapping[str, str] | None = None,
        id: str | None = None,
    ) -> Ack:
        """Store one message; `id` deduplicates it within the deduplication window.

        Raises WrongSequenceError, TransientError (it may still be stored), PermanentError.
        """
        sent = dict(headers or {})
        sent["Nats-Expected-Stream"] = stream
        if id is not None:
            sent["Nats-Msg-Id"] = id
        if "traceparent" not in sent and (parent := tracing.traceparent()) is not None:
            sent["traceparent"] = parent
        what = f"publish to {stream}"
        try:
            (message,) = await self._ask(subject, data, sent, what=what, batch=False)
        except TransientError:
            instruments.increment("messaging.client.sent.messages", 1, {STREAM: stream, ERROR: "no-answer"})
            raise
        answer = json.loads(message.data)
        if (error := answer.get("error")) is not None:
            instruments.increment("messaging.client.sent.messages", 1, {STREAM: stream, ERROR: str(error["err_code"])})
            if error["err_code"] == WRONG_LAST_SEQUENCE:
                raise WrongSequenceError
            raise sort_api_error(APIError(**error), what)
        instruments.increment("messaging.client.sent.messages", 1, {STREAM: stream})
        return Ack(answer["seq"], answer.get("duplicate", False))

    async def consumer_info(self, stream: str, consumer: str) -> dict[str, Any]:
        """Return the JSApiConsumerInfoResponse of a consumer. Raises TransientError, PermanentError."""
        subject, what = f"$JS.API.CONSUMER.INFO.{stream}.{consumer}", f"look at {consumer}"
        (message,) = await self._ask(subject, b"", None, what=what, batch=False)
        answer: dict[str, Any] = json.loads(message.data)
        if (error := answer.get("error")) is not None:
            raise sort_api_error(APIError(**error), what)
        return answer

    async def storage_usage(self) -> StorageUsage:
        """Return the storage of our account. Raises TransientError, PermanentError."""
        what = "look at the account"
        (message,) = await self._ask("$JS.API.INFO", b"", None, what=what, batch=False)
        answer: dict[str, Any] = json.loads(message.data)
        if (error := answer.get("error")) is not None:
            raise sort_api_error(APIError(**error), what)
        limit = answer["limits"]["max_storage"]
        return StorageUsage(answer["storage"], limit if limit > 0 else None)

    async def direct_get(self, stream: str, query: Mapping[str, Any]) -> list[Msg]:
        """Return stored messages by the direct-get API, in stream order, with one request.

        `query` is a JSApiMsgGetRequest of ADR-31 (batch, next_by_subj, last_by_subj, seq).
        """
        subject, body = f"$JS.API.DIRECT.GET.{stream}", json.dumps(query).encode()
        return await self._ask(subject, body, None, what=f"read of {stream}", batch="batch" in query)

    async def request(self, subject: str, data: bytes, *, timeout_s: float) -> bytes:
        """Send a request to a service; wait `timeout_s` seconds for the reply. Raises TransientError, PermanentError.

        Services reply on inboxes of their own: who may reply to requests cannot forge what JetStream answers.
        """
        below = request_inbox(self._user)
        (message,) = await self._ask(subject, data, None, what=subject, batch=False, timeout_s=timeout_s, below=below)
        return message.data

    async def _ask(
        self,
        subject: str,
        data: bytes,
        headers: dict[str, str] | None,
        *,
        what: str,
        batch: bool,
        timeout_s: float | None = None,
        below: str | None = None,
    ) -> list[Msg]:
        """Send a request and wait for its answer, on the inbox with the prefix `below`, else on the usual one."""
        replies = await self._replies_below(below or inbox(self._user))
        reply, answer = replies.expect(batch=batch)
        try:
            async with asyncio.timeout(timeout_s or REQUEST_TIMEOUT):
                await self.client.publish(subject, data, reply=reply, headers=headers)
                return await answer
        except errors.MaxPayloadError:  # another attempt would not make it smaller
            most = self.client.max_payload
            raise PermanentError(f"{what}: {len(data)} bytes, and the server takes {most} (max_payload)") from None
        except (errors.Error, OSError, TimeoutError) as error:
            raise TransientError(f"{what}: {type(error).__name__}") from None
        finally:
            replies.forget(reply)

    async def _replies_below(self, prefix: str) -> Replies:
        """Return the replies on our inbox below `prefix`; their last token tells them apart."""
        if (replies := self._replies.get(prefix)) is None:
            name = self.client.new_inbox().rpartition(".")[2]
            replies = self._replies[prefix] = Replies(f"{prefix}.{name}")
            await self.client.subscribe(f"{replies.inbox}.*", cb=replies.on_message)
        return replies

    async def close(self) -> None:
        """Close the connection, if it is open."""
        if not self.opened:
            return
        self.opened = False
        with suppress(TimeoutError):  # nats-py may also wait here for ever (see open_client)
            async with asyncio.timeout(REQUEST_TIMEOUT):
                await self.client.close()


def sort_refusal(error: Exception, *, plain: bool) -> TransientError | PermanentError:
    """Classify why connecting failed: TLS errors are permanent, the rest is transient."""
    if (words := describe_tls_error(error)) is not None:
        return PermanentError(words)
    if plain and (isinstance(error, TimeoutError) or "empty response" in str(error)):
        return TransientError("NATS does not answer: if it requires TLS, COUNTERSIGN_NATS_URL must start with tls://")
    return TransientError(f"NATS does not answer ({type(error).__name__})")


def sort_api_error(error: APIError, what: str) -> TransientError | PermanentError:
    """Classify a JetStream API error: 5xx, 408, 409, 429 and a full disk are transient, the rest is permanent.

    409 is the answer of a cluster to a message whose first copy it is still storing. A full disk is transient because
    somebody will free space, and decisions made until then must not be given up.
    """
    if (error.code or 500) >= 500 or error.code in (408, 409, 429) or error.err_code == ACCOUNT_RESOURCES_EXCEEDED:
        return TransientError(f"{what}: JetStream error {error.err_code}")
    return PermanentError(f"{what}: JetStream error {error.err_code}")
