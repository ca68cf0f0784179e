"""Search of the EHR's practitioners, for the form that reassigns a review."""

from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from services.approval.dependencies import Api, Clinician
from services.approval.web.render import PageRoute, page
from shared.clinical.elements import person_name
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
    shown = [item for item in found[:SHOWN] if item.get("id")]
    return page("people.html", people=[(item["id"], person_name(item, prefixes=True) or "") for item in shown])
