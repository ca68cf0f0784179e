"""The auditor's first page: the access log, searched by person, case, action and period; exports; evidence packs."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Annotated, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response
from pydantic import TypeAdapter

from services.approval.access.api import Reference
from services.approval.access.filter import AccessFilter, parse_cursor
from services.approval.access.search import AccessPage
from services.approval.dependencies import Api, ApiDependencies, Auditor, Person
from services.approval.review.api import readable
from services.approval.review.case_reader import CASE_ID
from services.approval.web.render import PageRoute, page
from shared.contracts.access_log import AccessLogEvent
from shared.runtime.authentication import Caller
from shared.web.render import span

HERE, PAGE = "/access", 50
ACTION_LABELS: dict[AccessLogEvent, str] = {
    "viewed": "Looked at a draft",
    "refused": "Was refused",
    "signed-in": "Signed in",
    "signed-out": "Signed out",
    "exported": "Exported",
}
NOTES = {
    "case": "There is no case with that id. A case id has 36 characters; copy it whole.",
    "dates": "The dates were not understood, so nothing was searched. Write them as 2026-11-28.",
    "action": "There is no such action, so nothing was searched.",
    "cursor": "That page of the list does not exist: search again.",
}

_reference: TypeAdapter[str] = TypeAdapter(Reference)

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get(HERE)
async def show(
    who: Auditor,
    visitor: Person,
    api: Api,
    person: str = "",
    case: str = "",
    action: str = "",
    since: str = "",
    until: str = "",
    after: str = "",
    note: str = "",
) -> Response:
    """Show a page of the log. `since` and `until` are days, both inclusive, in the hospital's time zone."""
    zone = api.zone_of("")
    form = {"person": person.strip(), "case": case.strip(), "action": action, "since": since, "until": until}
    wanted, problem = read_form(form, zone)
    try:
        before = parse_cursor(after or None)
    except ValueError:
        before, problem = None, problem or "cursor"
    found = AccessPage([], None, None)
    if problem is None:
        found = await api.access_log.page(who, wanted, before, PAGE)
    kept = {name: value for name, value in form.items() if value}
    now = api.clock()
    return page(
        "access.html",
        who=visitor,
        here=HERE,
        zone=zone,
        zone_name=now.astimezone(zone or UTC).tzname(),
        form=form,
        actions=ACTION_LABELS,
        entries=[(item, span((now - item.time).total_seconds())) for item in found.items],
        older=f"{HERE}?{urlencode(kept | {'after': str(found.before)})}" if found.before is not None else None,
        latest=f"{HERE}?{urlencode(kept)}" if before is not None else None,
        searched_to=found.searched_to,
        exports=_exports(wanted) if problem is None else {},
        filtered=bool(kept),
        note=NOTES.get(problem or note, ""),
    )


@router.post("/access/find")
async def find(
    who: Auditor,
    visitor: Person,
    api: Api,
    patient: Annotated[str, Form(max_length=128)] = "",
    encounter: Annotated[str, Form(max_length=128)] = "",
) -> Response:
    """Show the cases of a patient or a stay. By POST: their ids stay out of addresses and their logs."""
    return await _search_result(api, who, visitor, patient.strip(), encounter.strip())


@router.post("/access/evidence")
async def evidence(who: Auditor, api: Api, case: Annotated[str, Form(max_length=64)] = "") -> Response:
    """Send the browser to the evidence pack of a case."""
    if not CASE_ID.fullmatch(case.strip()):
        return RedirectResponse(f"{HERE}?note=case", 303)
    await readable(api.cases, case.strip(), who)
    return RedirectResponse(f"/v1/cases/{case.strip()}/evidence", 303)


def read_form(form: dict[str, str], zone: tzinfo | None) -> tuple[AccessFilter, str | None]:
    """Return the filter of a form, and the name of the note about what in it was not understood."""
    since, until = day(form["since"], zone), day(form["until"], zone)
    if (form["since"] and since is None) or (form["until"] and until is None):
        return AccessFilter(), "dates"
    if form["case"] and not CASE_ID.fullmatch(form["case"]):
        return AccessFilter(), "case"
    action = next((item for item in get_args(AccessLogEvent) if item == form["action"]), None)
    if form["action"] and action is None:
        return AccessFilter(), "action"
    cases = frozenset({form["case"]}) if form["case"] else None
    end = until + timedelta(days=1) if until is not None else None
    return AccessFilter(form["person"] or None, cases, action, since, end), None


def day(text: str, zone: tzinfo | None) -> datetime | None:
    """Return the beginning of a day as a form sends it; None for what is no day."""
    try:
        return datetime.combine(date.fromisoformat(text), time(), zone or UTC)
    except ValueError:
        return None


def _exports(wanted: AccessFilter) -> dict[str, str]:
    """Return the addresses of the exports of everything that matches."""
    given = {
        "subject": wanted.subject,
        "case": wanted.case,
        "action": wanted.action,
        "since": wanted.since.isoformat() if wanted.since else None,
        "until": wanted.until.isoformat() if wanted.until else None,
    }
    kept = {name: value for name, value in given.items() if value}
    return {name: f"/v1/access?{urlencode(kept | {'format': name})}" for name in ("csv", "fhir")}


async def _search_result(api: ApiDependencies, who: Caller, visitor: Caller, patient: str, encounter: str) -> Response:
    try:
        wanted = {name: _reference.validate_python(value) for name, value in _given(patient, encounter).items()}
    except ValueError:
        wanted = {}
    cases = await api.access_log.cases_of(who, wanted.get("patient"), wanted.get("encounter")) if wanted else []
    if len(cases) == 1:
        return RedirectResponse(f"{HERE}?case={cases[0].case_id}", 303)
    return page("access_cases.html", who=visitor, here=HERE, cases=cases, understood=bool(wanted))


def _given(patient: str, encounter: str) -> dict[str, str]:
    return {name: value for name, value in (("patient", patient), ("encounter", encounter)) if value}
