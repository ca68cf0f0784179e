"""REST door for discharges. What it accepts goes on the bus; the bus is where it counts."""

import re
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field

from services.ingest import domain
from services.ingest.handlers import Ingest
from shared.contracts.ehr import Department, EncounterReported, FhirId, PractitionerReference
from shared.contracts.subjects import encounter_subject
from shared.messaging.connection import Bus
from shared.runtime.authentication import Authenticator, Caller


def _slug(value: object) -> object:
    """`Internal Medicine` → `internal-medicine`: departments are subject tokens."""
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


class Accepted(BaseModel):
    """Where the case can be watched."""

    case_id: str
    case_url: str


class Door:
    """Publishes reports to the EHR stream, as an integration engine would."""

    def __init__(self, ingest: Ingest, default_department: str, new_id: Callable[[], str]) -> None:
        self._ingest = ingest
        self._default_department = default_department
        self._new_id = new_id

    def attach(self, bus: Bus) -> None:
        self._bus = bus

    async def publish(self, name: str, report: EncounterReport) -> tuple[EncounterReported, str]:
        """Store the report on the EHR stream; returns it as a fact, and its id."""
        department = report.department or self._default_department
        fact = EncounterReported(**report.model_dump() | {"department": department})
        cause = self._new_id()
        headers = {
            "ce-specversion": "1.0",
            "ce-id": cause,
            "ce-type": f"countersign.ehr.encounter.{name}.v1",
            "ce-source": "countersign/ingest",
            "content-type": "application/json",
        }
        subject = encounter_subject(name, department, fact.encounter_id)
        body = fact.model_dump_json(exclude_none=True).encode()
        await self._bus.publish(subject, body, stream="EHR", headers=headers, id=cause)
        return fact, cause

    def accepted(self, request: Request, fact: EncounterReported) -> Accepted:
        case = self._ingest.case_of(fact)
        return Accepted(case_id=case.id, case_url=f"{request.base_url}v1/cases/{case.id}")


def make_router(door: Door, ingest: Ingest, guard: Authenticator) -> APIRouter:
    router = APIRouter(tags=["ingest"])
    caller = Annotated[Caller, Depends(guard.require("ingest"))]

    @router.post("/v1/encounters/discharged", status_code=202, summary="A patient was discharged")
    async def discharged(report: EncounterReport, request: Request, _: caller) -> Accepted:
        fact, cause = await door.publish(domain.DISCHARGED, report)
        # The consumer would open the case too; doing it here means that case_url answers at once.
        await ingest.open(fact, cause)
        return door.accepted(request, fact)

    @router.post("/v1/encounters/discharge-cancelled", status_code=202, summary="A discharge was taken back")
    async def cancelled(report: EncounterReport, request: Request, _: caller) -> Accepted:
        fact, _cause = await door.publish(domain.CANCELLED, report)
        return door.accepted(request, fact)

    return router
