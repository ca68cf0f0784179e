"""How a step of a case runs: decode → handler → append what it returns, every effect once.

Handlers stay sentences because what is the same for all of them is here and in `delivery.py`: redeliveries, conflicts,
retries, heartbeats for long work, dead letters.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Generic, TypeVar

from nats.aio.msg import Msg

from shared.contracts.case import causing_event, fold
from shared.contracts.envelope import RecordedEvent, decode
from shared.contracts.errors import PermanentError
from shared.contracts.events import CaseEvent
from shared.contracts.steps import StepDefinition
from shared.contracts.subjects import derived_id
from shared.messaging.ack_extender import consumer_span
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import Clock as Clock
from shared.messaging.event_store import EventStore, StepNoLongerAwaitedError
from shared.messaging.fair_share import FairShareScheduler
from shared.messaging.topology import consumer

QUEUE_THRESHOLD_S = 1.0  # seconds after which an event has stood in a queue

Consumed = TypeVar("Consumed", bound=CaseEvent, covariant=True)
Appended = TypeVar("Appended", bound=CaseEvent)


@dataclass(frozen=True, slots=True)
class StepContext(Generic[Consumed]):
    """What a step is asked to do: `event` is the body of `cause`, of one of the types that the step consumes."""

    cause: RecordedEvent
    event: Consumed
    attempt: int  # 1 for the first
    last: bool  # no further attempt follows: a step that can do without its dependency does so now


# Raises StepNoLongerAwaitedError if the case does not await the step any more.
Handler = Callable[[StepContext[Consumed]], Awaitable[Appended]]
Compensation = Callable[[StepContext[Consumed]], Awaitable[None]]


class StepRunner(Generic[Consumed, Appended]):
    """Runs `handle` for the events that `step` consumes, and appends what it returns.

    `compensate` takes back the effect when the case has moved on in the meantime (withdrawn while we worked).
    """

    def __init__(
        self,
        step: StepDefinition[Consumed, Appended],
        handle: Handler[Consumed, Appended],
        compensate: Compensation[Consumed] | None,
        bus: NatsConnection,
        clock: Clock,
    ) -> None:
        self._step = step
        self._handle = handle
        self._compensate = compensate
        self._event_store = EventStore(bus, step.service)
        self._clock = clock
        self._target = consumer(step.consumer)
        fair = self._target.reserved_slots > 0
        self.fair_share = FairShareScheduler(bus, step.service, self._target, self._before_its_turn) if fair else None

    async def receive(self, message: Msg) -> None:
        """Process one delivered message."""
        metadata = message.metadata
        received = decode(message.subject, message.headers or {}, message.data, metadata.sequence.stream)
        with self._in_line(received, metadata.num_pending):
            await self._run(received, metadata.num_delivered, early=False)

    def _in_line(self, received: RecordedEvent, pending: int) -> AbstractContextManager[None]:
        """Count work in progress by department, if the step has fair queueing."""
        if self.fair_share is None:
            return nullcontext()
        self.fair_share.on_delivery(pending)
        return self.fair_share.queue.working(received.case.department)

    async def _before_its_turn(self, received: RecordedEvent) -> None:
        parent = {"traceparent": received.traceparent} if received.traceparent else {}
        with consumer_span(self._target, received.case.subject(received.name), parent, 1):
            await self._run(received, 1, early=True)

    async def _run(self, received: RecordedEvent, attempt: int, *, early: bool) -> None:
        name, cause, history = self._step.name, received, None
        if attempt > 1 or received.name == "retried" or early or self._waited(received):
            history = await self._event_store.history_with(received)
            wanted = causing_event(name, history) if fold(history).awaits == name else None
            if wanted is None or (received.name != "retried" and wanted.id != received.id):
                return  # done before, or the case has moved on
            cause = wanted
        if not isinstance(cause.body, self._step.consumes):
            raise PermanentError(f"{cause.name} is no event that the step {name} consumes")
        work = StepContext(cause, cause.body, attempt, self._target.retry.is_last(attempt))
        try:
            event = await self._handle(work)
            id = derived_id(cause.id, event.event)
            await self._event_store.append_awaited(name, cause, event, history, id=id, clock=self._clock)
        except StepNoLongerAwaitedError:
            if self._compensate is not None:
                await self._compensate(work)

    def _waited(self, received: RecordedEvent) -> bool:
        """Return whether the event has waited in a queue, and may have been processed ahead of its turn."""
        return self.fair_share is not None and (self._clock() - received.time).total_seconds() > QUEUE_THRESHOLD_S
