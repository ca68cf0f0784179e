"""Publish to the EHR stream what callers report and what follows from ADT and FHIR, as an integration engine would."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from services.ingest.domain import CANCELLED, DischargeReport
from services.ingest.stored_reports import ARRIVED, StoredReport
from shared.contracts.cloudevents import event_headers
from shared.contracts.ehr import (
    AppointmentChanged,
    Department,
    EncounterChanged,
    EncounterReported,
    FhirId,
    PractitionerReference,
    TaskChanged,
)
from shared.contracts.preparation import PreparationTrigger
from shared.contracts.subjects import encounter_subject
from shared.messaging.connection import NatsConnection
from shared.messaging.ehr_publisher import (
    publish_appointment_changed,
    publish_encounter_changed,
    publish_task_changed,
)
from shared.messaging.event_store import Clock


def _slug(value: object) -> object:
    """Convert a name to a subject token: `Internal Medicine` → `internal-medicine`."""
    return re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-") if isinstance(value, str) else value


def _practitioner(value: object) -> object:
    return f"Practitioner/{value}" if isinstance(value, str) and "/" not in value else value


class EncounterReport(BaseModel):
    """What happened to an encounter, as the caller knows it."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {"encounter_id": "enc-1042", "department": "cardiology", "occurred_at": "2026-11-30T10:15:00+01:00"}
            ]
        },
    )

    encounter_id: FhirId = Field(description="logical id of the FHIR Encounter")
    department: Annotated[Department, BeforeValidator(_slug)] | None = None
    attending: Annotated[PractitionerReference, BeforeValidator(_practitioner)] | None = Field(
        default=None, description="FHIR reference; read from the Encounter when absent"
    )
    occurred_at: AwareDatetime | None = Field(default=None, description="RFC 3339 with an offset")
    died: bool | None = Field(default=None, description="true: the patient died; absent: the record says whether")


class PendingDischarge(EncounterReport):
    """A stay whose discharge is near, as the caller knows it."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"encounter_id": "enc-1042", "department": "cardiology", "expected_at": "2026-12-01T11:00:00+01:00"}
            ]
        }
    )

    expected_at: AwareDatetime | None = Field(
        default=None, description="when the discharge is expected, RFC 3339 with an offset"
    )
    trigger: PreparationTrigger = Field(default="pending-discharge", description="what made the discharge known")
    tokens: int | None = Field(default=None, ge=0, description="tokens that the model may use; absent: no limit")


class PlannedDischarge(PendingDischarge):
    """A discharge that an Appointment plans."""

    appointment: FhirId


class PlanCancelled(EncounterReport):
    """An Appointment no longer plans the discharge."""

    appointment: FhirId


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a report that ingest itself makes comes from: `source` is that of ADT or FHIR (`stored_reports`).

    `id` is the same for the same fact. The report is stored only if `after`, a filter of the EHR stream and a sequence,
    still names the last message of that filter. `arrived`: the sequence of the ADT message that it follows from.
    """

    source: str
    id: str
    after: tuple[str, int]
    recorded_at: datetime | None = None
    finished: bool | None = None
    arrived: int | None = None


class EncounterPublisher:
    """Publishes reports about encounters. `new_id` gives the ids of messages."""

    def __init__(self, bus: NatsConnection, default_department: str, new_id: Callable[[], str], clock: Clock) -> None:
        self._default_department = default_department
        self._new_id = new_id
        self._bus = bus
        self._clock = clock

    async def publish(self, name: str, report: EncounterReport) -> StoredReport:
        """Store the report of a caller on the EHR stream. A cancellation without a time is of this moment."""
        cause = self._new_id()
        fact = self._fact(report, self._clock() if name == CANCELLED and report.occurred_at is None else None)
        sequence = await self._store(name, fact, event_headers(id=cause, type=_type(name), source="ingest"))
        return StoredReport(DischargeReport(fact, "other"), sequence, cause, sequence)

    async def publish_once(self, name: str, report: EncounterReport, id: str) -> None:
        """Store a report with an id of its own; a repetition has no effect."""
        await self._store(name, self._fact(report, None), event_headers(id=id, type=_type(name), source="ingest"))

    async def publish_resolved(self, name: str, report: EncounterReport, origin: Origin) -> None:
        """Store a report that follows from an ADT feed or an Encounter.

        Raises WrongSequenceError where `origin.after` is not the last message any more.
        """
        filter, sequence = origin.after
        expected = {
            "Nats-Expected-Last-Subject-Sequence": str(sequence),
            "Nats-Expected-Last-Subject-Sequence-Subject": filter,
        }
        headers = event_headers(id=origin.id, type=_type(name), source="ingest") | {"ce-source": origin.source}
        if origin.arrived is not None:
            headers[ARRIVED] = str(origin.arrived)
        fact = self._fact(report, origin.recorded_at, origin.finished)
        await self._store(name, fact, headers | expected)

    def _fact(
        self, report: EncounterReport, recorded_at: datetime | None, finished: bool | None = None
    ) -> EncounterReported:
        department = report.department or self._default_department
        more = {"department": department, "recorded_at": recorded_at, "finished": finished}
        return EncounterReported(**report.model_dump() | more)

    async def _store(self, name: str, fact: EncounterReported, headers: dict[str, str]) -> int:
        """Return the sequence in the stream."""
        subject = encounter_subject(name, str(fact.department), fact.encounter_id)
        body = fact.model_dump_json(exclude_none=True).encode()
        return (await self._bus.publish(subject, body, stream="EHR", headers=headers, id=headers["ce-id"])).seq


def _type(name: str) -> str:
    return f"countersign.ehr.encounter.{name}.v1"


class NotificationPublisher:
    """Publishes what FHIR notifications are about. `new_id` gives the ids of messages."""

    def __init__(self, bus: NatsConnection, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._bus = bus

    async def publish(self, facts: Sequence[TaskChanged | EncounterChanged | AppointmentChanged]) -> None:
        """Store the facts; returns once they are stored, so that an EHR that got its answer need not repeat them."""
        for fact in facts:
            if isinstance(fact, TaskChanged):
                await publish_task_changed(self._bus, fact, source="ingest", id=self._new_id())
            elif isinstance(fact, AppointmentChanged):
                await publish_appointment_changed(self._bus, fact, source="ingest", id=self._new_id())
            else:
                await publish_encounter_changed(self._bus, fact, source="ingest", id=self._new_id())
