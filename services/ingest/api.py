"""REST API for discharges: a report is accepted once it is stored on the EHR stream."""

from fastapi import APIRouter, Request
from pydantic import BaseModel

from services.ingest import domain
from services.ingest.dependencies import Encounters, IngestSteps, Sender
from services.ingest.publishers import EncounterReport
from shared.contracts.subjects import CaseRef

router = APIRouter(tags=["ingest"])


class Accepted(BaseModel):
    """Where the case can be watched."""

    case_id: str
    case_url: str


@router.post("/v1/encounters/discharged", status_code=202, summary="A patient was discharged")
async def discharged(
    report: EncounterReport, request: Request, _: Sender, encounters: Encounters, ingest: IngestSteps
) -> Accepted:
    fact, cause = await encounters.publish(domain.DISCHARGED, report)
    # The consumer would open the case too; doing it here means that case_url answers at once.
    await ingest.open(fact, cause)
    return _accepted(request, ingest.case_of(fact))


@router.post("/v1/encounters/discharge-cancelled", status_code=202, summary="A discharge was taken back")
async def cancelled(
    report: EncounterReport, request: Request, _: Sender, encounters: Encounters, ingest: IngestSteps
) -> Accepted:
    fact, _cause = await encounters.publish(domain.CANCELLED, report)
    return _accepted(request, ingest.case_of(fact))


def _accepted(request: Request, case: CaseRef) -> Accepted:
    return Accepted(case_id=case.id, case_url=f"{request.base_url}v1/cases/{case.id}")
