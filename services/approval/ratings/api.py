"""REST API of ratings."""

from typing import Annotated

from fastapi import APIRouter, Header
from pydantic import BaseModel, ConfigDict, Field

from services.approval.dependencies import Api, Clinician, IdempotencyKey, parse_if_match
from services.approval.review.problems import DecisionRoute
from shared.contracts.ratings import Rating

router = APIRouter(tags=["reviews"], route_class=DecisionRoute)

IfMatch = Annotated[str | None, Header(alias="If-Match", description="the digest of the draft that was signed")]


class RateDraft(BaseModel):
    """Say how useful a draft was."""

    model_config = ConfigDict(extra="forbid")

    rating: Rating
    words: str = Field(default="", max_length=4000, description="optional, in your words; they stay with us")


class DraftRating(BaseModel):
    """The rating of the draft with digest `draft`."""

    case_id: str
    draft: str
    rating: Rating
    by: str


@router.post(
    "/v1/reviews/{case_id}/rating",
    summary="Rate the draft that you signed",
    description="Whoever signed the draft may rate it. Another rating takes the place of the one before; the same one "
    "again changes nothing.",
)
async def rate(
    case_id: str, body: RateDraft, by: Clinician, api: Api, if_match: IfMatch = None, key: IdempotencyKey = None
) -> DraftRating:
    seen = parse_if_match(if_match) if if_match else None
    rated = await api.ratings.rate(case_id, seen, by, body.rating, body.words, key)
    return DraftRating(case_id=case_id, draft=rated.draft.digest, rating=rated.rating, by=rated.by.subject)
