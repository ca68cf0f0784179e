"""REST API of verifications, for auditors."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from services.approval.dependencies import Api, Auditor, IdempotencyKey
from services.approval.verification.service import MAX_STORED_RUNS
from services.approval.verification.verification import Verification, latest_first
from shared.contracts.subjects import CASE_ID
from shared.runtime.api_route import ApiRoute
from shared.runtime.list_pages import After, Next, page_of
from shared.runtime.problems import ProblemError, problem_responses
from shared.runtime.response_headers import with_headers

COMMON = {
    401: "no token, or one that is not valid",
    403: "the token has not the role auditor, or is for single departments",
    422: "the request is not valid",
    503: "NATS does not answer: repeat the request",
}
UNKNOWN = {404: "there is no such case, or no such verification: the last 50 are kept"}


async def all_departments(who: Auditor) -> None:
    """Refuse auditors of single departments: a verification is about every case. Raises ProblemError 403."""
    if who.departments is not None:
        raise ProblemError(403, "Not for single departments", "A verification names cases of every department.")


router = APIRouter(
    prefix="/v1/audit/verifications",
    tags=["audit"],
    route_class=ApiRoute,
    responses=problem_responses(COMMON),
    dependencies=[Depends(all_departments)],
)


class StartVerification(BaseModel):
    """Verify every case, or one."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"case_id": "3c6e0b8a-9c15-5b2e-8f2d-7a1d0e4c9b11"}]}
    )

    case_id: str | None = Field(default=None, pattern=f"^{CASE_ID}$", description="null: every case")


class VerificationList(BaseModel):
    """A page of the last 50 verifications, latest first."""

    items: list[Verification]
    next: Next


@router.post(
    "",
    status_code=202,
    summary="Start a verification",
    description="Of every digest, the documents in the EHR, and the signed checkpoints. One runs at a time: while one "
    "does, that one is returned. It runs in the process that took the request, and is interrupted when that stops.",
    responses=with_headers({"Location": "path of the verification"}, 202) | problem_responses(UNKNOWN),
)
async def start(
    response: Response, who: Auditor, api: Api, body: StartVerification | None = None, key: IdempotencyKey = None
) -> Verification:
    case_id = body.case_id if body is not None else None
    if case_id is not None and not (await api.cases.readable(case_id))[0]:
        raise ProblemError(404, "There is no such case")
    run = await api.verifications.start(who.subject, case_id, key)
    response.headers["Location"] = f"/v1/audit/verifications/{run.id}"
    return run


@router.get("", summary="The last verifications")
async def list_verifications(
    _: Auditor, api: Api, after: After = None, limit: Annotated[int, Query(ge=1, le=50)] = 20
) -> VerificationList:
    items, following = page_of(await api.verifications.latest(MAX_STORED_RUNS), latest_first, after, limit)
    return VerificationList(items=items, next=following)


@router.get("/{id}", summary="A verification: its progress, its findings", responses=problem_responses(UNKNOWN))
async def show(
    id: Annotated[str, Path(pattern=f"^{CASE_ID}$", description="id of the verification")], _: Auditor, api: Api
) -> Verification:
    found = await api.verifications.get(id)
    if found is None:
        raise ProblemError(404, "There is no such verification")
    return found
