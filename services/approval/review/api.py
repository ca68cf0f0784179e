"""REST API of cases and reviews."""

from typing import Annotated, Literal

from fastapi import APIRouter, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from services.approval.dependencies import (
    AnyRole,
    Api,
    Auditor,
    Clinician,
    IdempotencyKey,
    Watcher,
    parse_if_match,
)
from services.approval.projections.open_reviews import OpenReview
from services.approval.review.case_list import CaseList, CaseParameters
from services.approval.review.case_list import list_cases as page_of_cases
from services.approval.review.case_reader import CaseReader
from services.approval.review.operator_reasons import read_reasons
from services.approval.review.prepared_view import prepared_view
from services.approval.review.problems import DECISION, ERASED, SIGNATURE, UNKNOWN_CASE, DecisionRoute, gone
from services.approval.review.signing_rules import ResolvedItems
from services.approval.review.views import CaseView, ReviewView, case_view, review_view
from shared.contracts.access_log import AccessLogEntry
from shared.contracts.case import CaseState
from shared.contracts.ehr import Department, PractitionerReference
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import ErasedError
from shared.contracts.events import RejectionAction, Resolution
from shared.messaging.event_store import UnreadableEvent
from shared.runtime.authentication import Caller
from shared.runtime.problems import ProblemError, problem_responses
from shared.runtime.request_limits import TEXT_MAX_BODY_BYTES, limit_endpoint
from shared.runtime.response_headers import with_etag

LONGEST_TEXT = 200_000

router = APIRouter(route_class=DecisionRoute)

IfMatch = Annotated[str | None, Header(alias="If-Match", description="the draft's digest, as the ETag had it")]


class AccessList(BaseModel):
    """Who viewed a case's draft, and who was refused; oldest first."""

    items: list[AccessLogEntry]


class ReviewList(BaseModel):
    """A page of open reviews, overdue first, then the oldest; `next` is the cursor of the page after it."""

    items: list[OpenReview]
    next: str | None


WrittenSentences = Annotated[
    list[str],
    Field(
        max_length=1000,
        description="SHA-256 of each sentence of your own that the record does not support and that may stand; a "
        "refusal names them",
    ),
]


class Approve(BaseModel):
    """Countersign. `text` takes the place of the draft's text: changed, or `to_write` of the review filled in."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"resolutions": [{"sentence": 4, "how": "confirmed"}], "acknowledged": [0]}]},
    )

    text: str | None = Field(
        default=None,
        min_length=1,
        max_length=LONGEST_TEXT,
        description="the document to sign in place of the draft; null: the draft as it is",
    )
    resolutions: list[Resolution] = Field(
        default=[],
        max_length=1000,
        description="what was done about each sentence that the record does not support; one that still stands in the "
        "text has to be confirmed",
    )
    acknowledged: list[int] = Field(
        default=[], max_length=1000, description="open points, from 0, that were seen; all of them have to be"
    )

    written: WrittenSentences = []

    @property
    def resolved(self) -> ResolvedItems:
        resolutions = {item.sentence: item.how for item in self.resolutions}
        return ResolvedItems(resolutions, self.acknowledged, frozenset(self.written))


class Reject(BaseModel):
    """Refuse the draft: another one is written, or the case is closed without a document: it is written in the EHR, or
    none is needed.
    """

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"action": "redraft", "reason": "the anticoagulation after the operation is missing"}]
        },
    )

    action: RejectionAction = Field(description="what is to happen instead")
    reason: str = Field(min_length=1, max_length=4000, description="the physician's words")


class Reassign(BaseModel):
    """Give the review to somebody else."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"to": "Practitioner/dr-8", "reason": "on leave from tomorrow"}]},
    )

    to: PractitionerReference = Field(description="FHIR reference of the new owner")
    reason: str = Field(min_length=1, max_length=4000)


class DecisionResult(BaseModel):
    """What a decision led to."""

    case_id: str
    state: CaseState = Field(description="state of the case after it")
    by: str
    signed: str | None = Field(default=None, description="SHA-256 of the signed text; null: nothing was signed")


@router.get(
    "/v1/cases",
    tags=["cases"],
    summary="All cases, the one with the latest event first",
    description="Filters are combined. A caller of single departments sees their cases only. A case that gets an event "
    "while you read page after page moves to the top, and may be missing from a later page.",
)
async def list_cases(who: AnyRole, api: Api, query: CaseParameters) -> CaseList:
    return await page_of_cases(api.index, api.unreadable.of(who), who, query)


