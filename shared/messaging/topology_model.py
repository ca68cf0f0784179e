"""How a stream and a consumer are declared. Those that exist are in `topology.py`."""

from dataclasses import dataclass

from shared.contracts.events import StepName
from shared.contracts.retry import RetryPolicy
from shared.telemetry import metric_definitions

# Deliveries beyond the attempts of a retry policy: only a process that died during an attempt uses them up.
CRASH_ALLOWANCE = 20
MAX_PROCESSES = 8  # of a service that may share a consumer's work: deploy/k8s/components/keda grows none further


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream; `max_age` in seconds, None keeps for ever."""

    name: str
    subjects: tuple[str, ...]
    max_age: float | None
    append_only: bool = False  # deny delete and purge: the audit trail
    schedules: bool = False


@dataclass(frozen=True, slots=True)
class Consumer:
    """A durable pull consumer with the retry policy of its step."""

    name: str  # the service, a dash, the step
    stream: str
    subjects: tuple[str, ...]
    retry: RetryPolicy
    workers: int  # messages handled at a time; no more are requested, so that none expires in a prefetch queue
    # Messages that may wait for their next attempt besides. The server counts them as pending acknowledgements: if none
    # were allowed, as many failing messages as there are workers would block all others.
    retry_backlog: int = 0
    reserved_slots: int = 0  # besides the workers, for departments with little in progress (fair_share.py)
    alerts_together: bool = False  # one alert for the dead letters of ten minutes, as they tend to have one cause
    step: StepName | None = None  # the step of a case that it performs; None: a side effect that appends events itself

    @property
    def service(self) -> str:
        return self.name.partition("-")[0]

    @property
    def attributes(self) -> dict[str, str]:
        """Return the attributes of its metrics and spans."""
        return {metric_definitions.STREAM: self.stream, metric_definitions.CONSUMER: self.name}

    @property
    def ack_wait(self) -> float:
        """Return the seconds until the server redelivers an unacknowledged message; a running handler extends it."""
        return 12.0

    @property
    def max_ack_pending(self) -> int:
        """Messages of all processes together that are being handled or wait for their next attempt.

        A consumer with one worker has one in the whole hospital.
        """
        return self.retry_backlog + (self.workers if self.workers == 1 else self.workers * MAX_PROCESSES)

    @property
    def max_deliver(self) -> int:
        return -1 if self.retry.max_attempts is None else self.retry.max_attempts + CRASH_ALLOWANCE
