"""Names to choose from when a review is given to somebody else: the EHR's practitioners."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response

from services.approval.api import Parts
from services.approval.inbox.render import page
from services.approval.resources import Resource
from services.approval.rights import READERS
from shared.clinical.fhir_client import FhirClient
from shared.contracts.errors import CountersignError
from shared.runtime.authentication import Caller

SHOWN = 20


def add_people(router: APIRouter, parts: Parts, ehr: FhirClient) -> None:
    clinician = Annotated[Caller, Depends(parts.guard.require(*READERS))]

    @router.get("/people", include_in_schema=False)
    async def people(_: clinician, q: Annotated[str, Query(min_length=2, max_length=60)]) -> Response:
        """Options whose family name begins with `q`; none where the EHR does not answer: an id can be typed."""
        try:
            found = await ehr.search("Practitioner", {"family": q, "_count": str(SHOWN)})
        except CountersignError:
            found = []
        return page("people.html", people=[(item["id"], name_of(item)) for item in found[:SHOWN] if item.get("id")])


def name_of(practitioner: Resource) -> str:
    """Prefix, given names and family name; empty where the EHR has none."""
    names = practitioner.get("name")
    name = next((item for item in names if isinstance(item, dict)), {}) if isinstance(names, list) else {}
    parts = [*(name.get("prefix") or []), *(name.get("given") or []), name.get("family")]
    return " ".join(part for part in parts if isinstance(part, str)).strip()
