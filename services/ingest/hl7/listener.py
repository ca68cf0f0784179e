"""The MLLP listener: it stores, then answers. What is not stored is not answered, and its connection is closed."""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from services.ingest.hl7.intake import NotStoredError
from services.ingest.hl7.receive import FrameOutcome, outcomes
from services.ingest.hl7.sender import Sender, Senders
from services.ingest.hl7.silence import SenderSilence
from shared.hl7.mllp import Deframer, Received, frame
from shared.messaging.event_store import Clock
from shared.runtime.settings import Hl7Settings
from shared.telemetry import instruments
from shared.telemetry.metric_definitions import ACKNOWLEDGMENT, EVENT, SENDER

logger = logging.getLogger(__name__)

CHUNK_BYTES = 65_536
# Without a byte inside a frame, or until a sender takes an answer. Between frames a connection may idle for hours.
STALL_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 3.0
# A half-open connection is found after two minutes: https://github.com/nextgenhealthcare/connect/issues/1076
KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 6))
NOT_STORED, NONE = "not-stored", "none"


class Store(Protocol):
    """Where messages go before they are answered: `intake.Intake`, or a command that only shows them."""

    async def store(self, outcome: FrameOutcome) -> None:
        """Store the message. Raises NotStoredError: then it is not answered, and the connection is closed."""

    async def report_broken_frame(self, outcome: FrameOutcome) -> None:
        """Alert people to a frame that broke off. Raises NotStoredError."""


class MllpListener:
    """Receives HL7v2 from the `senders`. `new_id` gives the control ids of answers."""

    def __init__(
        self, settings: Hl7Settings, senders: Senders, intake: Store, clock: Clock, new_id: Callable[[], str]
    ) -> None:
        self._settings, self._senders, self._intake = settings, senders, intake
        self._clock, self._new_id = clock, new_id
        self.silence = SenderSilence(senders, clock)
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """Return the port that it listens on, which the system may have chosen."""
        assert self._server is not None  # noqa: S101
        return int(self._server.sockets[0].getsockname()[1])

    async def start(self) -> None:
        """Listen; does nothing where it does already. Raises OSError where the address cannot be bound."""
        if self._server is None:
            instruments.increment("countersign.hl7.refused", 0)
            for sender in self._senders.senders:
                instruments.increment("countersign.hl7.frames.broken", 0, {SENDER: sender.name})
            context = tls_context(self._settings)
            host, port = self._settings.host, self._settings.port
            self._server = await asyncio.start_server(self._connected, host, port, ssl=context, limit=CHUNK_BYTES)

    async def stop(self) -> None:
        """Take no more connections, and end those that there are: what was not answered is sent again."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for task in self._connections:
            task.cancel()
        if self._connections:
            await asyncio.wait(self._connections, timeout=STOP_TIMEOUT_S)

    async def update_gauges(self) -> None:
        """Set the gauges."""
        instruments.set_gauge("countersign.hl7.connections", len(self._connections))
        self.silence.update_gauges()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        peer = str((writer.get_extra_info("peername") or ("0.0.0.0",))[0])  # noqa: S104 - an unknown peer
        senders = self._senders.from_peer(peer)
        if not senders or len(self._connections) >= self._settings.connections or task is None:
            instruments.increment("countersign.hl7.refused")
            logger.warning(
                "mllp: a connection was refused: %s", "connection limit reached" if senders else "unknown peer"
            )
            writer.close()
            return
        self._connections.add(task)
        try:
            _keep_alive(writer)
            await _Connection(self._intake, self._clock, self._new_id, self.silence, senders, reader, writer).serve()
        except (OSError, ssl.SSLError, TimeoutError) as error:
            logger.debug("mllp: connection ended: %s", type(error).__name__)
        except Exception as error:  # noqa: BLE001 - a bug must not end the listener; its text may quote a message
            logger.error("mllp: connection closed: %s", type(error).__name__)
        finally:
            self._connections.discard(task)
            writer.close()


class _Connection:
    """One connection: its messages are handled one at a time, and answered in order."""

    def __init__(
        self,
        intake: Store,
        clock: Clock,
        new_id: Callable[[], str],
        silence: SenderSilence,
        senders: tuple[Sender, ...],
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self._intake, self._clock, self._new_id, self._silence = intake, clock, new_id, silence
        self._senders, self._reader, self._writer = senders, reader, writer
        self._deframer = Deframer()

    async def serve(self) -> None:
        """Handle messages until the sender closes, stalls inside a frame, or something is not stored."""
        try:
            while data := await self._read():
                for received in self._deframer.feed(data):
                    await self._handle(received)
        except NotStoredError:
            logger.warning("mllp: a message was not stored; the connection is closed without an answer")
            return
        with suppress(NotStoredError):
            for received in self._deframer.close():
                await self._handle(received)

    async def _read(self) -> bytes:
        """Return the next bytes; none at the end, after a stall inside a frame, and where the connection is lost."""
        try:
            async with asyncio.timeout(STALL_TIMEOUT_S if self._deframer.in_frame else None):
                return await self._reader.read(CHUNK_BYTES)
        except (OSError, TimeoutError):
            return b""

    async def _handle(self, received: Received) -> None:
        for outcome in outcomes(received, self._senders, self._clock()):
            if outcome.is_broken:
                instruments.increment("countersign.hl7.frames.broken", 1, {SENDER: outcome.sender.name})
                with suppress(NotStoredError):  # it is counted, and nobody waits for an answer
                    await self._intake.report_broken_frame(outcome)
                continue
            await self._store(outcome)
            self._measure(outcome)
            if (answer := outcome.answer(self._new_id, self._clock())) is not None:
                self._writer.write(frame(answer))
                async with asyncio.timeout(STALL_TIMEOUT_S):
                    await self._writer.drain()

    async def _store(self, outcome: FrameOutcome) -> None:
        try:
            await self._intake.store(outcome)
        except NotStoredError:
            _count(outcome, NOT_STORED)
            raise

    def _measure(self, outcome: FrameOutcome) -> None:
        _count(outcome, outcome.code or NONE)
        self._silence.message_received(outcome.sender)
        if (fact := outcome.assessment.fact) is not None:
            lag = (self._clock() - fact.recorded_at).total_seconds()
            instruments.observe("countersign.hl7.lag", max(lag, 0.0), {SENDER: outcome.sender.name})


def _count(outcome: FrameOutcome, answer: str) -> None:
    attributes = {SENDER: outcome.sender.name, EVENT: outcome.assessment.event, ACKNOWLEDGMENT: answer}
    instruments.increment("countersign.hl7.messages", 1, attributes)


def _keep_alive(writer: asyncio.StreamWriter) -> None:
    found = writer.get_extra_info("socket")
    found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE:
        found.setsockopt(socket.IPPROTO_TCP, option, value)


def tls_context(settings: Hl7Settings) -> ssl.SSLContext | None:
    """Return the TLS context of the listener; None without a certificate. Raises OSError, ssl.SSLError."""
    if settings.certificate_file is None:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(settings.certificate_file, settings.key_file)
    if settings.client_ca_file is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(settings.client_ca_file)
    return context
