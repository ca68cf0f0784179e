"""The review API: cases for those who watch, reviews for those who decide."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from services.approval.desk import Desk
from services.approval.domain import Refused, Why
from services.approval.reviews import OpenReview, Reviews
from services.approval.views import CaseView, ReviewView, case_view, review_view
from shared.contracts.case import State, fold, state_after
from shared.contracts.ehr import Department, PractitionerReference
from shared.contracts.envelope import Recorded
from shared.runtime.access import ROLES, Grant, Guard
from shared.runtime.problems import Problem

TITLES: dict[Why, tuple[int, str]] = {
    "unknown": (404, "There is no such case"),
    "decided": (409, "Somebody has decided already"),
    "not-open": (409, "This case waits for no decision"),
    "stale": (412, "This is not the draft that is under review"),
    "incomplete": (422, "The draft is not complete"),
}
RECENT_EVENTS = 2000
LONGEST_TEXT = 200_000


class CaseLine(BaseModel):
    """A case in a list."""

    case_id: str
    department: str
    state: State
    last_event: str
    time: datetime


class CaseList(BaseModel):
    items: list[CaseLine]


class ReviewList(BaseModel):
    """A page of open reviews, oldest first; `next` is the cursor of the page after it."""

    items: list[OpenReview]
    next: str | None


class Approve(BaseModel):
    """Countersign. `text` takes the place of the draft's text."""

    model_config = ConfigDict(extra="forbid")

    text: str | None = Field(default=None, min_length=1, max_length=LONGEST_TEXT)


class Reject(BaseModel):
    """Refuse the draft."""

    model_config = ConfigDict(extra="forbid")

    action: Literal["redraft", "close"]
    reason: str = Field(min_length=1, max_length=4000, description="the physician's words")


class Reassign(BaseModel):
    """Give the review to somebody else."""

    model_config = ConfigDict(extra="forbid")

    to: PractitionerReference
    reason: str = Field(min_length=1, max_length=4000)


class Decided(BaseModel):
    """What a decision led to."""

    case_id: str
    state: State
    by: str
    signed: str | None = None


def problem_of(refused: Refused) -> Problem:
    status, title = TITLES[refused.why]
    if refused.why == "incomplete":
        return Problem(status, title, refused.detail, errors=[{"field": "text", "detail": refused.detail}])
    return Problem(status, title, refused.detail)


def make_router(desk: Desk, reviews: Reviews, guard: Guard) -> APIRouter:
    router = APIRouter()
    _add_case_routes(router, desk, guard)
    _add_review_routes(router, desk, reviews, guard)
    _add_decision_routes(router, desk, guard)
    return router


def _add_case_routes(router: APIRouter, desk: Desk, guard: Guard) -> None:
    anybody = Annotated[Grant, Depends(guard.allow(*ROLES))]

    @router.get("/v1/cases", tags=["cases"], summary="Cases with recent events, latest first")
    async def list_cases(_: anybody, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> CaseList:
        latest = {event.case.id: event for event in await desk.recent(RECENT_EVENTS)}
        ordered = sorted(latest.values(), key=lambda event: -event.head.sequence)
        return CaseList(items=[_case_line(event) for event in ordered[:limit]])

    @router.get("/v1/cases/{case_id}", tags=["cases"], summary="A case and its trail")
    async def show_case(case_id: str, _: anybody) -> CaseView:
        return case_view(await _known(desk, case_id))


def _add_review_routes(router: APIRouter, desk: Desk, reviews: Reviews, guard: Guard) -> None:
    watcher = Annotated[Grant, Depends(guard.allow("physician", "supervisor", "operator"))]
    clinician = Annotated[Grant, Depends(guard.allow("physician", "supervisor"))]

    @router.get("/v1/reviews", tags=["reviews"], summary="Open reviews, oldest first")
    async def list_reviews(
        _: watcher,
        department: Department | None = None,
        state: Literal["open"] = "open",  # noqa: ARG001 - the only state there is a list of; said for clarity
        after: Annotated[str | None, Query(description="cursor from `next`")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> ReviewList:
        try:
            items, cursor = reviews.page(department, after, limit)
        except ValueError:
            raise Problem(422, "The request is not valid", "after is not a cursor of this list.") from None
        return ReviewList(items=items, next=cursor)

    @router.get("/v1/reviews/{case_id}", tags=["reviews"], summary="A review with its draft and evidence")
    async def show_review(case_id: str, response: Response, _: clinician) -> ReviewView:
        history = await _known(desk, case_id)
        view = await review_view(desk, history)
        response.headers["ETag"] = f'"{view.draft.digest}"'
        return view


def _add_decision_routes(router: APIRouter, desk: Desk, guard: Guard) -> None:
    clinician = Annotated[Grant, Depends(guard.allow("physician", "supervisor"))]
    seen_header = Annotated[str | None, Header(alias="If-Match", description="the draft's digest, as the ETag had it")]

    @router.post("/v1/reviews/{case_id}/approve", tags=["reviews"], summary="Countersign the draft")
    async def approve(
        case_id: str, by: clinician, if_match: seen_header = None, body: Approve | None = None
    ) -> Decided:
        try:
            event = await desk.approve(case_id, seen(if_match), by.actor, body.text if body else None)
        except Refused as refused:
            raise problem_of(refused) from None
        return Decided(case_id=case_id, state="approved", by=by.subject, signed=event.signed)

    @router.post("/v1/reviews/{case_id}/reject", tags=["reviews"], summary="Refuse the draft")
    async def reject(case_id: str, body: Reject, by: clinician, if_match: seen_header = None) -> Decided:
        try:
            # A refusal signs nothing: without If-Match it is about the draft that is under review.
            digest = seen(if_match) if if_match else await _current(desk, case_id)
            await desk.reject(case_id, digest, by.actor, body.action, body.reason)
        except Refused as refused:
            raise problem_of(refused) from None
        return Decided(case_id=case_id, state="drafting" if body.action == "redraft" else "closed", by=by.subject)

    @router.post("/v1/reviews/{case_id}/reassign", tags=["reviews"], summary="Give the review to somebody else")
    async def reassign(
        case_id: str,
        body: Reassign,
        by: Annotated[Grant, Depends(guard.allow("physician", "supervisor", "operator"))],
    ) -> Decided:
        try:
            await desk.reassign(case_id, body.to, by.actor, body.reason)
        except Refused as refused:
            raise problem_of(refused) from None
        return Decided(case_id=case_id, state="awaiting-review", by=by.subject)


def seen(if_match: str | None) -> str:
    """The digest in an If-Match header.

    Raises Problem when it is missing: one approves exactly what one saw.
    """
    if not if_match:
        raise Problem(428, "If-Match is needed", "Send the draft's digest (its ETag) as If-Match.")
    return if_match.removeprefix("W/").strip().strip('"')


async def _current(desk: Desk, case_id: str) -> str:
    case = fold(await desk.history(case_id))
    return case.review.draft.digest if case.review else ""


async def _known(desk: Desk, case_id: str) -> list[Recorded]:
    if not all(char.isalnum() or char == "-" for char in case_id) or not (history := await desk.history(case_id)):
        raise Problem(404, "There is no such case")
    return history


def _case_line(event: Recorded) -> CaseLine:
    return CaseLine(
        case_id=event.case.id,
        department=event.case.department,
        state=state_after(event),
        last_event=event.name,
        time=event.time,
    )
