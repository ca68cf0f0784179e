"""The auditor's page of signatures without a recorded view of the draft."""

from datetime import UTC, timedelta

from fastapi import APIRouter
from fastapi.responses import Response

from services.approval.access.filter import parse_cursor
from services.approval.access.signatures_api import PERIOD
from services.approval.access.unseen import Reason
from services.approval.dependencies import Api, Auditor, Person
from services.approval.web.access import HERE, NOTES, day
from services.approval.web.render import PageRoute, page

REASON_LABELS: dict[Reason, tuple[str, str]] = {
    "not-viewed": ("bad", "No view recorded"),
    "other-draft-viewed": ("bad", "Only another draft viewed"),
    "signed-in-ehr": ("", "Signed in the EHR"),
}

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get(f"{HERE}/signatures")
async def show(who: Auditor, person: Person, api: Api, since: str = "", until: str = "", after: str = "") -> Response:
    """Show what was signed without a view in the period; both days are inclusive."""
    zone, now = api.zone_of(""), api.clock()
    start = day(since, zone) if since else now - PERIOD
    last = day(until, zone)
    problem = "dates" if start is None or (until and last is None) else None
    try:
        cursor = parse_cursor(after or None)
    except ValueError:
        cursor, problem = None, problem or "cursor"
    found = None
    if problem is None and start is not None:
        found = await api.signatures.page(who, start, last + timedelta(days=1) if last else None, cursor)
    return page(
        "signatures.html",
        who=person,
        here=HERE,
        zone=zone,
        zone_name=now.astimezone(zone or UTC).tzname(),
        since=since or (start.astimezone(zone or UTC).date().isoformat() if start else ""),
        until=until,
        found=found,
        words=REASON_LABELS,
        note=NOTES.get(problem or "", ""),
    )
