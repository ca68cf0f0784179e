"""Turn facts about visits into facts about encounters, once the EHR knows the visit."""

from collections.abc import AsyncIterator

from nats.aio.msg import Msg

from services.ingest import domain
from services.ingest.hl7 import visits
from services.ingest.hl7.encounters import EncounterFinder
from services.ingest.hl7.visits import StoredVisit
from services.ingest.preparation import rules
from services.ingest.publishers import EncounterPublisher, EncounterReport, Origin, PendingDischarge
from services.ingest.stored_reports import ADT_SOURCE, StoredReport, StoredReports
from shared.clinical import elements
from shared.clinical.elements import Resource
from shared.clinical.fhir_client import FhirClient
from shared.contracts.case import fold
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.subjects import case_id, derived_id, visit_subject
from shared.contracts.visits import (
    ADMISSION_ENDED,
    DISCHARGED,
    MERGED,
    PENDING,
    VisitReported,
    parse_visit_reported,
    visit_token,
)
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.messaging.dead_letter_queue import publish_alert
from shared.messaging.event_store import EventStore
from shared.messaging.stream_pages import read_stream_pages

MAX_PUBLISH_ATTEMPTS = 5  # to publish while other facts of the visit come in
UNKNOWN = "the EHR does not know the visit yet"


