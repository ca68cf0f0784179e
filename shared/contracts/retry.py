"""Retry policies: each step has its own."""

from dataclasses import dataclass

from shared.contracts.errors import PermanentError, RateLimitedError, TransientError

MAX_SERVER_DELAY_S = 3600.0  # seconds that a server may ask us to stay away at once


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How one step is retried. Times in seconds."""

    timeout: float  # what one attempt may take
    max_attempts: int | None  # None: until done
    initial_interval: float
    backoff_coefficient: float = 2.0
    max_interval: float = 600.0
    alert_after: int | None = None  # attempts after which a person is alerted, for steps that are retried for long

    def wait(self, attempt: int) -> float:
        """Return the seconds to wait after failed attempt number `attempt` (1 for the first)."""
        power = min(attempt - 1, 64)  # a power of thousands is no float any more
        return float(min(self.max_interval, self.initial_interval * self.backoff_coefficient**power))

    def is_last(self, attempt: int) -> bool:
        return self.max_attempts is not None and attempt >= self.max_attempts


def next_delay(policy: RetryPolicy, attempt: int, failure: Exception) -> float | None:
    """Return the seconds until the next attempt, or None when the step must give up."""
    if isinstance(failure, PermanentError) or not isinstance(failure, TransientError) or policy.is_last(attempt):
        return None
    if isinstance(failure, RateLimitedError):
        return min(max(failure.retry_after, policy.initial_interval), MAX_SERVER_DELAY_S)
    return policy.wait(attempt)


# A case that is not decided yet waits for the EHR for a day: longer than any maintenance window, and not for ever, so
# that a record that kills its process at each attempt becomes a dead letter. An alert is sent after some four minutes.
EHR_FOR_A_DAY = RetryPolicy(timeout=180, max_attempts=300, initial_interval=2, max_interval=300, alert_after=8)
BUS_ONLY = RetryPolicy(timeout=30, max_attempts=None, initial_interval=1, max_interval=60, alert_after=5)
EHR_UNTIL_DONE = RetryPolicy(timeout=120, max_attempts=None, initial_interval=5, max_interval=600, alert_after=5)
# What ADT tells first and FHIR later: 15 s, 45 s, 2 min, 7 min, 20 min, then each hour for a day.
FHIR_LAG = RetryPolicy(
    timeout=60, max_attempts=30, initial_interval=15, backoff_coefficient=3, max_interval=3600, alert_after=7
)
# Of a refresh. What gives up here ends the attempt; the whole refresh has another one, five minutes later.
PREPARE = RetryPolicy(timeout=1800, max_attempts=5, initial_interval=1)
SETTLE = RetryPolicy(timeout=600, max_attempts=3, initial_interval=5)
# An EHR that is down is asked again until the morning.
CENSUS = RetryPolicy(timeout=300, max_attempts=20, initial_interval=30, max_interval=900, alert_after=5)
# Given up by age, not by attempts (services/approval/webhooks): attempts are put off while an endpoint is down.
WEBHOOK = RetryPolicy(timeout=30, max_attempts=None, initial_interval=5, max_interval=900)
