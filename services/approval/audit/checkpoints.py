"""Sign the position of every case's event stream, every few minutes, by a chained timer: one process at a time."""

import logging
from datetime import timedelta
from pathlib import Path

from nats.aio.msg import Msg

from shared.contracts.errors import CountersignError
from shared.contracts.subjects import reconcile_subjects
from shared.messaging.broker import Receiver
from shared.messaging.checkpoints import Checkpoints, Folder, signing_key
from shared.messaging.connection import NatsConnection
from shared.messaging.dead_letter_queue import publish_alert
from shared.messaging.steps import Clock
from shared.messaging.timers import Timers

logger = logging.getLogger(__name__)

TIMER, DUE = reconcile_subjects("checkpoint")
INTERVAL_HEADER = "countersign-every"
MAX_CHECKPOINTS_PER_RUN = 5  # more would delay the search for ended Tasks, which uses the same timer
ALERT_AFTER_FAILURES = 3  # consecutive runs


class CheckpointPublisher:
    """Publishes signed checkpoints; does nothing where no folder and no key are set."""

    def __init__(
        self,
        bus: NatsConnection,
        folder: Path | None,
        key_file: Path | None,
        every: timedelta,
        clock: Clock,
        reconcile: Receiver,
    ) -> None:
        """Shares the consumer of `reconcile`, which serves one timer at a time. Raises PermanentError where the file
        holds no such key.
        """
        self._reconcile = reconcile
        self._folder = Folder(folder) if folder is not None else None
        self._key = signing_key(key_file) if key_file is not None else None
        self._every = every
        self._clock = clock
        self._failed = 0
        self._bus = bus
        self._timers = Timers(bus)

    async def start(self) -> None:
        if self._folder is None or self._key is None:
            return
        self._checkpoints = Checkpoints(self._bus, self._folder, self._key, self._clock)
        for subject in (TIMER, DUE):
            pending = await self._bus.direct_get("TIMERS", {"last_by_subj": subject})
            if pending and dict(pending[0].headers or {}).get(INTERVAL_HEADER) == str(self._every):
                return
        await self._set_timer()

    async def _set_timer(self) -> None:
        await self._timers.set(TIMER, DUE, self._clock() + self._every, {INTERVAL_HEADER: str(self._every)})

    async def on_timer(self, message: Msg) -> None:
        """Handle the timer. A failed run does not hold up the consumer: the next run is due soon."""
        if message.subject != DUE:
            await self._reconcile(message)
            return
        if self._folder is not None and self._key is not None:
            await self._set_timer()
            await self._run()
            await self._set_timer()  # the first may have fired meanwhile, and is purged with this one
        await self._timers.purge(message.subject)

    async def _run(self) -> None:
        try:
            for _ in range(MAX_CHECKPOINTS_PER_RUN):
                if await self._checkpoints.make() is None:
                    break
        except CountersignError as failure:
            self._failed += 1
            logger.warning("no checkpoint of the event stream could be made: %s", failure.reason)
            if self._failed == ALERT_AFTER_FAILURES:
                await publish_alert(
                    self._bus, "critical", "checkpoints-failing", id=self._clock().isoformat(), reason=failure.reason
                )
        else:
            self._failed = 0
