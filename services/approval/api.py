"""The review API: cases for those who watch, reviews for those who decide."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from services.approval.case_list import CaseList, list_recent
from services.approval.desk import Desk
from services.approval.gate import Settled
from services.approval.local_time import ZoneOf
from services.approval.refusal import Refused, Why
from services.approval.reviews import OpenReview, Reviews
from services.approval.rights import must_sign_in_again
from services.approval.views import CaseView, ReviewView, case_view, gone, review_view
from shared.contracts.access_log import AccessLogEntry
from shared.contracts.case import CaseState, fold
from shared.contracts.ehr import Department, PractitionerReference
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import ErasedError
from shared.contracts.events import RejectionAction, Resolution
from shared.messaging.access_log import AccessLog
from shared.messaging.journal import Unreadable
from shared.messaging.steps import Clock
from shared.runtime.authentication import ROLES, Authenticator, Caller
from shared.runtime.problems import ProblemError
from shared.runtime.request_limits import TEXT_MAX_BODY_BYTES, limit_endpoint

TITLES: dict[Why, tuple[int, str]] = {
    "unknown": (404, "There is no such case"),
    "decided": (409, "Somebody has decided already"),
    "not-open": (409, "This case waits for no decision"),
    "stale": (412, "This is not the draft that is under review"),
    "incomplete": (422, "The text is not the whole document of this stay"),
    "unresolved": (409, "Sentences or open points of the draft are not settled"),
    "no-such-person": (422, "Nobody can be given this review by that name"),
    "misleading": (422, "The text does not say truly who wrote its narrative"),
    "forbidden": (403, "This review is not yours to decide"),
    "not-filed": (409, "No document of this case stands in the chart"),
    "no-draft": (409, "The draft of this document is not there any more"),
    "changed": (412, "This is not the document as it stands"),
    "unchanged": (422, "The text is the one that stands"),
    "asked": (409, "Somebody has asked for a retraction already"),
    "not-asked": (409, "Nobody has asked for a retraction"),
    "key-used": (422, "This Idempotency-Key stands for another decision"),
    "same-person": (403, "A second person has to confirm"),
    "held": (409, "A legal hold stands"),
    "not-held": (409, "No legal hold stands"),
    "erased": (410, "The texts of this case were erased"),
    "not-ended": (409, "This case has not ended"),
}
LONGEST_TEXT = 200_000


class LookList(BaseModel):
    """Who looked at a case's draft, and who was refused; oldest first."""

    items: list[AccessLogEntry]


class ReviewList(BaseModel):
    """A page of open reviews, overdue first, then the oldest; `next` is the cursor of the page after it."""

    items: list[OpenReview]
    next: str | None


class Approve(BaseModel):
    """Countersign. `text` takes the place of the draft's text: changed, or `to_write` of the review filled in."""

    model_config = ConfigDict(extra="forbid")

    text: str | None = Field(default=None, min_length=1, max_length=LONGEST_TEXT)
    resolutions: list[Resolution] = Field(
        default=[],
        max_length=1000,
        description="what was done about each sentence that the record does not support; one that still stands in the "
        "text has to be confirmed",
    )
    acknowledged: list[int] = Field(
        default=[], max_length=1000, description="open points, from 0, that were seen; all of them have to be"
    )

    written: list[str] = Field(
        default=[],
        max_length=1000,
        description="SHA-256 of each sentence of your own that the record does not support and that may stand; a "
        "refusal names them",
    )

    @property
    def settled(self) -> Settled:
        resolutions = {item.sentence: item.how for item in self.resolutions}
        return Settled(resolutions, self.acknowledged, frozenset(self.written))


class Reject(BaseModel):
    """Refuse the draft: another one is written, or the case is closed without a document, as it is written in the EHR
    or as there is to be none.
    """

    model_config = ConfigDict(extra="forbid")

    action: RejectionAction
    reason: str = Field(min_length=1, max_length=4000, description="the physician's words")


