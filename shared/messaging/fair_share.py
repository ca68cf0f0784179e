"""Turns between departments: what a department with little at work waits for goes ahead of a queue that others fill.

A consumer hands out messages in the order they came, so a flood of one department makes all others wait behind it.
While much waits, a process reads what stands further back and gives a few places beside the queue's own
(`Consumer.ahead`) to departments that have least at work. Nothing depends on it: a case that went ahead is found done
when its turn comes, and one that was lost on the way is done then. Without a queue it costs nothing.
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
from shared.messaging.connection import Bus, WrongSequenceError
from shared.messaging.event_store import EventStore
from shared.messaging.topology import Consumer

logger = logging.getLogger(__name__)

BUCKET = "ahead"
MOST = 10_000  # cases of the queue that a process knows by name, some 200 bytes each; what is behind them is read later
CLAIM = "1h"  # how long a claim is kept: longer than any attempt

Run = Callable[[RecordedEvent], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class QueuedEvent:
    """An event whose turn has not come: where it stands in the stream, and whose it is."""

    sequence: int
    case: CaseRef


@dataclass(slots=True)
class DepartmentQueue:
    """Who waits, in order, and who has how much at work in this process. Pure."""

    places: int  # of the queue and ahead of it
    near: int  # the first ones keep their turn: it comes before they would be done
    waiting: deque[QueuedEvent] = field(default_factory=deque)
    at_work: Counter[str] = field(default_factory=Counter)

    def reached(self, sequence: int) -> None:
        """The queue has handed out everything up to `sequence`."""
        while self.waiting and self.waiting[0].sequence <= sequence:
            self.waiting.popleft()

    def take(self) -> QueuedEvent | None:
        """The oldest case of the department with least at work, if that is less than half of an equal part."""
        oldest: dict[str, QueuedEvent] = {}
        for index, item in enumerate(self.waiting):
            if index >= self.near:
                oldest.setdefault(item.case.department, item)
        present = {item.case.department for item in self.waiting} | set(+self.at_work)
        if not oldest or 2 * len(present) * min(self.at_work[name] for name in oldest) >= self.places:
            return None
        found = min(oldest.values(), key=lambda item: (self.at_work[item.case.department], item.sequence))
        self.waiting.remove(found)
        return found

    @contextmanager
    def working(self, department: str) -> Iterator[None]:
        self.at_work[department] += 1
        try:
            yield
        finally:
            self.at_work[department] -= 1


class FairShareScheduler:
    """The places beside one consumer's queue. `run` does a step for an event whose turn has not come."""

    def __init__(self, bus: Bus, service: str, target: Consumer, run: Run) -> None:
        self._bus = bus
        self._journal = EventStore(bus, service)
        self._target = target
        self._run = run
        self._names = {pattern.rpartition(".")[2] for pattern in target.subjects}
        self._read = 0  # sequence up to which the stream is known
        self._tasks: set[asyncio.Task[None]] = set()
        self._looking: asyncio.Task[None] | None = None
        self._stopping = False
        self._quiet = 0  # messages that come before it is worth looking again
        self.line = DepartmentQueue(target.workers + target.ahead, near=2 * target.workers)

    def came(self, pending: int) -> None:
        """A message has come; `pending` more wait behind it. Where nobody was to go ahead, two rounds pass first."""
        self._quiet -= 1
        if self._quiet < 0:
            self.consider(pending)

    def consider(self, pending: int) -> None:
        """Look further back in a queue of `pending` messages if that is worth it."""
        idle = self._looking is None or self._looking.done()
        if pending > self.line.near and len(self._tasks) < self._target.ahead and idle and not self._stopping:
            self._looking = asyncio.create_task(self._look())

    async def stop(self, grace: float) -> None:
        """Take nothing new; what runs may come to its end. What does not has its turn elsewhere."""
        self._stopping = True
        if self._looking is not None:
            self._looking.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=grace)
        for task in self._tasks:
            task.cancel()

    async def _look(self) -> None:
        try:
            await self._read_on()
        except CountersignError as failure:
            logger.info("%s: not looked ahead: %s", self._target.name, failure.reason)
            return
        while len(self._tasks) < self._target.ahead:
            found = self.line.take()
            if found is None:
                self._quiet = self.line.near
                return
            task = asyncio.create_task(self._go(found))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            await asyncio.sleep(0)  # it counts as being at work before the next one is chosen

    async def _read_on(self) -> None:
        """Learn who waits, from where the queue is to the end of the stream."""
        info = await self._bus.consumer_info(self._target.stream, self._target.name)
        reached = info["delivered"]["stream_seq"]
        self.line.reached(reached)
        self._read = max(self._read, reached)
        if len(self.line.waiting) >= MOST:
            return
        async for page in self._journal.pages(CASE_EVENTS, start=self._read + 1):
            for item in page:
                case, name = parse_case_subject(item.subject)
                if name in self._names:
                    self.line.waiting.append(QueuedEvent(item.sequence, case))
            self._read = page[-1].sequence
            if len(self.line.waiting) >= MOST:
                return

    async def _go(self, waiting: QueuedEvent) -> None:
        with self.line.working(waiting.case.department):
            try:
                if not await self._claim(waiting):
                    return
                history = await self._journal.history(waiting.case)
                event = next((item for item in history if item.head.sequence == waiting.sequence), None)
                if event is not None:
                    async with asyncio.timeout(self._target.row.timeout):
                        await self._run(event)
            except Exception as error:  # noqa: BLE001 - whatever it was: the case keeps its turn, and fails there
                logger.info("%s: not done ahead of its turn: %s", self._target.name, type(error).__name__)
        self.consider(len(self.line.waiting))

    async def _claim(self, waiting: QueuedEvent) -> bool:
        """Whether no other process has gone ahead with it."""
        subject = f"$KV.{BUCKET}.{waiting.case.id}.{waiting.sequence}"
        once = {"Nats-Expected-Last-Subject-Sequence": "0", "Nats-TTL": CLAIM}
        try:
            await self._bus.publish(subject, b"", stream=f"KV_{BUCKET}", headers=once)
        except WrongSequenceError:
            return False
        return True
