"""Decisions: what a person may do with a review, each appended to the case exactly where it was looked at."""

from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

from services.approval import domain
from services.approval.directory import Directory
from shared.clinical.fhir import FhirClient
from shared.contracts.case import Case, fold
from shared.contracts.draft import Draft
from shared.contracts.envelope import Head, Recorded, digest
from shared.contracts.events import Actor, Approved, CaseEvent, Reassigned, Rejected, ReviewRequested, Withdrawn
from shared.contracts.failures import Failure, TransientError
from shared.messaging.artifacts import Artifacts
from shared.messaging.connection import Bus
from shared.messaging.journal import Conflict, Journal
from shared.messaging.steps import Clock

TRIES = 5

Event = TypeVar("Event", Approved, Rejected, Reassigned)


class Desk:
    """Reads reviews and takes decisions. `new_id` gives the ids of decisions: two of them are never the same event."""

    def __init__(self, ehr: FhirClient, directory: Directory, clock: Clock, new_id: Callable[[], str]) -> None:
        self._ehr = ehr
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
        history = await self.history(case_id)
        review = domain.open_review(fold(history), seen)
        if text is not None:
            domain.check_written(text)
        await self._withdraw_if_taken_back(history, review)
        written = digest(text.encode()) if text is not None else None
        if text is not None and written != review.draft.text:
            await self._artifacts.put(text.encode())
        # Only a supervisor's token without an identity of its own signs as the department's supervisor.
        stands_in = by.role == "supervisor" and by.practitioner is None
        supervisor = await self._supervisor(history) if stands_in else None
        return await self._decide(
            history, lambda case: domain.approve(case, seen, by, text=written, supervisor=supervisor)
        )

    async def _supervisor(self, history: Sequence[Recorded]) -> str | None:
        found = await self._directory.supervisor(history[-1].case.department)
        return found if "/" in found else None

    async def reject(
        self, case_id: str, seen: str, by: Actor, action: Literal["redraft", "close"], reason: str
    ) -> Rejected:
        history = await self.history(case_id)
        domain.open_review(fold(history), seen)
        words = await self._artifacts.put(reason.encode())
        return await self._decide(history, lambda case: domain.reject(case, seen, by, action, words))

    async def reassign(self, case_id: str, to: str, by: Actor, reason: str) -> Reassigned:
        words = await self._artifacts.put(reason.encode())
        return await self._decide(await self.history(case_id), lambda case: domain.reassign(case, to, by, words))

    async def _decide(self, history: Sequence[Recorded], decide: Callable[[Case], Event]) -> Event:
        """Append the decision after what it was taken on; where something came in between, decide again."""
        for _ in range(TRIES):
            case = fold(history)
            event = decide(case)
            try:
                await self._append(history, case.head, event)
            except Conflict as conflict:
                history = conflict.history
            else:
                return event
        raise TransientError("the case changed too often while it was being decided")

    async def _withdraw_if_taken_back(self, history: Sequence[Recorded], review: ReviewRequested) -> None:
        """Nobody signs for a stay that goes on: the EHR is asked once more. An EHR that is down stops no signature."""
        try:
            encounter = await self._ehr.read("Encounter", review.stay.encounter.removeprefix("Encounter/"))
        except Failure:
            return
        if domain.discharge_taken_back(review, encounter.get("status")):
            await self._append(history, history[-1].head, Withdrawn(reason="encounter-not-finished"))
            raise domain.Refused("not-open", "The discharge was taken back in the EHR: the case is withdrawn.")

    async def _append(self, history: Sequence[Recorded], after: Head, event: CaseEvent) -> None:
        await self._journal.append(history[-1].case, event, after=after, id=self._new_id(), time=self._clock())