class Reassign(BaseModel):
    """Give the review to somebody else."""

    model_config = ConfigDict(extra="forbid")

    to: PractitionerReference
    reason: str = Field(min_length=1, max_length=4000)


class Decided(BaseModel):
    """What a decision led to."""

    case_id: str
    state: CaseState
    by: str
    signed: str | None = None


def problem_of(refused: Refused) -> ProblemError:
    status, title = TITLES[refused.why]
    if not refused.obstacles:
        return ProblemError(status, title, refused.detail)
    errors = [
        {"field": item.field, "detail": item.detail}
        | ({} if item.index is None else {"index": item.index})
        | ({} if item.digest is None else {"digest": item.digest})
        for item in refused.obstacles
    ]
    return ProblemError(status, title, refused.detail, errors=errors)


@dataclass(frozen=True, slots=True)
class Parts:
    """What the routes work with. A signature wants a sign-in that is no older than `sign_within`."""

    desk: Desk
    reviews: Reviews
    guard: Authenticator
    log: AccessLog
    clock: Clock
    sign_within: timedelta
    zone_of: ZoneOf

    def check_recent(self, caller: Caller) -> None:
        """Raises Problem where the caller has to prove again who they are: RFC 9470."""
        if must_sign_in_again(caller, self.clock(), self.sign_within):
            seconds = int(self.sign_within.total_seconds())
            challenge = f'Bearer error="insufficient_user_authentication", max_age="{seconds}"'
            title = "Sign in again to sign"
            raise ProblemError(401, title, "The sign-in is too long ago.", headers={"WWW-Authenticate": challenge})


RepeatKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        description="of your own choice: sent again with it, the same decision gets its first answer, whatever has "
        "happened to the case since",
    ),
]


def make_router(parts: Parts) -> APIRouter:
    router = APIRouter()
    _add_case_routes(router, parts)
    _add_review_routes(router, parts)
    _add_decision_routes(router, parts)
    return router


def _add_case_routes(router: APIRouter, parts: Parts) -> None:
    desk = parts.desk
    anybody = Annotated[Caller, Depends(parts.guard.require(*ROLES))]
    auditor = Annotated[Caller, Depends(parts.guard.require("auditor"))]

    @router.get("/v1/cases", tags=["cases"], summary="Cases with recent events, latest first")
    async def list_cases(who: anybody, limit: Annotated[int, Query(ge=1, le=200)] = 50) -> CaseList:
        return await list_recent(desk, who, limit)

    @router.get("/v1/cases/{case_id}", tags=["cases"], summary="A case and its trail")
    async def show_case(case_id: str, who: anybody) -> CaseView:
        history, unreadable = await readable(desk, case_id, who)
        return case_view(history, unreadable)

    @router.get("/v1/cases/{case_id}/access", tags=["cases"], summary="Who looked at it, who was refused")
    async def show_access(case_id: str, who: auditor) -> LookList:
        await readable(desk, case_id, who)
        return LookList(items=await parts.log.of_case(case_id))


