"""Convert messages of the EHR stream into events of a case."""

from nats.aio.msg import Msg

from services.ingest import domain
from services.ingest.domain import Report, Route
from services.ingest.stored_reports import StoredReport, StoredReports, of_message
from shared.contracts.ehr import EncounterReported
from shared.contracts.envelope import CHAIN_START, ChainHead
from shared.contracts.errors import TransientError
from shared.contracts.events import Withdrawn
from shared.contracts.subjects import CaseRef, case_id, derived_id
from shared.messaging.connection import NatsConnection
from shared.messaging.dead_letter_queue import publish_alert
from shared.messaging.event_store import EventStore, WrongExpectedVersionError
from shared.messaging.steps import Clock


class Ingest:
    """Open and withdraw cases. `organization` is part of every case id."""

    def __init__(self, bus: NatsConnection, organization: str, clock: Clock) -> None:
        self._organization = organization
        self._clock = clock
        self._bus = bus
        self._journal = EventStore(bus, "ingest")
        self._reports = StoredReports(bus)

    async def on_discharged(self, message: Msg) -> None:
        stored = of_message(message)
        await self.open(stored.report.fact, stored.id, route=stored.report.route, sequence=stored.sequence)

    async def on_cancelled(self, message: Msg) -> None:
        await self._cancel(of_message(message))

    async def _cancel(self, cancelled: StoredReport) -> None:
        if not await self._discharged_again(cancelled):
            await self.withdraw(cancelled.report.fact, cancelled.id)

    async def _discharged_again(self, cancelled: StoredReport) -> bool:
        """Return whether a later discharge was reported: a cancellation that is repeated or late does not cancel it."""
        encounter = cancelled.report.fact.encounter_id
        async for item in self._reports.since(domain.DISCHARGED, encounter, 0):
            follows = item.sequence > cancelled.sequence and domain.opens_after(item.report, cancelled.report)
            if follows or domain.outlasts(item.report, cancelled.report):
                return True
        return False

    def case_of(self, fact: EncounterReported) -> CaseRef:
        if fact.department is None:
            raise ValueError("a message without a department cannot identify a case")
        return CaseRef(fact.department, case_id(self._organization, fact.encounter_id))

    async def open(
        self, fact: EncounterReported, cause: str, *, route: Route = "other", sequence: int | None = None
    ) -> None:
        """Open the encounter's case unless it is open already: a discharge that is reported thrice is one case.

        `sequence`: of the report in the EHR stream; None: it is stored nowhere, and later than what is.
        """
        case, after, discharge = self.case_of(fact), CHAIN_START, Report(fact, route)
        try:
            await self._append_discharged(case, fact, after, cause)
        except WrongExpectedVersionError as conflict:
            # The department may differ from an earlier report; the case keeps its first one.
            cancelled = await self._reports.last(domain.CANCELLED, fact.encounter_id)
            overridden = cancelled is not None and _overrides(cancelled, discharge, sequence)
            if domain.reopens(conflict.history, cause) and not overridden:
                if domain.must_wait(conflict.history):
                    raise TransientError(
                        "the retraction is not in the chart yet, or its texts are being erased"
                    ) from None
                last = conflict.history[-1]
                await self._append_discharged(last.case, fact, last.head, cause)
                cancelled = await self._reports.last(domain.CANCELLED, fact.encounter_id)
            if cancelled is not None and sequence is not None and cancelled.sequence > sequence:
                # It may have been handled before the case was open again, and found nothing to withdraw.
                await self._cancel(cancelled)

    async def _append_discharged(self, case: CaseRef, fact: EncounterReported, after: ChainHead, cause: str) -> None:
        event = domain.discharge(fact)
        await self._journal.append(case, event, after=after, id=derived_id(cause, event.event), time=self._clock())

    async def withdraw(self, fact: EncounterReported, cause: str) -> None:
        """Withdraw the encounter's case if nobody has signed; raise an alert if somebody has."""
        history = await self._journal.find(self.case_of(fact).id)
        decision = domain.withdraw(history)
        if decision == "unknown":
            raise TransientError("there is no case for this encounter")
        if decision == "too-late":
            case = history[-1].case
            await publish_alert(
                self._bus,
                "warning",
                "discharge-cancelled-after-signature",
                id=cause,
                case=case.id,
                department=case.department,
                reason="the document is signed: correct it, or let two people retract it, on the page of the case",
                page=f"/reviews/{case.id}",
            )
        if isinstance(decision, Withdrawn):
            last = history[-1]
            try:
                await self._journal.append(
                    last.case, decision, after=last.head, id=derived_id(cause, decision.event), time=self._clock()
                )
            except WrongExpectedVersionError:
                raise TransientError("the case changed while it was being withdrawn") from None


def _overrides(cancelled: StoredReport, discharge: Report, sequence: int | None) -> bool:
    """Return whether the discharge does not undo the cancellation, whichever of the two is handled first."""
    if sequence is not None and cancelled.sequence > sequence:
        return not domain.outlasts(discharge, cancelled.report)
    return not domain.opens_after(discharge, cancelled.report)
