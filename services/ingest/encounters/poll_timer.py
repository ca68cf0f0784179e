"""The one timer of the poll: it fires every few minutes, and sooner where a notification asks for it."""

from datetime import UTC, datetime, timedelta

from shared.contracts.subjects import poll_timer_subjects
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import Clock
from shared.messaging.recurring_timer import RecurringTimer
from shared.messaging.timers import REFRESHES

JOB = "encounters"
# Requests of one such span share a run, which starts at its end: a hundred notifications are one poll.
SPAN = timedelta(seconds=2)


class PollTimer(RecurringTimer):
    """The timer of all processes of ingest."""

    def __init__(self, bus: NatsConnection, every: timedelta, clock: Clock) -> None:
        super().__init__(bus, JOB, every, clock, subjects=poll_timer_subjects(JOB), stream=REFRESHES)
        self._now = clock

    async def request(self) -> None:
        """Set the timer so that the EHR is polled within two seconds. Raises TransientError, PermanentError."""
        await self.run_at(_end_of_span(self._now()))


def _end_of_span(now: datetime) -> datetime:
    spans = (now - datetime.fromtimestamp(0, UTC)) // SPAN
    return datetime.fromtimestamp(0, UTC) + (spans + 1) * SPAN
