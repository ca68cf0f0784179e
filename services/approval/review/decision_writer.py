"""Append decisions to cases: each once, and only after the state of the case that it was taken on."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from services.approval.review.authorization import Action
from services.approval.review.case_reader import CaseReader, current
from services.approval.review.errors import DecisionRefusedError
from shared.contracts.case import Case
from shared.contracts.corrections import Addended, Amended, Retracted, RetractionFiled, RetractionRequested
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import TransientError
from shared.contracts.events import Approved, CaseEvent, Filed, Reassigned, Rejected, Retried, Withdrawn
from shared.contracts.ratings import Rated
from shared.contracts.retention import ErasureOrdered, HoldPlaced, HoldReleased
from shared.contracts.subjects import CaseRef, derived_id
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import EventStore, WrongExpectedVersionError
from shared.messaging.steps import Clock
from shared.runtime.authentication import Caller

MAX_ATTEMPTS = 5

Event = TypeVar(
    "Event",
    Approved,
    Rejected,
    Reassigned,
    Amended,
    Addended,
    RetractionRequested,
    Retracted,
    ErasureOrdered,
    HoldPlaced,
    HoldReleased,
    Retried,
    Rated,
    Withdrawn,
    Filed | RetractionFiled,
)


class DecisionWriter:
    """Appends with an expected version. `new_id` gives the ids of events: two decisions are never the same event."""

    def __init__(self, bus: NatsConnection, cases: CaseReader, clock: Clock, new_id: Callable[[], str]) -> None:
        self._cases = cases
        self._clock = clock
        self._new_id = new_id
        self._event_store = EventStore(bus, "approval")

    async def decide(
        self,
        ref: CaseRef,
        case: Case,
        by: Caller | None,
        action: Action,
        decide: Callable[[Case], Event],
        cause: str | None = None,
        repeated: Callable[[Sequence[RecordedEvent]], Event | None] = lambda _: None,
    ) -> Event:
        """Append what `decide` returns; where another event came first, authorize and decide again on the new state.

        The caller has looked for the same decision on `case`; `repeated` looks for it in what came first, so that of
        requests that are sent at once one has an effect. Raises DecisionRefusedError, and TransientError after
        MAX_ATTEMPTS conflicts.
        """
        for _ in range(MAX_ATTEMPTS):
            event = decide(case)
            try:
                await self.append(ref, case, event, derived_id(cause, event.event) if cause else None)
            except WrongExpectedVersionError as conflict:
                if (done := repeated(conflict.history)) is not None:
                    return done
                ref, case = current(ref.id, conflict.history)
                if case.open and by is not None:  # the review may have been reassigned since
                    await self._cases.authorize(ref, case, by, action)
            else:
                return event
        raise TransientError("the case changed too often while it was being decided")

    async def find_repeated(
        self, ref: CaseRef, by: Caller, key: str | None, kind: type[Event], same: Callable[[Event], bool]
    ) -> Event | None:
        """Return the decision that `by` sent with this `Idempotency-Key` before, whatever has happened since.

        It needs no authorization: nobody else can send it. Raises DecisionRefusedError where it was not the `same`.
        """
        found = await self.find_keyed(ref, by, key, kind)
        if found is not None and not same(found):
            raise key_used()
        return found

    async def find_keyed(self, ref: CaseRef, by: Caller, key: str | None, kind: type[Event]) -> Event | None:
        """Return the decision of this kind that `by` sent with this `Idempotency-Key`, be it the same or not."""
        cause = cause_of(ref, by, key)
        if cause is None:
            return None
        id = derived_id(cause, kind.model_fields["event"].default)
        found = next((item.body for item in await self._cases.history(ref.id) if item.id == id), None)
        return found if isinstance(found, kind) else None

    async def append(self, ref: CaseRef, case: Case, event: CaseEvent, id: str | None = None) -> None:
        """Append `event` after the last event of `case`. Raises WrongExpectedVersionError."""
        await self._event_store.append(ref, event, after=case.head, id=id or self._new_id(), time=self._clock())


def key_used() -> DecisionRefusedError:
    return DecisionRefusedError("key-used", "It was sent with another decision about this case.")


def cause_of(ref: CaseRef, by: Caller, key: str | None) -> str | None:
    """Return what the event's id is derived from where the sender gave an `Idempotency-Key`."""
    return f"key/{ref.id}/{by.subject}/{key}" if key else None
