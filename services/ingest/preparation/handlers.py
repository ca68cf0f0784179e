"""Convert pending discharges of the EHR stream into preparations, and end them where they are cancelled."""

from collections.abc import Collection, Sequence
from datetime import timedelta

from nats.aio.msg import Msg

from services.ingest.preparation import rules
from services.ingest.preparation.rules import Refusal
from services.ingest.stored_reports import StoredReport, StoredReports, of_message
from shared.contracts.ehr import EncounterReported
from shared.contracts.envelope import CHAIN_START, RecordedEvent
from shared.contracts.errors import TransientError
from shared.contracts.events import CaseEvent
from shared.contracts.preparation import PreparationRequested
from shared.contracts.subjects import CaseRef, case_id, derived_id, parse_encounter_subject
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import EventStore, WrongExpectedVersionError
from shared.messaging.steps import Clock

MAX_ATTEMPTS = 5  # to append while other events of the case come in


class Preparations:
    """Request and end preparations. `organization` is part of every case id.

    A report and its cancellation may be handled at the same time, in any order: the report looks for a later
    cancellation after it was taken up, the cancellation for a later report before it takes effect.
    """

    def __init__(
        self, bus: NatsConnection, organization: str, default_department: str, ends_after: timedelta, clock: Clock
    ) -> None:
        self._organization = organization
        self._default_department = default_department
        self._ends_after = ends_after
        self._clock = clock
        self._reports = StoredReports(bus)
        self._event_store = EventStore(bus, "ingest")

    async def on_pending(self, message: Msg) -> None:
        """Handle a report of either kind."""
        stored = of_message(message)
        fact, cause, sequence = stored.report.fact, stored.id, stored.sequence
        if parse_encounter_subject(message.subject)[0] == rules.PENDING:
            await self.request(fact, cause)
            later = self._reports.since(rules.PENDING_CANCELLED, fact.encounter_id, sequence)
            if any([rules.cancels(item.report.fact, fact) async for item in later]):
                await self.end(fact, cause, of=(cause,))
        else:
            await self._cancel(stored)

    async def _cancel(self, cancelled: StoredReport) -> None:
        """End the preparation, unless what was cancelled was reported again since."""
        fact = cancelled.report.fact
        reports = [
            item
            async for item in self._reports.since(rules.PENDING, fact.encounter_id, 0)
            if rules.cancels(fact, item.report.fact)
        ]
        if any(item.sequence > cancelled.sequence for item in reports):
            return
        planned = None if fact.appointment is None else tuple(item.id for item in reports)
        await self.end(fact, cancelled.id, of=planned)

    def case_of(self, fact: EncounterReported) -> CaseRef:
        return CaseRef(fact.department or self._default_department, case_id(self._organization, fact.encounter_id))

    async def refusal(self, fact: EncounterReported) -> Refusal | None:
        """Return why a new report would prepare nothing now; None if it would prepare a draft."""
        history = await self._event_store.find(self.case_of(fact).id)
        found = rules.request(history, fact, "", self._clock(), self._ends_after)
        return None if isinstance(found, PreparationRequested) else found

    async def request(self, fact: EncounterReported, cause: str) -> None:
        """Request the preparation of a draft, unless the stay has ended or its draft is being prepared.

        Raises TransientError while the texts of the case are being erased.
        """
        history = await self._event_store.find(self.case_of(fact).id)
        for _ in range(MAX_ATTEMPTS):
            decision = rules.request(history, fact, cause, self._clock(), self._ends_after)
            if decision == "wait":
                raise TransientError("the texts of the case are being erased")
            if not isinstance(decision, PreparationRequested):
                return
            case = self.case_of(fact)
            if history:
                case = rules.case_after(history[-1].case, fact, self._default_department)
            try:
                await self._append(case, decision, history, cause)
            except WrongExpectedVersionError as conflict:
                history = list(conflict.history)
            else:
                return
        raise TransientError("the case changed too often while its preparation was being requested")

    async def end(self, fact: EncounterReported, cause: str, of: Collection[str] | None = None) -> None:
        """End the preparation, if there is one; with `of`, only if one of those reports requested it."""
        history = await self._event_store.find(self.case_of(fact).id)
        for _ in range(MAX_ATTEMPTS):
            decision = rules.end(history, of)
            if decision is None:
                return
            try:
                await self._append(history[-1].case, decision, history, cause)
            except WrongExpectedVersionError as conflict:
                history = list(conflict.history)
            else:
                return
        raise TransientError("the case changed too often while its preparation was being ended")

    async def _append(self, case: CaseRef, event: CaseEvent, history: Sequence[RecordedEvent], cause: str) -> None:
        after = history[-1].head if history else CHAIN_START
        await self._event_store.append(case, event, after=after, id=derived_id(cause, event.event), time=self._clock())
