"""How a step of a case runs: decode → handler → append what it returns → acknowledge, every effect once.

Handlers stay sentences because everything that is the same for all of them is here: redelivery, conflicts, retry rows,
heartbeats for long work, and what happens when a step gives up.
"""

import asyncio
import json
import logging
import traceback
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from types import TracebackType

from nats.aio.msg import Msg

from shared.contracts.case import causing_event, fold
from shared.contracts.envelope import RecordedEvent, decode
from shared.contracts.errors import CountersignError, PermanentError, TransientError
from shared.contracts.events import CaseEvent, Failed, StepName
from shared.contracts.subjects import derived_id
from shared.messaging.ahead import Ahead, Run
from shared.messaging.attempt import Heartbeat, handling
from shared.messaging.connection import Bus
from shared.messaging.deadletter import Original, alert, bury
from shared.messaging.journal import Journal, MovedOn
from shared.messaging.pull import GRACE, Puller, Receiver
from shared.messaging.retry import delay_after
from shared.messaging.topology import Consumer, advisory_consumer, all_consumers, consumer
from shared.telemetry import instruments

logger = logging.getLogger(__name__)

QUEUED = 1.0  # seconds after which an event has stood in a queue

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Work:
    """What a step is asked to do."""

    cause: RecordedEvent
    attempt: int  # 1 for the first
    last: bool  # no further attempt follows: a step that can do without its dependency does so now


Handler = Callable[[Work], Awaitable[CaseEvent]]  # raises MovedOn where it finds that the case does not await it
GivenUp = Callable[[Original, str], Awaitable[None]]  # what else a step does when it gives up, and why it did
Undo = Callable[[RecordedEvent], Awaitable[None]]


