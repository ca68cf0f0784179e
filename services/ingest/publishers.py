"""Publish what HTTP callers report to the EHR stream, as an integration engine would."""

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from shared.contracts.cloudevents import event_headers
from shared.contracts.ehr import Department, EncounterReported, FhirId, PractitionerReference, TaskChanged
from shared.contracts.preparation import PreparationTrigger
from shared.contracts.subjects import encounter_subject
from shared.messaging.connection import NatsConnection
from shared.messaging.ehr_facts import publish_task_changed

ADT_SOURCE = "countersign/ingest/adt"  # of reports that follow from an ADT feed, and are in its order


def _slug(value: object) -> object:
    """Convert a name to a subject token: `Internal Medicine` → `internal-medicine`."""
    return re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-") if isinstance(value, str) else value


def _practitioner(value: object) -> object:
    return f"Practitioner/{value}" if isinstance(value, str) and "/" not in value else value


class EncounterReport(BaseModel):
    """What happened to an encounter, as the caller knows it."""

    model_config = ConfigDict(extra="forbid")

    encounter_id: FhirId = Field(description="logical id of the FHIR Encounter")
    department: Annotated[Department, BeforeValidator(_slug)] | None = None
    attending: Annotated[PractitionerReference, BeforeValidator(_practitioner)] | None = Field(
        default=None, description="FHIR reference; read from the Encounter when absent"
    )
    occurred_at: AwareDatetime | None = Field(default=None, description="RFC 3339 with an offset")
    died: bool | None = Field(default=None, description="true: the patient died; absent: the record says whether")


class PendingDischarge(EncounterReport):
    """A stay whose discharge is near, as the caller knows it."""

    expected_at: AwareDatetime | None = Field(
        default=None, description="when the discharge is expected, RFC 3339 with an offset"
    )
    trigger: PreparationTrigger = Field(default="pending-discharge", description="what made the discharge known")
    tokens: int | None = Field(default=None, ge=0, description="tokens that the model may use; absent: no limit")


class EncounterPublisher:
    """Publishes reports about encounters. `new_id` gives the ids of messages."""

    def __init__(self, bus: NatsConnection, default_department: str, new_id: Callable[[], str]) -> None:
        self._default_department = default_department
        self._new_id = new_id
        self._bus = bus

    async def publish(self, name: str, report: EncounterReport) -> tuple[EncounterReported, str]:
        """Store the report on the EHR stream; returns it as a fact, and its id."""
        cause = self._new_id()
        return await self._store(name, report, event_headers(id=cause, type=_type(name), source="ingest")), cause

    async def publish_once(self, name: str, report: EncounterReport, id: str) -> None:
        """Store a report with an id of its own; a repetition has no effect."""
        await self._store(name, report, event_headers(id=id, type=_type(name), source="ingest"))

    async def publish_resolved(
        self, name: str, report: EncounterReport, *, id: str, after: tuple[str, int]
    ) -> EncounterReported:
        """Store a report that follows from an ADT feed, if `after` is still the last message of its filter.

        `after` is a filter of the EHR stream and a sequence. Raises WrongSequenceError where it is not.
        """
        filter, sequence = after
        expected = {
            "Nats-Expected-Last-Subject-Sequence": str(sequence),
            "Nats-Expected-Last-Subject-Sequence-Subject": filter,
        }
        headers = event_headers(id=id, type=_type(name), source="ingest") | {"ce-source": ADT_SOURCE}
        return await self._store(name, report, headers | expected)

    async def _store(self, name: str, report: EncounterReport, headers: dict[str, str]) -> EncounterReported:
        department = report.department or self._default_department
        fact = EncounterReported(**report.model_dump() | {"department": department})
        subject = encounter_subject(name, department, fact.encounter_id)
        body = fact.model_dump_json(exclude_none=True).encode()
        await self._bus.publish(subject, body, stream="EHR", headers=headers, id=headers["ce-id"])
        return fact


def _type(name: str) -> str:
    return f"countersign.ehr.encounter.{name}.v1"


class NotificationPublisher:
    """Publishes what FHIR notifications are about. `new_id` gives the ids of messages."""

    def __init__(self, bus: NatsConnection, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self._bus = bus

    async def publish(self, facts: list[TaskChanged]) -> None:
        """Store the facts; returns once they are stored, so that an EHR that got its answer need not repeat them."""
        for fact in facts:
            await publish_task_changed(self._bus, fact, source="ingest", id=self._new_id())
