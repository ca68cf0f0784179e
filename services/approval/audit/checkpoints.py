"""Sign the position of every case's event stream, every few minutes: one process at a time."""

import logging
from datetime import timedelta
from pathlib import Path

from nats.aio.msg import Msg

from shared.contracts.errors import CountersignError
from shared.messaging.checkpoints import Checkpoints, Folder, signing_key
from shared.messaging.connection import NatsConnection
from shared.messaging.recurring_timer import FailureAlert, RecurringTimer
from shared.messaging.steps import Clock

logger = logging.getLogger(__name__)

JOB = "checkpoint"
MAX_CHECKPOINTS_PER_RUN = 5  # a long event stream is covered in several runs, so that Tasks are searched in between


class CheckpointPublisher:
    """Publishes signed checkpoints; does nothing where no folder and no key are set."""

    def __init__(
        self, bus: NatsConnection, folder: Path | None, key_file: Path | None, every: timedelta, clock: Clock
    ) -> None:
        """Read the signing key. Raises PermanentError where the file holds no such key."""
        self._folder = Folder(folder) if folder is not None else None
        self._key = signing_key(key_file) if key_file is not None else None
        self._clock = clock
        self._alert = FailureAlert(bus, "critical", "checkpoints-failing", clock)
        self._bus = bus
        self.timer = RecurringTimer(bus, JOB, every, clock)

    async def start(self) -> None:
        if self._folder is None or self._key is None:
            return
        self._checkpoints = Checkpoints(self._bus, self._folder, self._key, self._clock)
        await self.timer.start()

    async def on_timer(self, _: Msg) -> None:
        """Handle the timer. A failed run does not hold up the consumer: the next run is due soon."""
        if self._folder is None or self._key is None:
            await self.timer.purge()
        else:
            await self.timer.run(self._run)

    async def _run(self) -> None:
        try:
            for _ in range(MAX_CHECKPOINTS_PER_RUN):
                if await self._checkpoints.make() is None:
                    break
        except CountersignError as failure:
            logger.warning("no checkpoint of the trail could be made: %s", failure.reason)
            await self._alert.failed(failure.reason)
        else:
            self._alert.succeeded()
