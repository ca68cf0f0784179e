"""Convert messages of the EHR stream into events of a case."""

from collections.abc import Sequence

from nats.aio.msg import Msg

from services.ingest import domain
from services.ingest.preparation import rules
from services.ingest.publishers import ADT_SOURCE
from shared.contracts.case import fold
from shared.contracts.ehr import EncounterReported, parse_encounter_reported
from shared.contracts.envelope import CHAIN_START, RecordedEvent
from shared.contracts.errors import TransientError
from shared.contracts.events import Withdrawn
from shared.contracts.subjects import CaseRef, case_id, derived_id, encounter_subject
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
        self._journal = EventStore(bus, "ingest")

    async def on_discharged(self, message: Msg) -> None:
        fact, source = parse_encounter_reported(message.subject, message.data), (message.headers or {}).get("ce-source")
        sequence = message.metadata.sequence.stream
        cause = causation_id(message)
        await self.open(fact, cause, from_adt=source == ADT_SOURCE, sequence=sequence)
        # A cancellation that was handled while the case was only prepared had nothing to withdraw.
        if await self._cancelled_since(fact, sequence):
            history = await self._journal.find(self.case_of(fact).id)
            if domain.last_opened_by(history, cause):
                await self.withdraw(fact, cause)

    async def on_cancelled(self, message: Msg) -> None:
        fact = parse_encounter_reported(message.subject, message.data)
        if not await self._discharged_since(fact, message.metadata.sequence.stream):
            await self.withdraw(fact, causation_id(message))

    async def _discharged_since(self, fact: EncounterReported, sequence: int) -> bool:
        """Return whether a later discharge was reported: a repeated cancellation does not cancel it."""
        subject = encounter_subject(domain.DISCHARGED, "*", fact.encounter_id)
        return bool(await self._bus.direct_get("EHR", {"seq": sequence + 1, "next_by_subj": subject, "batch": 1}))

    def case_of(self, fact: EncounterReported) -> CaseRef:
        if fact.department is None:
            raise ValueError("a message without a department cannot identify a case")
        return CaseRef(fact.department, case_id(self._organization, fact.encounter_id))

    async def _cancelled_by_adt_since(self, fact: EncounterReported) -> bool:
        """Return whether the ADT feed cancelled the discharge after it happened: it is that feed which reopens it."""
        subject = encounter_subject(domain.CANCELLED, "*", fact.encounter_id)
        for message in await self._bus.direct_get("EHR", {"last_by_subj": subject}):
            headers = message.headers or {}
            cancelled = parse_encounter_reported(headers["Nats-Subject"], message.data)
            return headers.get("ce-source") == ADT_SOURCE and domain.precedes(fact, cancelled)
        return False

    async def _cancelled_since(self, fact: EncounterReported, sequence: int) -> bool:
        """Return whether a later cancellation was reported: a discharge that is redelivered does not undo it."""
        subject = encounter_subject(domain.CANCELLED, "*", fact.encounter_id)
        for message in await self._bus.direct_get("EHR", {"seq": sequence + 1, "next_by_subj": subject, "batch": 1}):
            cancelled = parse_encounter_reported((message.headers or {})["Nats-Subject"], message.data)
            return not domain.precedes(cancelled, fact)
        return False

    async def open(
        self, fact: EncounterReported, cause: str, *, from_adt: bool = False, sequence: int | None = None
    ) -> None:
        """Open the encounter's case unless it is open already: a discharge that is reported thrice is one case.

        What comes from the ADT feed (`from_adt`) is in its order already. `sequence`: of the report in the EHR stream.
        """
        history: Sequence[RecordedEvent] = ()
        for _ in range(MAX_ATTEMPTS):
            try:
                await self._append_discharged(fact, history, cause)
            except WrongExpectedVersionError as conflict:
                history = conflict.history
            else:
                return
            if not domain.reopens(history, cause):
                return
            if not from_adt and await self._cancelled_by_adt_since(fact):
                return
            if sequence is not None and await self._cancelled_since(fact, sequence):
                return
            if domain.must_wait(history):
                raise TransientError("the retraction is not in the chart yet, or its texts are being erased")
        raise TransientError("the case changed too often while its discharge was being appended")

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


def causation_id(message: Msg) -> str:
    """Return the id of an EHR message: its CloudEvents id, or its stream position where the engine sends none."""
    headers = message.headers or {}
    return headers.get("ce-id") or f"EHR/{message.metadata.sequence.stream}"
