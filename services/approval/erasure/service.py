"""Order erasures, and place or release legal holds."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from services.approval.erasure import rules
from services.approval.review.errors import DecisionRefusedError
from services.approval.review.service import ReviewService
from shared.contracts.case import Case, fold
from shared.contracts.envelope import RecordedEvent
from shared.contracts.events import ContextExtracted
from shared.contracts.preparation import Prepared
from shared.contracts.retention import ErasureGround, ErasureOrdered, HoldGround, HoldPlaced, HoldReleased
from shared.contracts.subjects import CaseRef, case_filter
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import EventStore, UnreadableEvent, read_event
from shared.runtime.authentication import Caller

Event = TypeVar("Event", ErasureOrdered, HoldPlaced, HoldReleased)


@dataclass(frozen=True, slots=True)
class ErasureCandidate:
    """A case that an erasure would affect; `obstacle` says why it may not be erased now."""

    ref: CaseRef
    case: Case
    texts: int
    obstacle: str | None


class ErasureService:
    def __init__(self, bus: NatsConnection, review: ReviewService) -> None:
        self._cases = review.cases
        self._decisions = review.decisions
        self._event_store = EventStore(bus, "approval")

    async def of_patient(self, patient: str, who: Caller) -> list[ErasureCandidate]:
        """Return every case whose record is, or was, of the patient with this FHIR reference; reads all cases once."""
        found: dict[str, None] = {}
        for name in ("context-extracted", "prepared"):
            async for page in self._event_store.pages(case_filter(name)):
                for item in page:
                    event = read_event(item)
                    if isinstance(event, UnreadableEvent):
                        continue  # `audit verify` reports it
                    if isinstance(event.body, ContextExtracted | Prepared) and event.body.stay.patient == patient:
                        found[event.case.id] = None
        plans = [await self.of_case(case, who) for case in found]
        return [plan for plan in plans if plan is not None]

    async def of_case(self, case_id: str, who: Caller) -> ErasureCandidate | None:
        """Return what an erasure of the case would affect; None where the caller may not know the case."""
        history = await self._cases.history(case_id)
        if not history or not who.can_access_department(history[-1].case.department):
            return None
        return planned(history)

    async def order(self, case_id: str, ground: ErasureGround, reference: str | None, by: Caller) -> ErasureOrdered:
        """Erase all texts of a case. Raises DecisionRefusedError."""
        return await self._decide(
            case_id, by, lambda case: rules.order(case, ground, by.actor, reference), rules.ordered_before
        )

    async def hold(self, case_id: str, ground: HoldGround, reference: str | None, by: Caller) -> HoldPlaced:
        """Place a legal hold: nothing of the case is erased from now on. Raises DecisionRefusedError."""
        return await self._decide(
            case_id,
            by,
            lambda case: rules.place_hold(case, ground, by.actor, reference),
            lambda case: rules.held_before(case, ground, reference),
        )

    async def release(self, case_id: str, reference: str | None, by: Caller) -> HoldReleased:
        """Release the legal hold. Raises DecisionRefusedError."""
        return await self._decide(case_id, by, lambda case: rules.release_hold(case, by.actor, reference))

    async def _decide(
        self,
        case_id: str,
        by: Caller,
        decide: Callable[[Case], Event],
        before: Callable[[Case], Event | None] = lambda _: None,
    ) -> Event:
        """Append what `decide` returns; where `before` finds it on the case already, return that."""
        ref, case = await self._cases.case(case_id)
        if not case.exists or not by.can_access_department(ref.department):
            raise DecisionRefusedError("unknown", "There is no such case.")
        if (done := before(case)) is not None:
            return done
        return await self._decisions.decide(
            ref, case, None, "see", decide, repeated=lambda history: before(fold(history))
        )


def planned(history: Sequence[RecordedEvent]) -> ErasureCandidate:
    case = fold(history)
    refused = rules.obstacle(case)
    texts = len(set().union(*rules.texts_of(history).values()))
    return ErasureCandidate(history[-1].case, case, texts, refused.detail if refused else None)