class Steps:
    """A service's consumers and what it does with their messages. `receivers` are by the consumer's name."""

    def __init__(self, service: str, clock: Clock) -> None:
        self._service = service
        self._clock = clock
        self._bus: Bus | None = None
        self._pullers: list[Puller] = []
        self._given_up: dict[str, GivenUp] = {}
        self._early: dict[str, Run] = {}
        self._aheads: dict[str, Ahead] = {}
        self.receivers: dict[str, Receiver] = {}
        self._consume(advisory_consumer(service), self._on_advisory)

    def attach(self, bus: Bus) -> None:
        """Hand over the connection, once it is made."""
        self._bus = bus

    async def start(self) -> None:
        """Begin to take messages."""
        self._begin_counting()
        targets = {item.name: item for item in all_consumers()}
        self._aheads = {name: Ahead(self.bus, self._service, targets[name], run) for name, run in self._early.items()}
        self._pullers = [Puller(self.bus, targets[name], receive) for name, receive in self.receivers.items()]
        for puller in self._pullers:
            await puller.start()

    async def look(self) -> None:
        """How much waits for this service, by consumer. Every one of its processes says the same."""
        for target in all_consumers():
            if target.name in self.receivers:
                info = await self.bus.consumer_info(target.stream, target.name)
                instruments.set_gauge("countersign.consumer.lag", info["num_pending"], target.attributes)
                instruments.set_gauge("countersign.consumer.unacknowledged", info["num_ack_pending"], target.attributes)

    def _begin_counting(self) -> None:
        for target in all_consumers():
            if target.name in self.receivers:
                instruments.increment("countersign.dead_letters", 0, target.attributes)
                instruments.increment("countersign.redeliveries", 0, target.attributes)
        instruments.increment("countersign.nats.refused", 0)

    async def stop(self) -> None:
        """Take nothing new, and finish what is being worked on."""
        ends = [*(puller.stop() for puller in self._pullers), *(ahead.stop(GRACE) for ahead in self._aheads.values())]
        await asyncio.gather(*ends)

    @property
    def bus(self) -> Bus:
        if self._bus is None:
            raise RuntimeError("the service is not connected yet")
        return self._bus

    def step(self, consumer_name: str, handle: Handler, undo: Undo | None = None) -> None:
        """Run `handle` for the events that the consumer's step works on and append what it returns.

        `undo` takes back the effect when the case has moved on in the meantime (withdrawn while we worked).
        """
        target = consumer(consumer_name)
        name = target.step
        if name is None:
            raise ValueError(f"{consumer_name} works for no step of a case")

        work = partial(self._run_step, name, target, handle, undo)

        async def run(message: Msg) -> None:
            metadata = message.metadata
            received = decode(message.subject, message.headers or {}, message.data, metadata.sequence.stream)
            with self._in_line(target, received, message):
                await work(received, metadata.num_delivered, False)

        async def before_its_turn(received: RecordedEvent) -> None:
            with handling(target, received.case.subject(received.name), _parent(received), 1):
                await work(received, 1, True)

        if target.ahead:
            self._early[target.name] = before_its_turn
        self._consume(target, run)

    def _in_line(self, target: Consumer, received: RecordedEvent, message: Msg) -> AbstractContextManager[None]:
        """Counts what is at work for whom, where departments have their turns."""
        ahead = self._aheads.get(target.name)
        if ahead is None:
            return nullcontext()
        ahead.came(message.metadata.num_pending)
        return ahead.line.working(received.case.department)

    def effect(self, consumer_name: str, handle: Receiver, given_up: GivenUp | None = None) -> None:
        """Run `handle` for every message; it appends what it wants itself and may be repeated, as may `given_up`."""
        if given_up is not None:
            self._given_up[consumer_name] = given_up
        self._consume(consumer(consumer_name), handle)

    def _consume(self, target: Consumer, run: Receiver) -> None:
        async def receive(message: Msg) -> None:
            await self._guard(target, run, message)

        self.receivers[target.name] = receive

    async def _guard(self, target: Consumer, run: Receiver, message: Msg) -> None:
        """One attempt: its time limit, its heartbeat, and what its failure leads to."""
        attempt = message.metadata.num_delivered
        if attempt > 1:
            instruments.increment("countersign.redeliveries", 1, target.attributes)
        try:
            with Heartbeat(message, target.ack_wait / 3), handling(target, message.subject, message.headers, attempt):
                async with asyncio.timeout(target.row.attempt):
                    await run(message)
        except CountersignError as failure:
            await self._fail(target, message, attempt, failure)
        except TimeoutError:
            await self._fail(target, message, attempt, TransientError(f"no result within {target.row.attempt:g} s"))
        except Exception as error:  # noqa: BLE001 - a bug must end in front of a person, not in a redelivery loop
            # Frames only: the exception's own text may quote what it choked on.
            logger.error("%s: %s\n%s", target.name, type(error).__name__, "".join(traceback.format_tb(_frames(error))))
            await self._fail(target, message, attempt, PermanentError(f"unexpected {type(error).__name__}"))
        else:
            await (
                message.ack()
            )  # what it raises is not the step's failure: done work is delivered again, and found done

    async def _fail(self, target: Consumer, message: Msg, attempt: int, failure: CountersignError) -> None:
        delay = delay_after(target.row, attempt, failure)
        if delay is not None:
            logger.info("%s: attempt %d failed, again in %.1f s: %s", target.name, attempt, delay, failure.reason)
            if attempt == target.row.alert_after:
                await self._alert(target, _original(message, target), attempt, failure.reason)
            await message.nak(delay=delay)
            return
        try:
            await self._give_up(target, _original(message, target), failure.reason, attempt)
        except CountersignError as error:  # nothing is let go that is not kept as a dead letter
            logger.warning("%s: could not give up yet: %s", target.name, error.reason)
            await message.nak(delay=target.row.first_wait)
            return
        await message.term()

    async def _alert(self, target: Consumer, original: Original, attempts: int, reason: str) -> None:
        try:
            await alert(
                self.bus,
                "warning",
                "step-failing",
                id=f"{target.name}-{original.sequence}",
                consumer=target.name,
                subject=original.subject,
                attempts=attempts,
                reason=reason,
            )
        except TransientError as error:
            logger.warning("%s: alert not sent: %s", target.name, error.reason)

    async def _give_up(self, target: Consumer, original: Original, reason: str, attempts: int) -> None:
        """Keep the message, mark the case, tell a person. Each part may be repeated."""
        logger.warning("%s: given up after %d attempts: %s", target.name, attempts, reason)
        await bury(self.bus, target, original, reason, attempts)
        if target.step is not None:
            await self._mark_failed(target.step, original, reason, attempts)
        if (given_up := self._given_up.get(target.name)) is not None:
            await given_up(original, reason)
        await alert(
            self.bus,
            "critical",
            "step-failed",
            id=f"{target.name}-{original.sequence}",
            consumer=target.name,
            subject=original.subject,
            attempts=attempts,
            reason=reason,
        )

    async def _mark_failed(self, name: StepName, original: Original, reason: str, attempts: int) -> None:
        try:
            cause = decode(original.subject, original.headers, original.data, original.sequence)
        except PermanentError:
            return  # not an event: there is no case to mark
        journal = Journal(self.bus, self._service)
        history = await journal.history_with(cause)
        if fold(history).awaits != name:
            return
        failed = Failed(step=name, reason=reason, attempts=attempts)
        with suppress(MovedOn):
            id = derived_id(f"{cause.id}/{attempts}", "failed")
            await journal.append_awaited(name, cause, failed, history, id=id, clock=self._clock)

    async def _run_step(
        self,
        name: StepName,
        target: Consumer,
        handle: Handler,
        undo: Undo | None,
        received: RecordedEvent,
        attempt: int,
        early: bool,
    ) -> None:
        journal = Journal(self.bus, self._service)
        cause, history = received, None
        if attempt > 1 or received.name == "retried" or early or self._waited(target, received):
            history = await journal.history_with(received)
            wanted = causing_event(name, history) if fold(history).awaits == name else None
            if wanted is None or (received.name != "retried" and wanted.id != received.id):
                return  # done before, or the case has moved on
            cause = wanted
        try:
            event = await handle(Work(cause, attempt, target.row.is_last(attempt)))
            id = derived_id(cause.id, event.event)
            await journal.append_awaited(name, cause, event, history, id=id, clock=self._clock)
        except MovedOn:
            if undo is not None:
                await undo(cause)

    def _waited(self, target: Consumer, received: RecordedEvent) -> bool:
        """Whether it has stood in a queue, and may have been done ahead of its turn."""
        return target.ahead > 0 and (self._clock() - received.time).total_seconds() > QUEUED

    async def _on_advisory(self, message: Msg) -> None:
        """A message was delivered as often as allowed and never answered: its process died or hung every time."""
        advisory = json.loads(message.data)
        target = consumer(advisory["consumer"])
        stored = await self.bus.direct_get(advisory["stream"], {"seq": advisory["stream_seq"]})
        for item in stored:
            headers = dict(item.headers or {})
            original = Original(advisory["stream"], advisory["stream_seq"], headers["Nats-Subject"], headers, item.data)
            await self._give_up(target, original, "delivered too often without an answer", advisory["deliveries"])


def _parent(event: RecordedEvent) -> dict[str, str]:
    """Under which span work on a stored event stands, as its message said it."""
    return {"traceparent": event.traceparent} if event.traceparent else {}


def _original(message: Msg, target: Consumer) -> Original:
    return Original(
        target.stream, message.metadata.sequence.stream, message.subject, message.headers or {}, message.data
    )


def _frames(error: Exception) -> TracebackType | None:
    return error.__traceback__
