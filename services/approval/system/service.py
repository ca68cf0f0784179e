"""Read the state of the installation: by approval's present rights, and NATS's monitoring endpoint."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from nats import errors
from nats.js.errors import APIError

from services.approval.system.schedules import OF_APPROVAL, OF_OTHERS, Schedule, filters, read_timer, schedules
from shared.contracts.errors import CountersignError, TransientError
from shared.messaging.broker_status import MARKER, BrokerStatus, addresses, read_broker_status
from shared.messaging.checkpoints import Folder
from shared.messaging.connection import NatsConnection, sort_api_error
from shared.messaging.timers import REFRESHES, REVIEWS

MAX_TIMERS = 1000  # of each stream: as many as the server returns at once


@dataclass(frozen=True, slots=True)
class LastCheckpoint:
    """The newest checkpoint. `problem`: why it cannot be read; then the others are None."""

    number: int | None = None
    time: datetime | None = None
    problem: str | None = None


class SystemService:
    """`monitor`: base URL of NATS's monitoring endpoint, empty where none is set. `folder`: that of checkpoints.

    `servers` returns the base URLs of all servers behind `monitor`.
    """

    def __init__(
        self,
        bus: NatsConnection,
        monitor: str,
        folder: Path | None,
        servers: Callable[[str], Awaitable[list[str]]] = addresses,
    ) -> None:
        self._servers = servers
        self._bus = bus
        self._monitor = monitor
        self._folder = folder

    async def broker(self) -> BrokerStatus:
        """Return the streams and consumers of this installation. Raises TransientError, PermanentError."""
        if not self._monitor:
            raise TransientError("COUNTERSIGN_NATS_MONITOR_URL is not set")
        try:
            info = await self._bus.jetstream.stream_info(MARKER)
        except APIError as error:
            raise sort_api_error(error, "reading the stream of cases") from None
        except errors.Error as error:
            raise TransientError(f"reading the stream of cases: {type(error).__name__}") from None
        urls = await self._servers(self._monitor)
        return await read_broker_status(urls, info.created or datetime.min.replace(tzinfo=UTC))

    async def schedules(self) -> list[Schedule]:
        """Return the recurring jobs. Raises TransientError, PermanentError."""
        found = []
        for stream, kinds in ((REVIEWS, OF_APPROVAL), (REFRESHES, OF_OTHERS)):
            query = {"multi_last": filters(kinds), "batch": MAX_TIMERS}
            for message in await self._bus.direct_get(stream, query):
                timer = read_timer(dict(message.headers or {}))
                found += [timer] if timer is not None else []
        return schedules(found)

    def checkpoint(self) -> LastCheckpoint | None:
        """Return the newest checkpoint; None where no folder is set, or it is empty. Blocks: run it in a thread."""
        if self._folder is None:
            return None
        try:
            signed = Folder(self._folder).last()
        except CountersignError as failure:
            return LastCheckpoint(problem=failure.reason)
        return LastCheckpoint(signed.checkpoint.number, signed.checkpoint.time) if signed is not None else None
