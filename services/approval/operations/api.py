"""REST API of further repairs, for operators: failed cases, and decisions that physicians make in the EHR."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.approval.dependencies import Api, IdempotencyKey, Operator
from services.approval.ehr_tasks.hold import DecisionHold
from services.approval.operations.retry import store_reason
from services.approval.review.api import DecisionResult, readable
from services.approval.review.errors import DecisionRefusedError
from services.approval.review.problems import UNKNOWN_CASE, problem_of
from services.approval.withdrawal.service import withdraw
from shared.contracts.case import fold
from shared.contracts.errors import PermanentError
from shared.runtime.api_route import ApiRoute
from shared.runtime.problems import ProblemError, problem_responses

COMMON = {401: "no token, or one that is not valid", 403: "the token is not allowed to do that"}
CONFLICT = {404: "there is no such case", 409: "no step of the case has failed", 503: "NATS does not answer"}

router = APIRouter(responses=problem_responses(COMMON | {422: "the request is not valid"}), route_class=ApiRoute)

Reason = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=4000),
    Field(description="recorded with the caller; no patient data"),
]


class RetryCase(BaseModel):
    """Why the step is tried again."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "the model server is back"}]})

    reason: Reason


class CaseRetried(BaseModel):
    """What was done; `detail` is a sentence."""

    case_id: str
    detail: str = Field(description="what was done, as a sentence")
    by: str


class WithdrawCase(BaseModel):
    """Why no document is needed."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"reason": "the discharge was entered for a test patient"}]}
    )

    reason: Reason


class DecisionHoldView(BaseModel):
    """Whether decisions that are made in the EHR are held, and who said so, when and why; null: never set."""

    held: bool
    by: str | None = None
    at: datetime | None = Field(default=None, description="when it was set; null: never")
    why: str | None = None


class SetDecisionHold(BaseModel):
    """Hold decisions that are made in the EHR, or let them count again."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"held": False, "reason": "every restored review was compared with the EHR"}]},
    )

    held: bool
    reason: Reason


@router.post(
    "/v1/cases/{case_id}/retry",
    tags=["cases"],
    summary="Try the failed step of a case again",
    description="Also where its dead letter was discarded. The event of the case names the caller and the digest of "
    "the reason, which is optional. Sent twice, it is done once.",
    responses=problem_responses(CONFLICT),
)
async def retry_case(case_id: str, by: Operator, api: Api, body: RetryCase | None = None) -> CaseRetried:
    history, _ = await readable(api.cases, case_id, by)
    failed = fold(history).failure is not None
    reason = await store_reason(api.cases, history, body.reason) if body is not None and failed else None
    try:
        detail = await api.operations.retry_case(by, case_id, reason)
    except PermanentError as refused:
        raise ProblemError(409, "This case cannot be retried", refused.reason) from None
    return CaseRetried(case_id=case_id, detail=detail, by=by.subject)


@router.post(
    "/v1/cases/{case_id}/withdraw",
    tags=["cases"],
    summary="Withdraw a case that nobody has signed",
    description="For a discharge that was entered in error, a test patient, or a failed case that nobody will repair. "
    "Tasks in the EHR, reminders and unresolved dead letters of the case end. The event names the caller and the "
    "digest of the reason. Once a physician has signed, the document is corrected or retracted instead. A later "
    "discharge of the stay opens the case again.",
    responses=problem_responses(UNKNOWN_CASE | {409: "the case is signed, has ended, or its texts are being erased"}),
)
async def withdraw_case(
    case_id: str, body: WithdrawCase, by: Operator, api: Api, key: IdempotencyKey = None
) -> DecisionResult:
    try:
        await withdraw(api.operations, api.cases, api.review.decisions, by, case_id, body.reason, key)
    except DecisionRefusedError as refused:
        raise problem_of(refused) from None
    return DecisionResult(case_id=case_id, state="withdrawn", by=by.subject)


@router.get("/v1/ehr-decisions", tags=["reviews"], summary="Whether decisions that are made in the EHR are held")
async def show_decision_hold(_: Operator, api: Api) -> DecisionHoldView:
    return _view(await api.operations.decision_hold())


@router.put(
    "/v1/ehr-decisions",
    tags=["reviews"],
    summary="Hold decisions that are made in the EHR, or let them count again",
    description="They are held after a restore. Those that were made meanwhile take effect within ten minutes after "
    "they count again.",
)
async def set_decision_hold(body: SetDecisionHold, by: Operator, api: Api) -> DecisionHoldView:
    if by.departments is not None:
        raise ProblemError(403, "This token is not allowed to do that", "It is for single departments only.")
    return _view(await api.operations.set_decision_hold(by, held=body.held, reason=body.reason))


def _view(hold: DecisionHold | None) -> DecisionHoldView:
    return DecisionHoldView(held=False) if hold is None else DecisionHoldView(**hold.model_dump())
