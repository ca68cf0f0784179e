"""What an operator does about a case on its page: retry the failed step, reassign the review, withdraw the case."""

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response
from pydantic import StringConstraints

from services.approval.dependencies import Api, Operator
from services.approval.operations.retry import retry_seen
from services.approval.review.api import readable
from services.approval.review.errors import DecisionRefusedError
from services.approval.review.problems import problem_of
from services.approval.web.render import PageRoute
from services.approval.withdrawal.service import withdraw
from shared.contracts.errors import PermanentError
from shared.runtime.problems import ProblemError

Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000), Form()]
PRACTITIONER = r"^\s*(Practitioner/)?[A-Za-z0-9.\-]{1,64}\s*$"

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.post("/cases/{case_id}/retry")
async def retry(case_id: str, by: Operator, api: Api, seen: Annotated[int, Form(ge=1)], reason: Reason) -> Response:
    """Retry the step whose failure, with sequence `seen`, the page showed."""
    history, _ = await readable(api.cases, case_id, by)
    try:
        await retry_seen(api.operations, api.cases, by, history, seen, reason)
    except PermanentError as refused:
        raise ProblemError(409, "The step was not retried", refused.reason) from None
    return RedirectResponse(f"/cases/{case_id}?done=retried", 303)


@router.post("/cases/{case_id}/reassign")
async def reassign(
    case_id: str,
    by: Operator,
    api: Api,
    to: Annotated[str, Form(pattern=PRACTITIONER)],
    reason: Reason,
    seen: Annotated[int, Form(ge=1)],
) -> Response:
    """Give the review away, once from each page: `seen` is the last event that it showed."""
    owner = f"Practitioner/{to.strip().removeprefix('Practitioner/')}"
    try:
        await api.review.reassign(case_id, owner, by, reason, f"cases-page-{seen}")
    except DecisionRefusedError as refused:
        if refused.code != "no-such-person":
            raise problem_of(refused) from None
        return RedirectResponse(f"/cases/{case_id}?done=no-such-person", 303)
    return RedirectResponse(f"/cases/{case_id}?done=reassigned", 303)


@router.post("/cases/{case_id}/withdraw")
async def withdraw_case(
    case_id: str, by: Operator, api: Api, reason: Reason, seen: Annotated[int, Form(ge=1)]
) -> Response:
    """Withdraw the case, once from each page: `seen` is the last event that it showed."""
    try:
        await withdraw(api.operations, api.cases, api.review.decisions, by, case_id, reason, f"cases-page-{seen}")
    except DecisionRefusedError as refused:
        raise problem_of(refused) from None
    return RedirectResponse(f"/cases/{case_id}?done=withdrawn", 303)