@router.get(
    "/v1/cases/{case_id}",
    tags=["cases"],
    summary="A case and its events",
    responses=problem_responses(UNKNOWN_CASE),
)
async def show_case(case_id: str, who: AnyRole, api: Api) -> CaseView:
    history, unreadable = await readable(api.cases, case_id, who)
    return case_view(history, unreadable, await read_reasons(api.cases, history))


@router.get(
    "/v1/cases/{case_id}/access",
    tags=["cases"],
    summary="Who looked at it, who was refused",
    responses=problem_responses(UNKNOWN_CASE),
)
async def show_access(case_id: str, who: Auditor, api: Api) -> AccessList:
    await readable(api.cases, case_id, who)
    return AccessList(items=await api.log.of_case(case_id))


@router.get("/v1/reviews", tags=["reviews"], summary="Open reviews, overdue first, then the oldest")
async def list_reviews(
    who: Watcher,
    api: Api,
    department: Department | None = None,
    state: Annotated[Literal["open"], Query(description="the only state that is listed")] = "open",  # noqa: ARG001
    after: Annotated[str | None, Query(description="cursor from `next`")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> ReviewList:
    try:
        items, cursor = api.open_reviews.page(shown_departments(who, department), after, limit)
    except ValueError:
        raise ProblemError(422, "The request is not valid", "after is not a cursor of this list.") from None
    return ReviewList(items=items, next=cursor)


@router.get(
    "/v1/reviews/{case_id}",
    tags=["reviews"],
    summary="A review with its draft and evidence",
    responses=with_etag("of the draft, for `If-Match`") | problem_responses(UNKNOWN_CASE | ERASED),
)
async def show_review(case_id: str, response: Response, who: Clinician, api: Api) -> ReviewView:
    history = await api.cases.authorized_history(case_id, who)
    try:
        view = await review_view(api.cases, history, await prepared_view(api.cases, api.carrier, history, who.subject))
    except ErasedError:
        raise gone(history) from None
    response.headers["ETag"] = f'"{view.draft.digest}"'
    return view


@router.post(
    "/v1/reviews/{case_id}/approve",
    tags=["reviews"],
    summary="Countersign the draft",
    responses=problem_responses(SIGNATURE),
)
@limit_endpoint(TEXT_MAX_BODY_BYTES)
async def approve(
    case_id: str,
    by: Clinician,
    api: Api,
    if_match: IfMatch = None,
    body: Approve | None = None,
    key: IdempotencyKey = None,
) -> DecisionResult:
    body = body or Approve()
    event = await api.review.approve(case_id, parse_if_match(if_match), by, body.text, body.resolved, key=key)
    return DecisionResult(case_id=case_id, state="approved", by=by.subject, signed=event.signed)


@router.post(
    "/v1/reviews/{case_id}/reject",
    tags=["reviews"],
    summary="Refuse the draft",
    responses=problem_responses(DECISION),
)
async def reject(
    case_id: str, body: Reject, by: Clinician, api: Api, if_match: IfMatch = None, key: IdempotencyKey = None
) -> DecisionResult:
    seen = parse_if_match(if_match) if if_match else None
    await api.review.reject(case_id, seen, by, body.action, body.reason, key)
    return DecisionResult(case_id=case_id, state="drafting" if body.action == "redraft" else "closed", by=by.subject)


@router.post(
    "/v1/reviews/{case_id}/reassign",
    tags=["reviews"],
    summary="Give the review to somebody else",
    responses=problem_responses(DECISION),
)
async def reassign(case_id: str, body: Reassign, by: Watcher, api: Api, key: IdempotencyKey = None) -> DecisionResult:
    await api.review.reassign(case_id, body.to, by, body.reason, key)
    return DecisionResult(case_id=case_id, state="awaiting-review", by=by.subject)


def shown_departments(who: Caller, wanted: str | None) -> tuple[str, ...] | None:
    """Return the departments that a list for the caller may show; None: all."""
    if wanted is not None:
        return (wanted,) if who.can_access_department(wanted) else ()
    return who.departments


async def readable(cases: CaseReader, case_id: str, who: Caller) -> tuple[list[RecordedEvent], list[UnreadableEvent]]:
    """Return the readable events of a case that the caller may know of, and the others. Raises ProblemError."""
    history, unreadable = await cases.readable(case_id)
    departments = [item.case.department for item in history] + [item.case.department for item in unreadable]
    if not departments or not who.can_access_department(departments[0]):
        raise ProblemError(404, "There is no such case")
    if not history:
        raise ProblemError(404, "Nothing of this case can be read", "; ".join(map(str, unreadable)))
    return history, unreadable
