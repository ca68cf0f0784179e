"""Fair queueing between departments: reserved slots for departments with little in progress.

A consumer delivers messages in order, so many cases of one department delay all others. While there is a backlog, a
process reads it and gives a few additional slots (`Consumer.reserved_slots`) to the departments with least in progress.
Nothing depends on it: a case that was processed ahead of its turn is found done when it is delivered, and one that
failed is processed then. Without a backlog it costs nothing.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import CountersignError
from shared.contracts.subjects import CASE_EVENTS, CaseRef, parse_case_subject
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.messaging.event_store import EventStore
from shared.messaging.topology_model import Consumer

logger = logging.getLogger(__name__)

BUCKET = "ahead"
MAX_WAITING = 10_000  # cases of the backlog in memory, some 200 bytes each; those behind them are read later
CLAIM_TTL = "1h"  # longer than any attempt

Run = Callable[[RecordedEvent], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class QueuedEvent:
    """An event that is not delivered yet: its sequence in the stream, and its case."""

    sequence: int
    case: CaseRef


@dataclass(slots=True)
class DepartmentQueue:
    """The backlog in stream order, and the cases in progress in this process by department. Pure."""

    slots: int  # of the consumer, with the reserved ones
    lookahead_start: int  # cases before it are delivered soon, and not processed ahead of their turn
    waiting: deque[QueuedEvent] = field(default_factory=deque)
    in_progress: Counter[str] = field(default_factory=Counter)

    def discard_delivered(self, sequence: int) -> None:
        """Drop events up to `sequence`: the consumer has delivered them."""
        while self.waiting and self.waiting[0].sequence <= sequence:
            self.waiting.popleft()

    def pop_next(self) -> QueuedEvent | None:
        """Remove and return the oldest case of the department with least in progress.

        None if every department has at least half of an equal share.
        """
        oldest: dict[str, QueuedEvent] = {}
        for index, item in enumerate(self.waiting):
            if index >= self.lookahead_start:
                oldest.setdefault(item.case.department, item)
        present = {item.case.department for item in self.waiting} | set(+self.in_progress)
        if not oldest or 2 * len(present) * min(self.in_progress[name] for name in oldest) >= self.slots:
            return None
        found = min(oldest.values(), key=lambda item: (self.in_progress[item.case.department], item.sequence))
        self.waiting.remove(found)
        return found

    @contextmanager
    def working(self, department: str) -> Iterator[None]:
        self.in_progress[department] += 1
        try:
            yield
        finally:
            self.in_progress[department] -= 1


class FairShareScheduler:
    """Fills the reserved slots of one consumer. `run` performs its step for an event that is not delivered yet."""

    def __init__(self, bus: NatsConnection, service: str, target: Consumer, run: Run) -> None:
        self._bus = bus
        self._event_store = EventStore(bus, service)
        self._target = target
        self._run = run
        self._names = {pattern.rpartition(".")[2] for pattern in target.subjects}
        self._read = 0  # sequence up to which the stream is known
        self._tasks: set[asyncio.Task[None]] = set()
        self._filling: asyncio.Task[None] | None = None
        self._stopping = False
        self._skipped_deliveries = 0  # deliveries until the backlog is read again
        self.queue = DepartmentQueue(target.workers + target.reserved_slots, lookahead_start=2 * target.workers)

    def on_delivery(self, pending: int) -> None:
        """Handle a delivery with `pending` messages behind it: read the backlog, unless a recent read was futile."""
        self._skipped_deliveries -= 1
        if self._skipped_deliveries < 0:
            self.schedule(pending)

    def schedule(self, pending: int) -> None:
        """Fill the reserved slots in the background if a backlog of `pending` messages is long enough."""
        idle = self._filling is None or self._filling.done()
        if (
            pending > self.queue.lookahead_start
            and len(self._tasks) < self._target.reserved_slots
            and idle
            and not self._stopping
        ):
            self._filling = asyncio.create_task(self._fill_slots())

    async def stop(self, grace: float) -> None:
        """Start nothing new; wait `grace` seconds for running steps, then cancel them: they are delivered later."""
        self._stopping = True
        if self._filling is not None:
            self._filling.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        for task in self._tasks:
            task.cancel()

    async def _fill_slots(self) -> None:
        try:
            await self._read_backlog()
        except CountersignError as failure:
            logger.info("%s: the backlog could not be read: %s", self._target.name, failure.reason)
            return
        while len(self._tasks) < self._target.reserved_slots:
            found = self.queue.pop_next()
            if found is None:
                self._skipped_deliveries = self.queue.lookahead_start
                return
            task = asyncio.create_task(self._process(found))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(0)  # counted as in progress before the next one is chosen

    async def _read_backlog(self) -> None:
        """Read the events from the consumer's position to the end of the stream."""
        info = await self._bus.consumer_info(self._target.stream, self._target.name)
        reached = info["delivered"]["stream_seq"]
        self.queue.discard_delivered(reached)
        self._read = max(self._read, reached)
        if len(self.queue.waiting) >= MAX_WAITING:
            return
        async for page in self._event_store.pages(CASE_EVENTS, start=self._read + 1):
            for item in page:
                case, name = parse_case_subject(item.subject)
                if name in self._names:
                    self.queue.waiting.append(QueuedEvent(item.sequence, case))
            self._read = page[-1].sequence
            if len(self.queue.waiting) >= MAX_WAITING:
                return

    async def _process(self, waiting: QueuedEvent) -> None:
        with self.queue.working(waiting.case.department):
            try:
                if not await self._claim(waiting):
                    return
                history = await self._event_store.history(waiting.case)
                event = next((item for item in history if item.head.sequence == waiting.sequence), None)
                if event is not None:
                    async with asyncio.timeout(self._target.retry.timeout):
                        await self._run(event)
            except Exception as error:  # noqa: BLE001 - whatever it was: the case keeps its turn, and fails there
                logger.info("%s: not done ahead of its turn: %s", self._target.name, type(error).__name__)
        self.schedule(len(self.queue.waiting))

    async def _claim(self, waiting: QueuedEvent) -> bool:
        """Return whether this process is the first to take the event ahead of its turn."""
        subject = f"$KV.{BUCKET}.{waiting.case.id}.{waiting.sequence}"
        once = {"Nats-Expected-Last-Subject-Sequence": "0", "Nats-TTL": CLAIM_TTL}
        try:
            await self._bus.publish(subject, b"", stream=f"KV_{BUCKET}", headers=once)
        except WrongSequenceError:
            return False
        return True
