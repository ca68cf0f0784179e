"""The page of absences: who is away, who covers, and which open reviews are still with who is away."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Form, Path
from fastapi.responses import RedirectResponse, Response

from services.approval.absences.api import refused_absence
from services.approval.absences.errors import AbsenceRefusedError, UnknownAbsenceError
from services.approval.absences.rules import Absence
from services.approval.department.rules import MAX_SELECTED
from services.approval.dependencies import Api, ApiDependencies, Supervisor
from services.approval.review.errors import DecisionRefusedError
from services.approval.review.problems import problem_of
from services.approval.web.department import HERE
from services.approval.web.department_actions import PERSON
from services.approval.web.render import PageRoute, page, plain
from shared.contracts.ehr import Department
from shared.contracts.subjects import CASE_ID
from shared.runtime.authentication import Caller
from shared.runtime.problems import ProblemError

PATH = f"{HERE}/absences"
STATES = {"current": "away now", "upcoming": "upcoming", "ended": "ended", "removed": "ended early"}
FIELDS = ("department", "absent", "cover", "first", "last")
Person = Annotated[str, Form(pattern=PERSON)]

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get(PATH)
async def show(who: Supervisor, api: Api, added: str = "", removed: str = "") -> Response:
    return await _page(api, who, added=added, removed=removed)


@router.post(PATH)
async def add(
    who: Supervisor,
    api: Api,
    department: Annotated[Department, Form()],
    absent: Person,
    cover: Person,
    first: Annotated[date, Form()],
    last: Annotated[date, Form()],
) -> Response:
    """Set an absence of whole days, in the time zone of the department."""
    zone = api.zone_of(department) or UTC
    starts = datetime.combine(first, time(), zone)
    ends = datetime.combine(last + timedelta(days=1), time(), zone)
    people = [f"Practitioner/{item.strip().removeprefix('Practitioner/')}" for item in (absent, cover)]
    typed = {"department": department, "absent": absent, "cover": cover, "first": str(first), "last": str(last)}
    try:
        stored = await api.department.absences.add(who, department, people[0], people[1], starts, ends)
    except UnknownAbsenceError:
        raise ProblemError(404, "There is no such department") from None
    except AbsenceRefusedError as refused:
        return await _refused(api, who, refused_absence(refused), typed)
    except DecisionRefusedError as refused:
        return await _refused(api, who, problem_of(refused), typed)
    return RedirectResponse(f"{PATH}?added={stored.id}", 303)


@router.post(PATH + "/{id}/remove")
async def remove(who: Supervisor, api: Api, id: Annotated[str, Path(pattern=rf"^{CASE_ID}$")]) -> Response:
    try:
        await api.department.absences.remove(who, id)
    except UnknownAbsenceError:
        raise ProblemError(404, "There is no such absence") from None
    return RedirectResponse(f"{PATH}?removed={id}", 303)


async def _refused(api: ApiDependencies, who: Caller, problem: ProblemError, typed: dict[str, str]) -> Response:
    """Show the page with what was typed and why it was not taken."""
    answer = await _page(api, who, typed=typed, refused=f"Not set. {problem.detail or problem.title}")
    answer.status_code = problem.status
    return answer


async def _page(api: ApiDependencies, who: Caller, **values: Any) -> Response:
    found = await api.department.absences.visible(who)
    names = await api.department.names.of(person for item in found for person in (item.absent, item.cover))
    now = api.clock()
    lines = [_line(api, item, names, now) for item in found]
    open_first = {"current": 0, "upcoming": 1, "removed": 2, "ended": 2}
    lines.sort(key=lambda line: open_first[line["state"]])
    departments = who.departments or sorted({*api.open_reviews.counts(), *(item.department for item in found)})
    defaults: dict[str, Any] = {"added": "", "removed": "", "typed": dict.fromkeys(FIELDS, ""), "refused": ""}
    return page(
        "absences.html",
        who=who,
        here=HERE,
        zone=api.zone_of(departments[0]) if len(departments) == 1 else None,
        lines=lines,
        states=STATES,
        departments=departments,
        request_id=api.department.new_id(),
        max_selected=MAX_SELECTED,
        **defaults | values,
    )


def _line(api: ApiDependencies, item: Absence, names: dict[str, str], now: datetime) -> dict[str, Any]:
    state = item.state(now)
    open_reviews = api.open_reviews.of_department((item.department,)) if state in ("current", "upcoming") else []
    return {
        "item": item,
        "state": state,
        "absent": names.get(item.absent) or plain(item.absent),
        "cover": names.get(item.cover) or plain(item.cover),
        "left": [row.ref.id for row in open_reviews if row.owner == item.absent],
    }
