"""REST API to find the cases of a patient: the identifier is in the body, as it does not belong in a URL."""

from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import ConfigDict, Field

from services.approval.access.api import Reference
from services.approval.dependencies import Api, allow
from services.approval.review.authorization import READERS
from services.approval.review.case_list import CaseList, CaseQuery, list_cases
from shared.runtime.api_route import ApiRoute
from shared.runtime.authentication import Caller
from shared.runtime.idempotency import without_idempotency_key

router = APIRouter(tags=["cases"], route_class=ApiRoute)
PatientReader = Annotated[Caller, Depends(allow("auditor", *READERS))]  # may know whose case it is


class SearchCases(CaseQuery):
    """The criteria of `GET /v1/cases`, and a patient."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, json_schema_extra={"examples": [{"patient": "Patient/123", "state": ["failed"]}]}
    )

    patient: Reference = Field(description="id or reference of the Patient in the EHR, exactly as its resource has it")


@router.post(
    "/v1/cases/search",
    summary="Cases of a patient",
    description="As `GET /v1/cases`, with the criteria in the body: ids of patients do not belong in URLs. They are "
    "resolved by the case events, of which all that name a patient are read; nothing is written.",
)
@without_idempotency_key
async def search_cases(body: SearchCases, who: PatientReader, api: Api) -> CaseList:
    found = await api.access_log.cases_of(who, body.patient, None)
    ids = frozenset(item.case_id for item in found)
    return await list_cases(api.index, api.unreadable.of(who), who, body, ids)
