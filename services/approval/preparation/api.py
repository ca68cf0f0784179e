"""REST API: stays that are prepared before their discharge."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from services.approval.dependencies import Api, Watcher
from services.approval.projections.preparations import Preparation
from services.approval.review.api import shown_departments
from shared.contracts.ehr import Department
from shared.runtime.api_route import ApiRoute

router = APIRouter(tags=["reviews"], route_class=ApiRoute)


class PreparationList(BaseModel):
    """Preparations that have not ended: those that are expected to be discharged first, then the oldest."""

    items: list[Preparation]
    total: int = Field(description="how many there are; more than `items` where `limit` is smaller")


@router.get("/v1/preparations", summary="Drafts that are prepared before the discharge")
async def list_preparations(
    who: Watcher,
    api: Api,
    department: Department | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> PreparationList:
    departments = shown_departments(who, department)
    return PreparationList(items=api.preparations.page(departments, limit), total=api.preparations.count(departments))
