"""A recurring job, started by a timer of NATS: one process runs it at a time."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Protocol

from nats.aio.msg import Msg

from shared.contracts.errors import TransientError
from shared.contracts.subjects import reconcile_subjects
from shared.messaging.connection import NatsConnection
from shared.messaging.dead_letter_queue import Severity, publish_alert
from shared.messaging.event_store import Clock
from shared.messaging.timers import REVIEWS, Timers

FAILED_RUNS = 3  # in a row, after which an alert is raised
INTERVAL_HEADER = "countersign-every"  # header: the interval that the timer was set for


class RecurringJob(Protocol):
    """What a recurring timer runs."""

    @property
    def timer(self) -> "RecurringTimer": ...

    async def on_timer(self, message: Msg) -> None: ...


class RecurringTimer:
    """The timer of one job, named as in its subject: tasks, checkpoint or retention. Whoever handles it sets the next.

    All jobs share a consumer that serves one message at a time: see `by_timer`. A timer of another service has
    `subjects` (set and fired) in a `stream` of its own.
    """

    def __init__(
        self,
        bus: NatsConnection,
        job: str,
        every: timedelta,
        clock: Clock,
        *,
        subjects: tuple[str, str] | None = None,
        stream: str = REVIEWS,
    ) -> None:
        self._subject, self.due = subjects or reconcile_subjects(job)
        self._stream = stream
        self._bus = bus
        self._every = every
        self._clock = clock
        self._timers = Timers(bus, stream)

    async def start(self) -> None:
        """Ensure that there is one timer for this interval. An overdue one has fired, or will."""
        for subject in (self._subject, self.due):
            pending = await self._bus.direct_get(self._stream, {"last_by_subj": subject})
            if pending and dict(pending[0].headers or {}).get(INTERVAL_HEADER) == str(self._every):
                return
        await self._set(self._every)

    async def run(self, job: Callable[[], Awaitable[timedelta | None]], *, handled: int | None = None) -> None:
        """Run `job` for a timer that has fired. It returns how soon it is due again; None: after the interval.

        The next timer is set first, so that a run that fails or dies does not end the chain. It is set again
        afterwards, as it may have fired meanwhile and is then purged together with the one that is handled. With
        `handled`, the sequence of that one, a timer that fired or was set meanwhile stays: somebody asked for another
        run.
        """
        own = await self._set(self._every)
        wait = await job() or self._every
        if handled is None or not await self._was_replaced(own):
            await self._set(wait)
        await self._timers.purge(self.due, up_to=handled)

    async def _was_replaced(self, own: int) -> bool:
        """Return whether a timer is set that is not the one at sequence `own`."""
        pending = await self._bus.direct_get(self._stream, {"last_by_subj": self._subject})
        return any(int((item.headers or {})["Nats-Sequence"]) != own for item in pending)

    async def purge(self) -> None:
        """Remove the timers that have fired."""
        await self._timers.purge(self.due)

    async def run_at(self, time: datetime) -> int:
        """Let the timer fire at `time` instead; the run that follows sets the next one. Return its sequence."""
        return await self._timers.set(self._subject, self.due, time, {INTERVAL_HEADER: str(self._every)})

    async def _set(self, wait: timedelta) -> int:
        return await self.run_at(self._clock() + wait)


class FailureAlert:
    """Alert that a job keeps failing: once, after three failed runs in a row."""

    def __init__(self, bus: NatsConnection, severity: Severity, kind: str, clock: Clock) -> None:
        self._bus = bus
        self._severity: Severity = severity
        self._kind = kind
        self._clock = clock
        self._failed = 0

    async def failed(self, reason: str) -> None:
        self._failed += 1
        if self._failed == FAILED_RUNS:
            id = self._clock().isoformat()
            await publish_alert(self._bus, self._severity, self._kind, id=id, reason=reason)

    def succeeded(self) -> None:
        self._failed = 0


def by_timer(*jobs: RecurringJob) -> Callable[[Msg], Awaitable[None]]:
    """Return the handler of the consumer that all `jobs` share."""
    handlers = {job.timer.due: job.on_timer for job in jobs}

    async def receive(message: Msg) -> None:
        handle = handlers.get(message.subject)
        if handle is None:
            raise TransientError("the timer is of a job that only a newer version knows")
        await handle(message)

    return receive
