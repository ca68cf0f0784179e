"""Search of the EHR's practitioners, for the form that reassigns a review."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from services.approval.dependencies import Api, Clinician
from services.approval.filing.resources import Resource
from services.approval.web.render import PageRoute, page
from shared.contracts.errors import CountersignError

SHOWN = 20


router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/people")
async def people(_: Clinician, api: Api, q: Annotated[str, Query(min_length=2, max_length=60)]) -> Response:
    """Return options whose family name starts with `q`; none if the EHR does not answer: an id can be typed."""
    try:
        found = await api.ehr.search("Practitioner", {"family": q, "_count": str(SHOWN)})
    except CountersignError:
        found = []
    return page("people.html", people=[(item["id"], name_of(item)) for item in found[:SHOWN] if item.get("id")])


def name_of(practitioner: Resource) -> str:
    """Return prefix, given names and family name; empty if the EHR has none."""
    names = practitioner.get("name")
    name = next((item for item in names if isinstance(item, dict)), {}) if isinstance(names, list) else {}
    parts = [*(name.get("prefix") or []), *(name.get("given") or []), name.get("family")]
    return " ".join(part for part in parts if isinstance(part, str)).strip()