def _add_review_routes(router: APIRouter, parts: Parts) -> None:
    watcher = Annotated[Caller, Depends(parts.guard.require("physician", "supervisor", "operator"))]
    clinician = Annotated[Caller, Depends(parts.guard.require("physician", "supervisor"))]

    @router.get("/v1/reviews", tags=["reviews"], summary="Open reviews, overdue first, then the oldest")
    async def list_reviews(
        who: watcher,
        department: Department | None = None,
        state: Literal["open"] = "open",  # noqa: ARG001 - the only state there is a list of; said for clarity
        after: Annotated[str | None, Query(description="cursor from `next`")] = None,
        limit: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> ReviewList:
        try:
            items, cursor = parts.reviews.page(shown_departments(who, department), after, limit)
        except ValueError:
            raise ProblemError(422, "The request is not valid", "after is not a cursor of this list.") from None
        return ReviewList(items=items, next=cursor)

    @router.get("/v1/reviews/{case_id}", tags=["reviews"], summary="A review with its draft and evidence")
    async def show_review(case_id: str, response: Response, who: clinician) -> ReviewView:
        try:
            history = await parts.desk.look(case_id, who)
        except Refused as refused:
            raise problem_of(refused) from None
        try:
            view = await review_view(parts.desk, history)
        except ErasedError:
            raise gone(history) from None
        response.headers["ETag"] = f'"{view.draft.digest}"'
        return view


def _add_decision_routes(router: APIRouter, parts: Parts) -> None:
    desk = parts.desk
    clinician = Annotated[Caller, Depends(parts.guard.require("physician", "supervisor"))]
    giver = Annotated[Caller, Depends(parts.guard.require("physician", "supervisor", "operator"))]
    seen_header = Annotated[str | None, Header(alias="If-Match", description="the draft's digest, as the ETag had it")]

    @router.post("/v1/reviews/{case_id}/approve", tags=["reviews"], summary="Countersign the draft")
    @limit_endpoint(TEXT_MAX_BODY_BYTES)
    async def approve(
        case_id: str, by: clinician, if_match: seen_header = None, body: Approve | None = None, key: RepeatKey = None
    ) -> Decided:
        parts.check_recent(by)
        body = body or Approve()
        try:
            event = await desk.approve(case_id, seen(if_match), by, body.text, body.settled, key=key)
        except Refused as refused:
            raise problem_of(refused) from None
        return Decided(case_id=case_id, state="approved", by=by.subject, signed=event.signed)

    @router.post("/v1/reviews/{case_id}/reject", tags=["reviews"], summary="Refuse the draft")
    async def reject(
        case_id: str, body: Reject, by: clinician, if_match: seen_header = None, key: RepeatKey = None
    ) -> Decided:
        try:
            # A refusal signs nothing: without If-Match it is about the draft that is under review.
            digest = seen(if_match) if if_match else await _current(desk, case_id)
            await desk.reject(case_id, digest, by, body.action, body.reason, key)
        except Refused as refused:
            raise problem_of(refused) from None
        return Decided(case_id=case_id, state="drafting" if body.action == "redraft" else "closed", by=by.subject)

    @router.post("/v1/reviews/{case_id}/reassign", tags=["reviews"], summary="Give the review to somebody else")
    async def reassign(case_id: str, body: Reassign, by: giver, key: RepeatKey = None) -> Decided:
        try:
            await desk.reassign(case_id, body.to, by, body.reason, key)
        except Refused as refused:
            raise problem_of(refused) from None
        return Decided(case_id=case_id, state="awaiting-review", by=by.subject)


def shown_departments(who: Caller, wanted: str | None) -> tuple[str, ...] | None:
    """Departments that a list for the caller may show; None: all."""
    if wanted is not None:
        return (wanted,) if who.can_access_department(wanted) else ()
    return who.departments


def seen(if_match: str | None, of: str = "draft") -> str:
    """The digest in an If-Match header, of what was seen.

    Raises Problem when it is missing: one approves exactly what one saw.
    """
    if not if_match:
        raise ProblemError(428, "If-Match is needed", f"Send the {of}'s digest (its ETag) as If-Match.")
    return if_match.removeprefix("W/").strip().strip('"')


async def _current(desk: Desk, case_id: str) -> str:
    case = fold(await desk.history(case_id))
    return case.review.draft.digest if case.review else ""


async def readable(desk: Desk, case_id: str, who: Caller) -> tuple[list[RecordedEvent], list[Unreadable]]:
    """What can be read of a case that the caller may know of, and what not. Raises Problem where there is none."""
    history, unreadable = await desk.readable(case_id)
    departments = [item.case.department for item in history] + [item.case.department for item in unreadable]
    if not departments or not who.can_access_department(departments[0]):
        raise ProblemError(404, "There is no such case")
    if not history:
        raise ProblemError(404, "Nothing of this case can be read", "; ".join(map(str, unreadable)))
    return history, unreadable
