"""REST API for discharges: a report is accepted once it is stored on the EHR stream."""

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from services.ingest import domain
from services.ingest.dependencies import Encounters, IngestSteps, Lookup, Sender
from services.ingest.encounters.lookup import Known
from services.ingest.publishers import EncounterReport
from shared.contracts.subjects import CaseRef
from shared.runtime.api_route import ApiRoute

router = APIRouter(tags=["ingest"], route_class=ApiRoute)


class Accepted(BaseModel):
    """Where the case can be watched, and whether the EHR knows the encounter."""

    case_id: str
    case_url: str
    encounter: Known = Field(
        default="unchecked", description="unknown: the EHR has no such Encounter; unchecked: it did not answer in time"
    )


@router.post("/v1/encounters/discharged", status_code=202, summary="A patient was discharged")
async def discharged(
    report: EncounterReport,
    request: Request,
    _: Sender,
    encounters: Encounters,
    ingest: IngestSteps,
    lookup: Lookup,
) -> Accepted:
    stored = await encounters.publish(domain.DISCHARGED, report)
    # The consumer would open the case too; doing it here means that case_url answers at once.
    await ingest.open(stored.report.fact, stored.id, stored)
    case = ingest.case_of(stored.report.fact)
    return _accepted(request, case, await lookup.check(report.encounter_id, case))


@router.post("/v1/encounters/discharge-cancelled", status_code=202, summary="A discharge was taken back")
async def cancelled(
    report: EncounterReport, request: Request, _: Sender, encounters: Encounters, ingest: IngestSteps
) -> Accepted:
    stored = await encounters.publish(domain.CANCELLED, report)
    return _accepted(request, ingest.case_of(stored.report.fact))


def _accepted(request: Request, case: CaseRef, encounter: Known = "unchecked") -> Accepted:
    return Accepted(case_id=case.id, case_url=f"{request.base_url}v1/cases/{case.id}", encounter=encounter)
