"""Decisions: what a person may do with a review, each appended to the case exactly where it was looked at."""

from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

from services.approval import domain
from services.approval.directory import Directory
from services.approval.reviews import Reviews
from shared.clinical.fhir import FhirClient
from shared.contracts.case import Case, fold
from shared.contracts.draft import Draft
from shared.contracts.envelope import Recorded, digest
from shared.contracts.events import Actor, Approved, CaseEvent, Reassigned, Rejected, ReviewRequested, Withdrawn
from shared.contracts.failures import Failure, TransientError
from shared.contracts.subjects import CaseRef
from shared.messaging.artifacts import Artifacts
from shared.messaging.connection import Bus
from shared.messaging.journal import Conflict, Journal
from shared.messaging.steps import Clock

TRIES = 5

Event = TypeVar("Event", Approved, Rejected, Reassigned)


class Desk:
    """Reads reviews and takes decisions. `new_id` gives the ids of decisions: two of them are never the same event."""

    def __init__(
        self, ehr: FhirClient, directory: Directory, reviews: Reviews, clock: Clock, new_id: Callable[[], str]
    ) -> None:
        self._ehr = ehr
        self._reviews = reviews
        self._directory = directory
        self._clock = clock
        self._new_id = new_id

    def attach(self, bus: Bus) -> None:
        self._journal = Journal(bus, "approval")
        self._artifacts = Artifacts(bus)

    async def history(self, case_id: str) -> list[Recorded]:
        return await self._journal.find(case_id)

    async def recent(self, events: int) -> list[Recorded]:
        return await self._journal.recent(events)

    async def draft_of(self, case: Case) -> Draft | None:
        """The draft of the case's last review."""
        if case.review is None:
            return None
        return Draft.model_validate_json(await self._artifacts.get(case.review.draft.digest))

    async def approve(self, case_id: str, seen: str, by: Actor, text: str | None) -> Approved:
        """Countersign the draft with digest `seen`, or `text` in its place."""
        ref, case = await self._look(case_id, seen)
        review = domain.open_review(case, seen)
        if text is not None:
            domain.check_written(text)
        await self._withdraw_if_taken_back(ref, case, review)
        written = digest(text.encode()) if text is not None else None
        if text is not None and written != review.draft.text:
            await self._artifacts.put(text.encode())
        # Only a supervisor's token without an identity of its own signs as the department's supervisor.
        stands_in = by.role == "supervisor" and by.practitioner is None
        supervisor = await self._supervisor(ref) if stands_in else None
        return await self._decide(
            ref, case, lambda current: domain.approve(current, seen, by, text=written, supervisor=supervisor)
        )

    async def _look(self, case_id: str, seen: str = "") -> tuple[CaseRef, Case]:
        """The case as the inbox knows it, where that is about the draft `seen`; else as the trail has it."""
        waiting = self._reviews.find(case_id)
        if waiting is not None and waiting.case.review is not None and waiting.case.review.draft.digest == seen:
            return waiting.ref, waiting.case
        return _last(case_id, await self.history(case_id))

    async def _supervisor(self, ref: CaseRef) -> str | None:
        found = await self._directory.supervisor(ref.department)
        return found if "/" in found else None

    async def reject(
        self, case_id: str, seen: str, by: Actor, action: Literal["redraft", "close"], reason: str
    ) -> Rejected:
        ref, case = await self._look(case_id, seen)
        domain.open_review(case, seen)
        words = await self._artifacts.put(reason.encode())
        return await self._decide(ref, case, lambda current: domain.reject(current, seen, by, action, words))

    async def reassign(self, case_id: str, to: str, by: Actor, reason: str) -> Reassigned:
        words = await self._artifacts.put(reason.encode())
        ref, case = await self._look(case_id)
        due = domain.deadlines(self._clock(), self._directory.times(ref.department))
        return await self._decide(ref, case, lambda current: domain.reassign(current, to, by, words, due))

    async def _decide(self, ref: CaseRef, case: Case, decide: Callable[[Case], Event]) -> Event:
        """Append the decision after what it was taken on; where something came in between, decide again."""
        for _ in range(TRIES):
            event = decide(case)
            try:
                await self._append(ref, case, event)
            except Conflict as conflict:
                ref, case = _last(ref.id, conflict.history)
            else:
                return event
        raise TransientError("the case changed too often while it was being decided")

    async def _withdraw_if_taken_back(self, ref: CaseRef, case: Case, review: ReviewRequested) -> None:
        """Nobody signs for a stay that goes on: the EHR is asked once more. An EHR that is down stops no signature."""
        try:
            encounter = await self._ehr.read("Encounter", review.stay.encounter.removeprefix("Encounter/"))
        except Failure:
            return
        if domain.discharge_taken_back(review, encounter.get("status")):
            try:
                await self._append(ref, case, Withdrawn(reason="encounter-not-finished"))
            except Conflict:
                raise TransientError("the case changed while it was being decided") from None
            raise domain.Refused("not-open", "The discharge was taken back in the EHR: the case is withdrawn.")

    async def _append(self, ref: CaseRef, case: Case, event: CaseEvent) -> None:
        await self._journal.append(ref, event, after=case.head, id=self._new_id(), time=self._clock())


def _last(case_id: str, history: Sequence[Recorded]) -> tuple[CaseRef, Case]:
    """The case that `history` adds up to; a case without events is of no department."""
    return (history[-1].case if history else CaseRef("*", case_id)), fold(history)
