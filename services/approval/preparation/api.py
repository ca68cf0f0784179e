"""REST API: stays that are prepared before their discharge."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from services.approval.dependencies import Api, Watcher
from services.approval.projections.preparations import Preparation, expected_first
from services.approval.review.api import shown_departments
from shared.contracts.ehr import Department
from shared.runtime.api_route import ApiRoute
from shared.runtime.list_pages import After, Next, page_of

router = APIRouter(tags=["reviews"], route_class=ApiRoute)


class PreparationList(BaseModel):
    """A page of preparations that have not ended: those that are expected to be discharged first, then the oldest."""

    items: list[Preparation]
    total: int = Field(description="how many there are on all pages")
    next: Next


@router.get("/v1/preparations", summary="Drafts that are prepared before the discharge")
async def list_preparations(
    who: Watcher,
    api: Api,
    department: Department | None = None,
    after: After = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> PreparationList:
    departments = shown_departments(who, department)
    items, following = page_of(api.preparations.of(departments), expected_first, after, limit)
    return PreparationList(items=items, total=api.preparations.count(departments), next=following)
