"""Set timers again that the server has lost.

A timer that is due while the account has no storage left is dropped silently until the server restarts (nats-server
2.15). Its message stays in the stream with a time that has passed: it is published again unchanged, and fires at once.
No NATS timer can detect that, so a process does.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from nats.aio.msg import Msg

from shared.contracts.errors import CountersignError
from shared.messaging.connection import NatsConnection
from shared.messaging.stream_pages import read_stream_pages
from shared.messaging.timers import DUE_AT

logger = logging.getLogger(__name__)

CHECK_INTERVAL = 120.0  # seconds; a check reads all timers, in some milliseconds for a thousand
GRACE_PERIOD = timedelta(seconds=30)  # after its time, in which a timer may still fire
KEPT_HEADERS = ("Nats-Schedule", "Nats-Schedule-Target")  # of the server's headers


class LostTimers:
    """Watches the timers of `stream` whose subjects match one of `subjects`.

    Two processes may set the same timer again: the second message replaces the first.
    """

    def __init__(
        self, bus: NatsConnection, stream: str, subjects: tuple[str, ...], clock: Callable[[], datetime]
    ) -> None:
        self._bus = bus
        self._stream, self._subjects, self._clock = stream, subjects, clock
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Check in the background until `close`."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(CHECK_INTERVAL)
            try:
                await self.restore()
            except CountersignError as failure:
                logger.warning("lost timers could not be checked: %s", failure.reason)

    async def restore(self) -> int:
        """Set lost timers again; return how many. Raises TransientError, PermanentError."""
        until = self._clock() - GRACE_PERIOD
        lost = [
            message
            for subject in self._subjects
            async for page in read_stream_pages(self._bus, self._stream, subject)
            for message in page
            if _is_lost(dict(message.headers or {}), until)
        ]
        for message in lost:
            await self._publish_again(message)
        if lost:
            logger.warning("%d timers of %s were lost by the server, and are set again", len(lost), self._stream)
        return len(lost)

    async def _publish_again(self, message: Msg) -> None:
        found = dict(message.headers or {})
        headers = {name: value for name, value in found.items() if name in KEPT_HEADERS or not name.startswith("Nats-")}
        await self._bus.publish(found["Nats-Subject"], message.data, stream=self._stream, headers=headers)


def _is_lost(headers: Mapping[str, str], until: datetime) -> bool:
    """Return whether the timer was due before `until`. A message without a time is not a timer."""
    try:
        return datetime.fromisoformat(headers[DUE_AT]) < until
    except (KeyError, ValueError):
        return False
