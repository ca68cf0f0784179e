"""Read a changed Appointment, and report the discharge that it plans, or no longer plans."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta

from nats.aio.msg import Msg

from services.ingest.appointments import rules
from services.ingest.appointments.rules import AppointmentPlan
from services.ingest.encounters.status import GOES_ON, department_of
from services.ingest.hl7.visits import is_inpatient
from services.ingest.preparation.rules import PENDING, PENDING_CANCELLED
from services.ingest.publishers import EncounterPublisher, Origin, PlanCancelled, PlannedDischarge
from services.ingest.stored_reports import FHIR_SOURCE, StoredReport, StoredReports
from shared.clinical import elements
from shared.clinical.elements import Resource
from shared.clinical.fhir_client import FhirClient, NotFoundError
from shared.contracts.ehr import AppointmentChanged, parse_appointment_changed
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.subjects import derived_id, updated_subject
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.messaging.event_store import Clock

MAX_PUBLISH_ATTEMPTS = 5  # to publish while the Appointment goes on changing
SLACK = timedelta(hours=1)  # for an Appointment that becomes near between its notification and the poll
MAX_ENCOUNTERS = 5  # that an Appointment names


class AppointmentUpdates:
    """Reports planned discharges as pending ones, and their cancellations.

    Each report is published on condition that no other change of the Appointment was stored since before it was read.
    """

    def __init__(
        self,
        bus: NatsConnection,
        ehr: FhirClient,
        encounters: EncounterPublisher,
        types: Collection[str],
        within: timedelta,
        departments: Mapping[str, str],
        clock: Clock,
    ) -> None:
        """`types`: codes of Appointments that plan a discharge; without any, all changes are ignored."""
        self._bus, self._ehr, self._encounters, self._clock = bus, ehr, encounters, clock
        self._types, self._within, self._departments = frozenset(types), within, dict(departments)
        self._reports = StoredReports(bus)

    async def on_updated(self, message: Msg) -> None:
        fact = parse_appointment_changed(message.subject, message.data)
        if not self._types:
            return
        for _ in range(MAX_PUBLISH_ATTEMPTS):
            after = await self._last_change(fact.appointment_id, message.metadata.sequence.stream)
            appointment = await self._read(fact)
            try:
                await self._report(fact.appointment_id, appointment, after)
            except WrongSequenceError:
                continue
            return
        raise TransientError("the Appointment changed too often while it was being read")

    async def _last_change(self, appointment_id: str, own: int) -> tuple[str, int]:
        """Return the filter and the sequence of the last stored change. A copy that lags may not have our own."""
        subject = updated_subject("appointment", appointment_id)
        found = await self._bus.direct_get("EHR", {"last_by_subj": subject})
        return subject, max([own, *(int((item.headers or {})["Nats-Sequence"]) for item in found)])

    async def _read(self, fact: AppointmentChanged) -> Resource | None:
        """Return the Appointment; None where it was deleted. Raises TransientError where it is not there otherwise."""
        try:
            return await self._ehr.read("Appointment", fact.appointment_id)
        except NotFoundError:
            if fact.deleted:
                return None
            raise TransientError("the EHR does not show the Appointment that it named") from None

    async def _report(self, appointment_id: str, appointment: Resource | None, after: tuple[str, int]) -> None:
        if appointment is None:
            await self._cancelled(appointment_id, None, after)
            return
        polled = bool(rules.search_parameters(await self._ehr.capabilities()))
        plan = rules.plan_of(appointment, self._types, self._clock(), self._within + SLACK if polled else None)
        if plan is None:
            return
        if plan.status == "unplanned":
            await self._cancelled(appointment_id, appointment, after)
        else:
            await self._planned(appointment_id, appointment, plan, after)

    async def _planned(self, id: str, appointment: Resource, plan: AppointmentPlan, after: tuple[str, int]) -> None:
        """Report the pending discharge of the Encounter, once for each time that it is planned at."""
        encounter = await self._encounter(id, appointment)
        if encounter is None:
            return
        encounter_id = str(encounter["id"])
        reported = await self._last(PENDING, encounter_id, id)
        cancelled = await self._last(PENDING_CANCELLED, encounter_id, id)
        stands = reported is not None and (cancelled is None or cancelled.sequence < reported.sequence)
        if stands and reported is not None and reported.report.fact.expected_at == plan.at:
            return
        # What was moved or cancelled may be planned for the same time again.
        which = f"{plan.at}/{_version(appointment) if reported is not None else ''}"
        cause = derived_id(f"Appointment/{id}/{which}", PENDING)
        report = PlannedDischarge(
            encounter_id=encounter_id,
            department=department_of(encounter, self._departments),
            expected_at=plan.at,
            trigger="planned-date",
            appointment=id,
        )
        await self._encounters.publish_resolved(PENDING, report, Origin(FHIR_SOURCE, cause, after))

    async def _cancelled(self, id: str, appointment: Resource | None, after: tuple[str, int]) -> None:
        """Report that the discharge is not pending any more, for each Encounter whose discharge was planned by it."""
        last: dict[str, StoredReport] = {}
        async for item in self._reports.since(PENDING, "*", 0):
            if item.report.fact.appointment == id:
                last[item.report.fact.encounter_id] = item
        for encounter_id, planned in last.items():
            cancelled = await self._last(PENDING_CANCELLED, encounter_id, id)
            if cancelled is not None and cancelled.sequence > planned.sequence:
                continue
            cause = derived_id(f"Appointment/{id}/{_version(appointment)}/{encounter_id}", PENDING_CANCELLED)
            department = planned.report.fact.department
            report = PlanCancelled(encounter_id=encounter_id, department=department, appointment=id)
            await self._encounters.publish_resolved(PENDING_CANCELLED, report, Origin(FHIR_SOURCE, cause, after))

    async def _last(self, name: str, encounter_id: str, appointment_id: str) -> StoredReport | None:
        """Return the last report of that kind that followed from the Appointment."""
        reports = [
            item
            async for item in self._reports.since(name, encounter_id, 0)
            if item.report.fact.appointment == appointment_id
        ]
        return reports[-1] if reports else None

    async def _encounter(self, id: str, appointment: Resource) -> Resource | None:
        """Return the inpatient stay that the Appointment is about; None where it has ended.

        Raises TransientError while none is named or the stay has not begun; PermanentError where several stays, or
        another patient's, are.
        """
        found = [item for item in await self._named(id, appointment) if is_inpatient(item)]
        ongoing = [item for item in found if item.get("status") in GOES_ON]
        if len(ongoing) > 1:
            raise PermanentError("the Appointment names several Encounters in progress")
        if not ongoing:
            if not found or any(item.get("status") == "planned" for item in found):
                raise TransientError("the Appointment names no Encounter of a stay that has begun")
            return None
        if rules.is_other_patient(appointment, ongoing[0], self._ehr.bases):
            raise PermanentError("the Appointment and its Encounter name different patients")
        return ongoing[0]

    async def _named(self, id: str, appointment: Resource) -> Sequence[Resource]:
        """Return the Encounters that the Appointment names, else those that name it."""
        named = rules.encounters_of(appointment, self._ehr.bases)[:MAX_ENCOUNTERS]
        if named:
            return [item for one in named if (item := await self._read_encounter(one)) is not None]
        if not (await self._ehr.capabilities()).supports_parameter("Encounter", "appointment"):
            return []
        found = await self._ehr.search("Encounter", {"appointment": f"Appointment/{id}"}, fresh=True)
        return [item for item in found if item.get("resourceType") == "Encounter" and _names(item, id)]

    async def _read_encounter(self, id: str) -> Resource | None:
        try:
            return await self._ehr.read("Encounter", id)
        except NotFoundError:
            return None


def _names(encounter: Resource, appointment_id: str) -> bool:
    """Return whether an Encounter names the Appointment: servers may ignore a search parameter."""
    references = (elements.string(item, "reference") or "" for item in elements.children(encounter, "appointment"))
    return any(f"/{item}".partition("/_history")[0].endswith(f"/Appointment/{appointment_id}") for item in references)


def _version(appointment: Resource | None) -> str:
    """Return what tells versions of an Appointment apart, where its server says it."""
    meta = elements.child(appointment, "meta")
    return elements.string(meta, "versionId") or elements.string(meta, "lastUpdated") or ""