class VisitResolver:
    """Reports the current state of a visit as a fact about its encounter; `organization` is part of every case id.

    Two facts of one visit may be resolved at the same time. Each is published on condition that no other fact of the
    visit was stored since the history was read, so that the current state is also published last.
    """

    def __init__(self, bus: NatsConnection, ehr: FhirClient, encounters: EncounterPublisher, organization: str) -> None:
        self._bus = bus
        self._finder = EncounterFinder(ehr)
        self._encounters = encounters
        self._organization = organization
        self._cases = EventStore(bus, "ingest")
        self._reports = StoredReports(bus)

    async def on_visit(self, message: Msg) -> None:
        fact = parse_visit_reported(message.subject, message.data)
        if fact.event in MERGED:
            await self._alert_merge(fact)
            return
        for _ in range(MAX_PUBLISH_ATTEMPTS):
            history = await self._history(fact)
            if not visits.is_current(fact, history):
                return
            try:
                await self._report(fact, history)
            except WrongSequenceError:
                continue
            return
        raise TransientError("facts of the visit came in too often while one was being resolved")

    async def _report(self, fact: VisitReported, history: list[StoredVisit]) -> None:
        """Publish the current state. Raises WrongSequenceError if another fact of the visit came in."""
        if visits.is_pending(fact):
            await self._report_pending(fact, history)
            return
        cancelled = fact.event != DISCHARGED
        encounter = await self._encounter(fact, needed=not cancelled or visits.was_discharged(history))
        if encounter is None:
            return
        if fact.event in ADMISSION_ENDED:
            await self._end_preparation(fact, str(encounter["id"]), history)
        if cancelled:
            report = await self._cancellation(fact, str(encounter["id"]))
        else:
            report = await self._discharge(fact, encounter)
        if report is None:
            return
        if cancelled:
            await self._publish(domain.CANCELLED, report, fact, history)
        else:
            finished = encounter.get("status") == "finished"
            await self._publish(domain.DISCHARGED, report, fact, history, finished=finished)

    async def _report_pending(self, fact: VisitReported, history: list[StoredVisit]) -> None:
        pending = fact.event == PENDING
        encounter = await self._encounter(fact, needed=pending or visits.was_pending(history))
        if encounter is None:
            return
        if not pending:
            await self._end_preparation(fact, str(encounter["id"]), history)
        elif (report := await self._discharge(fact, encounter)) is not None:
            asked = PendingDischarge(**report.model_dump(exclude={"occurred_at"}), expected_at=fact.expected_at)
            await self._publish(rules.PENDING, asked, fact, history)

    async def _end_preparation(self, fact: VisitReported, encounter_id: str, history: list[StoredVisit]) -> None:
        """Report that no discharge is pending any more, where one was."""
        case = await self._cases.find(case_id(self._organization, encounter_id))
        if fold(case).preparation is None and not visits.was_pending(history):
            return
        report = EncounterReport(encounter_id=encounter_id, department=case[-1].case.department if case else None)
        await self._publish(rules.PENDING_CANCELLED, report, fact, history)

    async def _publish(
        self,
        name: str,
        report: EncounterReport,
        fact: VisitReported,
        history: list[StoredVisit],
        *,
        finished: bool | None = None,
    ) -> None:
        id, last = derived_id(fact.key, name), await self._reports.last(name, report.encounter_id)
        if last is None or last.id != id:  # a resend has no effect
            after = (visit_subject("*", _token(fact)), history[-1].sequence)
            arrived = min(item.sequence for item in history if item.fact.key == fact.key)
            origin = Origin(ADT_SOURCE, id, after, fact.recorded_at, finished, arrived)
            await self._encounters.publish_resolved(name, report, origin)

    async def _encounter(self, fact: VisitReported, *, needed: bool) -> Resource | None:
        """Return the visit's Encounter; None where a person has to look, or there is none and none is needed.

        Raises TransientError while the EHR does not know the visit: FHIR lags behind ADT.
        """
        assert fact.visit is not None  # noqa: S101 - `_token` has refused it
        found = await self._finder.encounters(fact.visit)
        if not found and needed:
            raise TransientError(UNKNOWN)
        if len(found) > 1:
            await self._alert("adt-visit-ambiguous", fact, reason="several Encounters have the visit number")
        if len(found) != 1:
            return None
        if fact.patients and (await self._finder.patient_digests(found[0])).isdisjoint(fact.patients):
            reason = "the Encounter of the visit belongs to another patient than the message says"
            await self._alert("adt-wrong-patient", fact, encounter=str(found[0]["id"]), reason=reason)
            return None
        return found[0]

    async def _discharge(self, fact: VisitReported, encounter: Resource) -> EncounterReport | None:
        if fact.inpatient is None and not visits.is_inpatient(encounter):
            return None
        attending = await self._finder.practitioner(fact.attending) if fact.attending is not None else None
        end = elements.child(encounter, "period").get("end")
        return EncounterReport(
            encounter_id=str(encounter["id"]),
            department=fact.department,
            attending=attending,
            occurred_at=visits.discharged_at(fact, end),
            died=fact.died or None,
        )

    async def _cancellation(self, fact: VisitReported, encounter_id: str) -> EncounterReport | None:
        """Return the report of a cancellation; None where there is none, or a later discharge by another way."""
        history = await self._cases.find(case_id(self._organization, encounter_id))
        reported = [item async for item in self._reports.since(domain.DISCHARGED, encounter_id, 0)]
        if not reported and not history:
            return None
        if any(_is_later(item, fact) for item in reported):
            return None
        department = history[-1].case.department if history else fact.department
        return EncounterReport(encounter_id=encounter_id, department=department, occurred_at=fact.recorded_at)

    async def _alert_merge(self, merge: VisitReported) -> None:
        """Alert people to each open case whose patient was merged into another. The case itself stays open."""
        async for discharged in self._discharges():
            if discharged.visit is None or not visits.merged_away(discharged, merge):
                continue
            for encounter in await self._finder.encounters(discharged.visit):
                history = await self._cases.find(case_id(self._organization, str(encounter["id"])))
                if visits.is_open(fold(history)):
                    case = history[-1].case
                    await publish_alert(
                        self._bus,
                        "warning",
                        "adt-patient-merged",
                        id=f"{merge.key}-{case.id}",
                        case=case.id,
                        department=case.department,
                        sender=merge.sender,
                        reason="the patient of an open case was merged into another: check the patient before signing",
                        page=f"/reviews/{case.id}",
                    )

    async def _discharges(self) -> AsyncIterator[VisitReported]:
        """Yield the discharges of the last thirty days, as long as the stream keeps them."""
        async for page in read_stream_pages(self._bus, "EHR", visit_subject(DISCHARGED, "*")):
            for item in page:
                yield parse_visit_reported((item.headers or {})["Nats-Subject"], item.data)

    async def _history(self, fact: VisitReported) -> list[StoredVisit]:
        """Return all facts of the visit, oldest first.

        Raises TransientError where the copy that was read does not contain `fact` yet.
        """
        found = [
            StoredVisit(
                parse_visit_reported((item.headers or {})["Nats-Subject"], item.data),
                int((item.headers or {})["Nats-Sequence"]),
            )
            async for page in read_stream_pages(self._bus, "EHR", visit_subject("*", _token(fact)))
            for item in page
        ]
        if all(item.fact.key != fact.key for item in found):
            raise TransientError("the copy of the stream that was read is behind")
        return found

    async def _alert(self, kind: str, fact: VisitReported, **facts: str) -> None:
        await publish_alert(self._bus, "warning", kind, id=fact.key, sender=fact.sender, event=fact.event, **facts)


def _is_later(discharge: StoredReport, cancellation: VisitReported) -> bool:
    """Return whether a discharge that did not come by ADT is later; those by ADT are in order already."""
    happened = discharge.report.fact.occurred_at
    return discharge.report.route != "adt" and happened is not None and happened > cancellation.recorded_at


def _token(fact: VisitReported) -> str:
    if fact.visit is None:
        raise PermanentError("the fact names no visit")
    return visit_token(fact.visit.value)
