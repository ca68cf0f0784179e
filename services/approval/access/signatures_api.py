"""REST API of signatures without a recorded view, for auditors."""

from datetime import datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from services.approval.access.filter import parse_cursor
from services.approval.access.signatures import MAX_EXAMINED
from services.approval.access.unseen import UnseenSignature
from services.approval.dependencies import Api, Auditor
from shared.runtime.api_route import ApiRoute
from shared.runtime.problems import ProblemError, problem_responses

PERIOD = timedelta(days=30)
COMMON = {
    401: "no token, or one that is not valid",
    403: "the token has not the role auditor",
    422: "the request is not valid",
    503: "NATS does not answer: repeat the request",
}

router = APIRouter(tags=["audit"], route_class=ApiRoute, responses=problem_responses(COMMON))


class SignaturePeriod(BaseModel):
    """Which approvals are examined. A parameter that is not known is refused."""

    model_config = ConfigDict(extra="forbid")

    since: AwareDatetime | None = Field(default=None, description="inclusive; default: 30 days ago")
    until: AwareDatetime | None = Field(default=None, description="exclusive")
    after: str | None = Field(default=None, max_length=19, description="cursor from `next`")


class UnseenSignatures(BaseModel):
    """Signatures without a recorded view among those that were examined, oldest first."""

    items: list[UnseenSignature]
    examined: int = Field(
        description=f"approvals of your departments in the period that this page is about, of up to "
        f"{MAX_EXAMINED} in the stream"
    )
    unreadable: int = Field(description="approvals that cannot be read: nothing is known about them")
    since: datetime = Field(description="signatures from then on were checked")
    next: str | None = Field(description="cursor of the page after it; null: the whole period was examined")


@router.get(
    "/v1/audit/unseen-signatures",
    summary="Approvals whose signer has no recorded view of the signed draft",
    description="A view counts if it is in the access log before the signature, is of exactly the draft that was "
    "signed, and of the same person by subject or by practitioner. Only first signatures (`approved`) are examined: no "
    "corrections, addenda or retractions. The access log is kept for six years; of older approvals no view is left.",
)
async def unseen_signatures(who: Auditor, api: Api, query: Annotated[SignaturePeriod, Query()]) -> UnseenSignatures:
    since = query.since or api.clock() - PERIOD
    try:
        after = parse_cursor(query.after)
    except ValueError:
        raise ProblemError(422, "The request is not valid", "after is not a cursor of this list.") from None
    found = await api.signatures.page(who, since, query.until, after)
    following = str(found.after) if found.after is not None else None
    return UnseenSignatures(
        items=found.items, examined=found.count, unreadable=found.unreadable, since=since, next=following
    )
