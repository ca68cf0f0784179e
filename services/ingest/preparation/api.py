"""REST API for stays whose discharge is pending: a draft is prepared, which nobody can sign before the discharge."""

from fastapi import APIRouter, Request

from services.ingest.api import Accepted
from services.ingest.dependencies import Encounters, PendingDischarges, Sender
from services.ingest.preparation import rules
from services.ingest.publishers import EncounterReport, PendingDischarge
from shared.contracts.ehr import EncounterReported
from shared.runtime.api_route import ApiRoute
from shared.runtime.problems import ProblemError, problem_responses

router = APIRouter(tags=["ingest"], route_class=ApiRoute)


@router.post(
    "/v1/encounters/discharge-pending",
    status_code=202,
    summary="A discharge is near: prepare its draft",
    responses=problem_responses({409: "the discharge was reported already"}),
)
async def pending(
    report: PendingDischarge, request: Request, _: Sender, encounters: Encounters, preparations: PendingDischarges
) -> Accepted:
    """Prepare a draft of the stay, or prepare it again from the record as it is now."""
    asked = EncounterReported(**report.model_dump())
    if await preparations.refusal(asked) == "discharged":
        raise ProblemError(409, "The stay has ended", "Its discharge was reported: the draft is that of the discharge.")
    stored = await encounters.publish(rules.PENDING, report)
    # The consumer would do it too; doing it here means that case_url answers at once.
    await preparations.request(stored.report.fact, stored.id)
    case = preparations.case_of(stored.report.fact).id
    return Accepted(case_id=case, case_url=f"{request.base_url}v1/cases/{case}")


@router.post(
    "/v1/encounters/discharge-pending-cancelled", status_code=202, summary="A stay goes on: its preparation ends"
)
async def pending_cancelled(
    report: EncounterReport, request: Request, _: Sender, encounters: Encounters, preparations: PendingDischarges
) -> Accepted:
    stored = await encounters.publish(rules.PENDING_CANCELLED, report)
    case = preparations.case_of(stored.report.fact).id
    return Accepted(case_id=case, case_url=f"{request.base_url}v1/cases/{case}")
