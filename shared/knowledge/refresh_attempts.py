"""Retry a refresh when the retries of one of its steps are exhausted; after the last attempt, raise an alert."""

from collections.abc import Callable
from datetime import datetime, timedelta

from shared.contracts.refresh import AttemptFailed, RefreshRef, RefreshStep, parse_refresh_subject
from shared.contracts.refresh_state import fold_refresh
from shared.contracts.subjects import retry_timer_subjects
from shared.messaging.connection import NatsConnection
from shared.messaging.dead_letter_queue import FailedMessage, publish_alert
from shared.messaging.refreshes import RefreshLog
from shared.messaging.timers import REFRESHES, Timers

MAX_ATTEMPTS = 2


class RefreshAttempts:
    """End and repeat attempts of a refresh. `delay` returns the delay before the next attempt."""

    def __init__(
        self, bus: NatsConnection, log: RefreshLog, clock: Callable[[], datetime], delay: Callable[[], timedelta]
    ) -> None:
        self._bus = bus
        self._log = log
        self._clock = clock
        self._delay = delay
        self._timers = Timers(bus, REFRESHES)

    async def on_retries_exhausted(self, original: FailedMessage, reason: str, step: RefreshStep) -> None:
        """End the attempt that `original` belongs to and schedule the next one, if any. Idempotent."""
        ref, _, _ = parse_refresh_subject(original.subject)
        history = await self._log.history(ref.id)
        refresh = fold_refresh(history)
        if refresh.outcome is not None:
            return
        if refresh.failure is not None and refresh.failure.attempt == refresh.attempt:
            return  # another batch of the same attempt was first
        again_at = self._clock() + self._delay() if refresh.attempt < MAX_ATTEMPTS else None
        if again_at is not None:
            await self._timers.set(
                *retry_timer_subjects(ref.id),
                again_at,
                {"countersign-refresh": ref.id, "countersign-source": ref.source},
            )
        failed = AttemptFailed(step=step, reason=reason, attempt=refresh.attempt, again_at=again_at)
        last = max((item.sequence for item in history if item.body.event == "failed"), default=0)
        await self._log.append(ref, failed, after=last)
        await self._publish_alert(ref, failed)

    async def _publish_alert(self, ref: RefreshRef, failed: AttemptFailed) -> None:
        await publish_alert(
            self._bus,
            "warning" if failed.again_at else "critical",
            "refresh-failed",
            id=f"{ref.id}-{failed.attempt}",
            refresh=ref.id,
            step=failed.step,
            attempt=failed.attempt,
            reason=failed.reason,
        )
