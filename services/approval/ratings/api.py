"""REST API of ratings."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Header
from pydantic import BaseModel, ConfigDict, Field

from services.approval.dependencies import Api, Clinician, IdempotencyKey, parse_if_match
from services.approval.ratings import rules
from services.approval.review.problems import DECISION, ERASED, UNKNOWN_CASE, DecisionRoute, gone
from shared.contracts.case import fold
from shared.contracts.errors import ErasedError
from shared.contracts.ratings import Rating
from shared.runtime.problems import ProblemError, problem_responses

router = APIRouter(tags=["reviews"], route_class=DecisionRoute)

IfMatch = Annotated[str | None, Header(alias="If-Match", description="the digest of the draft that was signed")]


class RateDraft(BaseModel):
    """Say how useful a draft was."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"rating": "useful", "words": "complete, and short enough"}]}
    )

    rating: Rating = Field(description="how useful the draft was")
    words: str = Field(default="", max_length=4000, description="optional, in your words; they stay with us")


class DraftRating(BaseModel):
    """The rating of the draft with digest `draft`."""

    case_id: str
    draft: str
    rating: Rating = Field(description="how useful the draft was")
    by: str


class RatingDetails(DraftRating):
    time: datetime
    words: str = Field(description="empty where there are none")


@router.get(
    "/v1/reviews/{case_id}/rating",
    summary="The rating of the signed draft, with its words",
    responses=problem_responses(UNKNOWN_CASE | ERASED),
)
async def show_rating(case_id: str, who: Clinician, api: Api) -> RatingDetails:
    history = await api.cases.authorized_history(case_id, who)
    case = fold(history)
    rated = rules.current_rating(case)
    if rated is None or case.rating is None:
        raise ProblemError(404, "The draft is not rated", f"The case is {case.state}.")
    try:
        words = await api.ratings.comment(case_id, rated)
    except ErasedError:
        raise gone(history) from None
    return RatingDetails(
        case_id=case_id,
        draft=rated.draft.digest,
        rating=rated.rating,
        by=rated.by.subject,
        time=case.rating.time,
        words=words,
    )


@router.post(
    "/v1/reviews/{case_id}/rating",
    summary="Rate the draft that you signed",
    description="Whoever signed the draft may rate it. A different rating replaces the one before; the same one "
    "again changes nothing.",
    responses=problem_responses(DECISION),
)
async def rate(
    case_id: str, body: RateDraft, by: Clinician, api: Api, if_match: IfMatch = None, key: IdempotencyKey = None
) -> DraftRating:
    seen = parse_if_match(if_match) if if_match else None
    rated = await api.ratings.rate(case_id, seen, by, body.rating, body.words, key)
    return DraftRating(case_id=case_id, draft=rated.draft.digest, rating=rated.rating, by=rated.by.subject)
