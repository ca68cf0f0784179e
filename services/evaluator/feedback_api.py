"""REST API of what physicians say of the signed drafts of a configuration, and change in them."""

from fastapi import APIRouter
from pydantic import BaseModel, Field

from services.evaluator.dependencies import UNKNOWN_DRAFTER, AnyRole, Drafters
from services.evaluator.feedback import DrafterFeedback, EditCluster, RatingCounts
from shared.runtime.api_route import ApiRoute
from shared.runtime.problems import problem_responses

router = APIRouter(
    prefix="/v1/drafters", tags=["drafters"], route_class=ApiRoute, responses=problem_responses(UNKNOWN_DRAFTER)
)


class EditSummary(BaseModel):
    """Edits of one kind in one part of the document."""

    part: str = Field(description="code of the part; document-header: what stands above the first one")
    kind: str = Field(
        description="sentence or fact, then added, removed, moved, reworded or number-changed: sentence-removed"
    )
    count: int = Field(description="edits")
    drafts: int = Field(description="signed drafts with such an edit")
    share: float = Field(description="of the compared drafts")
    examples: list[str] = Field(description="ids of up to five cases, the last one first")

    @classmethod
    def of(cls, found: EditCluster, compared: int) -> "EditSummary":
        return cls(
            part=found.part,
            kind=found.kind,
            count=found.count,
            drafts=found.drafts,
            share=found.drafts / compared if compared else 0.0,
            examples=list(found.examples),
        )


class DrafterEdits(BaseModel):
    """Edits of the signed drafts of a configuration, those of most drafts first, and their ratings."""

    configuration: str
    signed: int = Field(description="drafts that were signed")
    compared: int = Field(description="signed drafts of which edits were counted, also those without any")
    unchanged: int = Field(description="of those, drafts that were signed as they were")
    rewritten: int = Field(description="signed with a narrative that a physician wrote instead: not compared")
    uncounted: int = Field(description="changed, and signed before edits were counted: not compared")
    ratings: RatingCounts = Field(description="what physicians said of them")
    items: list[EditSummary]

    @classmethod
    def of(cls, found: DrafterFeedback) -> "DrafterEdits":
        return cls(
            configuration=found.configuration,
            signed=found.signed,
            compared=found.compared,
            unchanged=found.unchanged,
            rewritten=found.rewritten,
            uncounted=found.uncounted,
            ratings=found.ratings,
            items=[EditSummary.of(item, found.compared) for item in found.edits],
        )


@router.get("/{digest}/edits", summary="What physicians change in the drafts of a configuration, and their ratings")
async def edits(_: AnyRole, service: Drafters, digest: str) -> DrafterEdits:
    return DrafterEdits.of(await service.feedback(digest))
