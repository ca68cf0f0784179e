"""Convert messages of the EHR stream into events of a case."""

from collections.abc import Sequence

from nats.aio.msg import Msg

from services.ingest import domain
from services.ingest.domain import DischargeReport
from services.ingest.preparation import rules
from services.ingest.stored_reports import StoredReport, StoredReports, of_message
from shared.contracts.case import fold
from shared.contracts.ehr import EncounterReported
from shared.contracts.envelope import CHAIN_START, RecordedEvent
from shared.contracts.errors import TransientError
from shared.contracts.events import Withdrawn
from shared.contracts.subjects import CaseRef, case_id, derived_id
from shared.messaging.connection import NatsConnection
from shared.messaging.dead_letter_queue import publish_alert
from shared.messaging.event_store import EventStore, WrongExpectedVersionError
from shared.messaging.steps import Clock

MAX_ATTEMPTS = 5  # to append while other events of the case come in


class Ingest:
    """Open and withdraw cases. `organization` is part of every case id.

    `default_department` is that of reports which name none.
    """

    def __init__(
        self, bus: NatsConnection, organization: str, clock: Clock, default_department: str = "general"
    ) -> None:
        self._organization = organization
        self._default_department = default_department
        self._clock = clock
        self._bus = bus
        self._event_store = EventStore(bus, "ingest")
        self._reports = StoredReports(bus)

    async def on_discharged(self, message: Msg) -> None:
        stored = of_message(message)
        await self.open(stored.report.fact, stored.id, stored)

    async def on_cancelled(self, message: Msg) -> None:
        await self._cancel(of_message(message))

    async def _cancel(self, cancelled: StoredReport) -> None:
        if not await self._discharged_again(cancelled):
            await self.withdraw(cancelled.report.fact, cancelled.id)

    async def _discharged_again(self, cancelled: StoredReport) -> bool:
        """Return whether a later discharge was reported: a cancellation that is repeated or late does not cancel it."""
        encounter = cancelled.report.fact.encounter_id
        async for item in self._reports.since(domain.DISCHARGED, encounter, 0):
            follows = item.came_after(cancelled) and domain.opens_after(item.report, cancelled.report)
            if follows or domain.is_later_than(item.report, cancelled.report):
                return True
        return False

    def case_of(self, fact: EncounterReported) -> CaseRef:
        if fact.department is None:
            raise ValueError("a message without a department cannot identify a case")
        return CaseRef(fact.department, case_id(self._organization, fact.encounter_id))

    async def open(self, fact: EncounterReported, cause: str, stored: StoredReport | None = None) -> None:
        """Open the encounter's case unless it is open already: a discharge that is reported thrice is one case.

        `stored`: the report in the EHR stream; None: it is stored nowhere, and later than what is.
        """
        history = list[RecordedEvent]()
        for _ in range(MAX_ATTEMPTS):
            try:
                await self._append_discharged(fact, history, cause)
            except WrongExpectedVersionError as conflict:
                history = list(conflict.history)
            else:
                break
            if not domain.reopens(history, cause, fact.occurred_at) or await self._is_overridden(fact, stored):
                break
            if domain.must_wait(history):
                raise TransientError("the retraction is not in the chart yet, or its texts are being erased")
        else:
            raise TransientError("the case changed too often while its discharge was being appended")
        if stored is not None:
            cancelled = await self._reports.last(domain.CANCELLED, fact.encounter_id)
            if cancelled is not None and cancelled.came_after(stored):
                # It may have been handled while the case was only prepared, or withdrawn, and had no effect.
                await self._cancel(cancelled)

    async def _is_overridden(self, fact: EncounterReported, stored: StoredReport | None) -> bool:
        """Return whether a cancellation was reported that the discharge does not undo."""
        cancellations = [item async for item in self._reports.since(domain.CANCELLED, fact.encounter_id, 0)]
        if not cancellations:
            return False
        last = max(cancellations, key=lambda item: item.arrived)
        if stored is None:
            return not domain.opens_after(DischargeReport(fact, "other"), last.report)
        return _overrides(last, stored)

    async def _append_discharged(self, fact: EncounterReported, history: Sequence[RecordedEvent], cause: str) -> None:
        case, after = self.case_of(fact), CHAIN_START
        if history:
            # The department may differ from an earlier discharge; the case keeps its first one. A stay that was only
            # prepared follows the patient.
            last = history[-1]
            case, after = last.case, last.head
            if fold(history).preparation is not None:
                case = rules.case_after(case, fact, self._default_department)
        event = domain.discharge(fact, history)
        await self._event_store.append(case, event, after=after, id=derived_id(cause, event.event), time=self._clock())

    async def withdraw(self, fact: EncounterReported, cause: str) -> None:
        """Withdraw the encounter's case if nobody has signed; raise an alert if somebody has."""
        history = await self._event_store.find(self.case_of(fact).id)
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
                await self._event_store.append(
                    last.case, decision, after=last.head, id=derived_id(cause, decision.event), time=self._clock()
                )
            except WrongExpectedVersionError:
                raise TransientError("the case changed while it was being withdrawn") from None


def _overrides(cancelled: StoredReport, discharge: StoredReport) -> bool:
    """Return whether the discharge does not undo the cancellation, whichever of the two is handled first."""
    if cancelled.came_after(discharge):
        return not domain.is_later_than(discharge.report, cancelled.report)
    return not domain.opens_after(discharge.report, cancelled.report)
