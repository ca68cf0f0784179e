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
from shared.messaging.connection import Bus
from shared.messaging.pages import pages
from shared.messaging.timers import DUE_AT

logger = logging.getLogger(__name__)

EVERY = 120.0  # seconds between two looks; each reads the timers that are set, some milliseconds for a thousand
LATE = timedelta(seconds=30)  # after its time: what fires has fired long before
KEPT = ("Nats-Schedule", "Nats-Schedule-Target")  # of the headers that are the server's


class LostTimers:
    """Those of `stream` whose subjects match one of `subjects`. Two processes that set the same one again set it once:
    it replaces itself.
    """

    def __init__(self, bus: Bus, stream: str, subjects: tuple[str, ...], clock: Callable[[], datetime]) -> None:
        self._bus = bus
        self._stream, self._subjects, self._clock = stream, subjects, clock
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Look from now on, until `close`."""
        if self._task is None:
            self._task = asyncio.create_task(self._watch())

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self.look()
            except CountersignError as failure:
                logger.warning("whether a timer was lost could not be looked at: %s", failure.reason)

    async def look(self) -> int:
        """How many were set again. Raises TransientError, PermanentError."""
        until = self._clock() - LATE
        lost = [
            message
            for subject in self._subjects
            async for page in pages(self._bus, self._stream, subject)
            for message in page
            if _is_lost(dict(message.headers or {}), until)
        ]
        for message in lost:
            await self._set_again(message)
        if lost:
            logger.warning("%d timers of %s were lost by the server, and are set again", len(lost), self._stream)
        return len(lost)

    async def _set_again(self, message: Msg) -> None:
        found = dict(message.headers or {})
        headers = {name: value for name, value in found.items() if name in KEPT or not name.startswith("Nats-")}
        await self._bus.publish(found["Nats-Subject"], message.data, stream=self._stream, headers=headers)


def _is_lost(headers: Mapping[str, str], until: datetime) -> bool:
    """Whether it was due before `until` and stands there still; what says no time is none of ours."""
    try:
        return datetime.fromisoformat(headers[DUE_AT]) < until
    except (KeyError, ValueError):
        return False
