"""Read an Encounter that has changed, and report what it says about its discharge."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from nats.aio.msg import Msg

from services.ingest import domain
from services.ingest.encounters import status
from services.ingest.encounters.status import EncounterState
from services.ingest.hl7.visits import StoredVisit, is_open, latest
from services.ingest.preparation import rules
from services.ingest.publishers import EncounterPublisher, EncounterReport, Origin
from services.ingest.stored_reports import FHIR_SOURCE, StoredReport, StoredReports
from shared.clinical import elements
from shared.clinical.elements import Resource
from shared.clinical.fhir_client import FhirClient, NotFoundError
from shared.contracts.case import Case, fold
from shared.contracts.ehr import EncounterChanged, parse_encounter_changed
from shared.contracts.errors import TransientError
from shared.contracts.subjects import case_id, derived_id, updated_subject, visit_subject
from shared.contracts.visits import CANCELLED, parse_visit_reported, visit_token
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.messaging.event_store import Clock, EventStore
from shared.messaging.stream_pages import read_stream_pages

MAX_PUBLISH_ATTEMPTS = 5  # to publish while the Encounter goes on changing
RECENT = timedelta(days=7)  # how old a discharge may be that a change of an Encounter reports, where no time is set
MAX_IDENTIFIERS = 10  # of an Encounter that are looked up among the visits of ADT feeds
DELETED = EncounterState("entered-in-error", inpatient=False, has_end=False, ended_at=None, updated_at=None)


@dataclass(frozen=True, slots=True)
class _StoredState:
    """What is known of an encounter before it is read."""

    reported: StoredReport | None  # a discharge that no cancellation followed
    cancelled: StoredReport | None
    case: Case
    department: str | None  # of its case


class EncounterUpdates:
    """Reports discharges and cancellations that Encounters themselves say.

    Notifications of two versions may be handled at the same time. Each report is published on condition that no other
    change of the Encounter was stored since before it was read, so that the newest version is also reported last.
    """

    def __init__(
        self,
        bus: NatsConnection,
        ehr: FhirClient,
        encounters: EncounterPublisher,
        organization: str,
        departments: Mapping[str, str],
        since: datetime | None,
        clock: Clock,
    ) -> None:
        self._bus, self._ehr, self._encounters, self._clock = bus, ehr, encounters, clock
        self._organization, self._departments, self._since = organization, dict(departments), since
        self._cases = EventStore(bus, "ingest")
        self._reports = StoredReports(bus)

    async def on_updated(self, message: Msg) -> None:
        fact = parse_encounter_changed(message.subject, message.data)
        for _ in range(MAX_PUBLISH_ATTEMPTS):
            last = await self._last_change(fact.encounter_id, message.metadata.sequence.stream)
            encounter = await self._read(fact)
            try:
                await self._report(fact.encounter_id, encounter, last)
            except WrongSequenceError:
                continue
            return
        raise TransientError("the Encounter changed too often while it was being read")

    async def _last_change(self, encounter_id: str, own: int) -> int:
        """Return the sequence of the last change that is stored. A copy that lags behind has not even our own."""
        found = await self._bus.direct_get("EHR", {"last_by_subj": updated_subject("encounter", encounter_id)})
        return max([own, *(int((item.headers or {})["Nats-Sequence"]) for item in found)])

    async def _read(self, fact: EncounterChanged) -> Resource | None:
        """Return the Encounter; None where it is deleted, as the EHR had said.

        Raises TransientError where it is not there otherwise: a server may notify before its replicas show it.
        """
        try:
            return await self._ehr.read("Encounter", fact.encounter_id)
        except NotFoundError:
            if fact.deleted:
                return None
            raise TransientError("the EHR does not show the Encounter that it named") from None

    async def _report(self, encounter_id: str, encounter: Resource | None, last: int) -> None:
        """Publish what the Encounter says. Raises WrongSequenceError where it has changed again."""
        known = await self._known(encounter_id)
        state = status.state_of(encounter) if encounter is not None else DELETED
        decision = status.decide(
            state,
            reported=known.reported.report if known.reported else None,
            is_open=is_open(known.case) and known.case.preparation is None,  # a stay in progress stays prepared
            since=self._since or self._clock() - RECENT,
        )
        after = (updated_subject("encounter", encounter_id), last)
        if state.status in status.VOID and known.case.preparation is not None:
            await self._end_preparation(encounter_id, encounter, known, after)
        if decision == "cancelled":
            await self._cancelled(encounter_id, encounter, state, known, after)
            return
        if decision is None or encounter is None or not _is_news(state, known):
            return
        if not await self._withdrawn_by_adt(encounter, state):
            await self._discharged(encounter_id, encounter, state, known, after)

    async def _discharged(
        self, encounter_id: str, encounter: Resource, state: EncounterState, known: _StoredState, after: tuple[str, int]
    ) -> None:
        # An edit of a finished Encounter is the same discharge; after a cancellation a new version is another one.
        which = f"{state.ended_at}/{_version(encounter) if known.cancelled is not None else ''}"
        id = derived_id(f"Encounter/{encounter_id}/{which}", domain.DISCHARGED)
        if known.reported is not None and known.reported.id == id:
            return
        report = EncounterReport(
            encounter_id=encounter_id,
            department=known.department or status.department_of(encounter, self._departments),
            occurred_at=state.ended_at,
        )
        origin = Origin(FHIR_SOURCE, id, after, state.updated_at, finished=True)
        await self._encounters.publish_resolved(domain.DISCHARGED, report, origin)

    async def _cancelled(
        self,
        encounter_id: str,
        encounter: Resource | None,
        state: EncounterState,
        known: _StoredState,
        after: tuple[str, int],
    ) -> None:
        id = derived_id(f"Encounter/{encounter_id}/{_version(encounter)}", domain.CANCELLED)
        if known.cancelled is not None and known.cancelled.id == id:
            return
        recorded_at = state.updated_at or self._clock()
        report = EncounterReport(
            encounter_id=encounter_id,
            department=known.department or (known.reported.report.fact.department if known.reported else None),
            occurred_at=recorded_at,
        )
        origin = Origin(FHIR_SOURCE, id, after, recorded_at)
        await self._encounters.publish_resolved(domain.CANCELLED, report, origin)

    async def _end_preparation(
        self, encounter_id: str, encounter: Resource | None, known: _StoredState, after: tuple[str, int]
    ) -> None:
        """Report that no discharge is pending: the Encounter is void."""
        id = derived_id(f"Encounter/{encounter_id}/{_version(encounter)}", rules.PENDING_CANCELLED)
        report = EncounterReport(encounter_id=encounter_id, department=known.department)
        await self._encounters.publish_resolved(rules.PENDING_CANCELLED, report, Origin(FHIR_SOURCE, id, after))

    async def _known(self, encounter_id: str) -> _StoredState:
        reported = await self._reports.last(domain.DISCHARGED, encounter_id)
        cancelled = await self._reports.last(domain.CANCELLED, encounter_id)
        history = await self._cases.find(case_id(self._organization, encounter_id))
        if reported is not None and cancelled is not None and cancelled.came_after(reported):
            reported = None
        department = history[-1].case.department if history else None
        return _StoredState(reported, cancelled, fold(history), department)

    async def _withdrawn_by_adt(self, encounter: Resource, state: EncounterState) -> bool:
        """Return whether an ADT feed said after the discharge that it does not hold: FHIR may lag behind it."""
        for item in elements.children(encounter, "identifier")[:MAX_IDENTIFIERS]:
            value = item.get("value")
            if isinstance(value, str) and value and await self._is_withdrawn(value, state):
                return True
        return False

    async def _is_withdrawn(self, visit: str, state: EncounterState) -> bool:
        history = [
            StoredVisit(
                parse_visit_reported((found.headers or {})["Nats-Subject"], found.data),
                int((found.headers or {})["Nats-Sequence"]),
            )
            async for page in read_stream_pages(self._bus, "EHR", visit_subject("*", visit_token(visit)))
            for found in page
        ]
        last = latest(history)
        if last is None or last.event not in CANCELLED or state.ended_at is None:
            return False
        return last.recorded_at > state.ended_at


def _is_news(state: EncounterState, known: _StoredState) -> bool:
    """Return whether a finished Encounter may be a discharge that its case does not know.

    Encounters are edited for months after the discharge: that opens no case again whose document was retracted.
    """
    case, reported = known.case, known.reported
    if not case.exists or is_open(case):
        return True
    if known.cancelled is not None and (reported is None or case.state == "withdrawn"):
        return True
    before = reported.report.fact.occurred_at if reported is not None else None
    return before is not None and state.ended_at is not None and state.ended_at > before + status.LAG


def _version(encounter: Resource | None) -> str:
    """Return what tells versions of an Encounter apart, where its server says it."""
    meta = elements.child(encounter, "meta")
    return elements.string(meta, "versionId") or elements.string(meta, "lastUpdated") or ""
