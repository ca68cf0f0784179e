"""The projection of all cases, in memory: the state of each, ordered by its last event."""

import asyncio
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from nats import errors
from nats.js.errors import APIError

from services.approval.projections.catch_up import CatchUpSubscription
from services.approval.projections.slim_case import NEW, slim_after
from shared.contracts.case import Case
from shared.contracts.case_values import CaseState
from shared.contracts.envelope import RecordedEvent, decode
from shared.contracts.errors import TransientError
from shared.contracts.events import Failed, Reimported, StepName
from shared.contracts.subjects import CaseRef
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import STREAM, RawMessage
from shared.runtime.authentication import Caller

CATCH_UP_TIMEOUT_S = 1.0  # seconds for the events that are stored when somebody asks


@dataclass(slots=True)
class CaseRow:
    """A case up to the last event that the projection has seen: ids, codes and times."""

    ref: CaseRef
    encounter: str  # FHIR id
    owner: str | None
    case: Case  # shared by all cases in this condition
    since: datetime  # when it came into its state
    last_event: str
    time: datetime  # of the last event
    sequence: int  # of the last event
    failure: str | None  # why the step gave up, while it is failed

    @property
    def state(self) -> CaseState:
        return self.case.state

    @property
    def failed_step(self) -> StepName | None:
        return self.case.failure.step if self.case.failure is not None else None

    @property
    def unfiled(self) -> bool:
        """Return whether something is signed, or taken back, and the chart does not say so yet."""
        return self.case.awaits == "file" or self.failed_step == "file"


def next_row(row: CaseRow | None, event: RecordedEvent) -> CaseRow:
    """Return the row of a case after one more event."""
    after, owner = slim_after(row.case, row.owner, event) if row else slim_after(NEW, None, event)
    failed = event.body if isinstance(event.body, Failed) else None
    return CaseRow(
        ref=row.ref if row else CaseRef(sys.intern(event.case.department), event.case.id),
        encounter=row.encounter if row and row.encounter else _encounter(event),
        owner=sys.intern(owner) if owner else None,
        case=after,
        since=row.since if row and row.case.state == after.state else event.time,
        last_event=sys.intern(event.name),
        time=event.time,
        sequence=event.head.sequence,
        failure=(failed.reason if failed else row.failure if row else None) if after.state == "failed" else None,
    )


def _encounter(event: RecordedEvent) -> str:
    body = event.body.signature if isinstance(event.body, Reimported) else event.body
    stay = getattr(body, "stay", None)
    found: str = getattr(body, "encounter_id", None) or (stay.encounter if stay is not None else "")
    return found.removeprefix("Encounter/")


class EventProjection(Protocol):
    """Takes each event that the index reads, so that a long stream is read once."""

    def clear(self) -> None:
        """Forget everything: the stream is read from its start."""

    def apply_event(self, event: RecordedEvent) -> None:
        """Apply one event."""


class CaseIndex:
    """Projection of all cases, which reads the whole event stream in the background after each start."""

    def __init__(self, *others: EventProjection) -> None:
        """`others` get every event too."""
        self._others = others
        self._rows: dict[str, CaseRow] = {}  # the case with the latest event is last
        self._counts: Counter[tuple[str, CaseState]] = Counter()
        self._position = 0
        self._waiters: set[tuple[int, asyncio.Future[None]]] = set()
        self._following: CatchUpSubscription | None = None

    async def start(self, bus: NatsConnection) -> None:
        """Subscribe; stored events are read in the background. Raises TransientError."""
        self._rows.clear()  # of a start that failed
        self._counts.clear()
        for other in self._others:
            other.clear()
        self._position = 0
        self._bus = bus
        self._following = CatchUpSubscription("cases", ("*",), self._apply_message, stored=False)
        await self._following.start(bus)

    @property
    def complete(self) -> bool:
        """Return whether every event that was stored at the start has been read."""
        return self._following is not None and self._following.is_caught_up

    async def refresh(self) -> bool:
        """Wait until the events that are stored now are in the index; return whether they are.

        Whoever has changed a case so finds it changed in a list. While the events of before the start are read, and
        where the index is behind by more than CATCH_UP_TIMEOUT_S, the answer is False. Raises TransientError.
        """
        if not self.complete:
            return False
        try:
            last = (await self._bus.jetstream.stream_info(STREAM)).state.last_seq
        except (errors.Error, APIError, TimeoutError) as error:
            raise TransientError(f"the event stream could not be read ({type(error).__name__})") from None
        if self._position >= last:
            return True
        waiter = last, asyncio.get_running_loop().create_future()
        self._waiters.add(waiter)
        try:
            await asyncio.wait_for(waiter[1], CATCH_UP_TIMEOUT_S)
        except TimeoutError:
            return False
        finally:
            self._waiters.discard(waiter)
        return True

    def find(self, case_id: str) -> CaseRow | None:
        return self._rows.get(case_id)

    def counts(self, who: Caller, department: str | None = None) -> Counter[CaseState]:
        """Count the cases of the caller's departments, or of one of them, by state."""
        found: Counter[CaseState] = Counter()
        for (place, state), count in self._counts.items():
            if count and who.can_access_department(place) and department in (None, place):
                found[state] += count
        return found

    def departments(self, who: Caller) -> list[str]:
        """Return the departments of cases that the caller may know of."""
        return sorted({place for place, _ in self._counts if who.can_access_department(place)})

    def select(self, wanted: Callable[[CaseRow], bool], before: int | None = None) -> Iterator[CaseRow]:
        """Yield the wanted cases, latest event first; `before`: only cases whose last event is before that sequence.

        It must be read without waiting for anything: events that come in between change the order.
        """
        for row in reversed(self._rows.values()):
            if (before is None or row.sequence < before) and wanted(row):
                yield row

    def _apply_message(self, message: RawMessage) -> None:
        try:
            event = decode(message.subject, message.headers, message.data, message.sequence)
            self._apply(event)
            for other in self._others:
                other.apply_event(event)
        finally:  # also past what cannot be read
            self._position = message.sequence
            for sequence, waiter in self._waiters:
                if sequence <= message.sequence and not waiter.done():
                    waiter.set_result(None)

    def _apply(self, event: RecordedEvent) -> None:
        before = self._rows.pop(event.case.id, None)
        if before is not None:
            self._counts[before.ref.department, before.state] -= 1
        row = self._rows[event.case.id] = next_row(before, event)
        self._counts[row.ref.department, row.state] += 1
