"""Retry rows: one per step, never one global policy."""

from dataclasses import dataclass

from shared.contracts.errors import PermanentError, RateLimitedError, TransientError

LONGEST = 3600.0  # seconds that a server may ask us to stay away at once


@dataclass(frozen=True, slots=True)
class RetryRow:
    """How one step is retried. Times in seconds."""

    attempt: float  # what one attempt may take
    attempts: int | None  # None: until done
    first_wait: float
    factor: float = 2.0
    cap: float = 600.0
    alert_after: int | None = None  # attempts after which a person is told, for steps that go on trying for long

    def wait(self, attempt: int) -> float:
        """Seconds to wait after failed attempt number `attempt` (1 for the first)."""
        power = min(attempt - 1, 64)  # a power of thousands is no float any more
        return float(min(self.cap, self.first_wait * self.factor**power))

    def is_last(self, attempt: int) -> bool:
        return self.attempts is not None and attempt >= self.attempts


def delay_after(row: RetryRow, attempt: int, failure: Exception) -> float | None:
    """Seconds until the next attempt, or None when the step must give up."""
    if isinstance(failure, PermanentError) or not isinstance(failure, TransientError) or row.is_last(attempt):
        return None
    if isinstance(failure, RateLimitedError):
        return min(max(failure.retry_after, row.first_wait), LONGEST)
    return row.wait(attempt)


# What nobody has decided yet waits for the EHR for a day: longer than any maintenance window, and not for ever, so that
# a record that kills its process at each attempt comes before a person. Somebody is told after some four minutes.
EHR_FOR_A_DAY = RetryRow(attempt=180, attempts=300, first_wait=2, cap=300, alert_after=8)
BUS_ONLY = RetryRow(attempt=30, attempts=None, first_wait=1, cap=60, alert_after=5)
EHR_UNTIL_DONE = RetryRow(attempt=120, attempts=None, first_wait=5, cap=600, alert_after=5)
