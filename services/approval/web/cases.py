"""Pages about cases for operators and auditors: the list of all cases, and the history of one. No texts of patients."""

from collections import Counter
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Form, Query
from fastapi.responses import RedirectResponse, Response
from pydantic import ValidationError

from services.approval.dependencies import Api, ApiDependencies, CaseWatcher, Person
from services.approval.operations.retry import last_failure, redrivable
from services.approval.operations.saved_views import MOST, SavedView, TooManyViewsError
from services.approval.review.api import readable
from services.approval.review.case_list import CaseFilter, matching, page, parse_cursor
from services.approval.review.operator_reasons import read_reasons
from services.approval.review.views import case_view
from services.approval.web import render
from services.approval.web.case_history import format_duration, lines, traces, waiting_for
from services.approval.web.case_search import BUILT_IN, PERIODS, SHORT_STATES, CasePage, CaseSearch
from services.approval.web.render import EVENT_LABELS, STATE_LABELS, PageRoute
from services.approval.withdrawal.rules import withdrawable
from shared.contracts.case import CaseState, fold
from shared.contracts.envelope import RecordedEvent
from shared.runtime.authentication import Caller
from shared.runtime.problems import ProblemError
from shared.web.render import span

LINES = 50
DONE = {
    "retried": "The step is tried again. Your name is on the record.",
    "reassigned": "The review belongs to somebody else now. Its deadlines start again.",
    "withdrawn": "The case is withdrawn. Your name and your reason are on the record.",
    "no-such-person": "Not given away: the EHR knows no such practitioner.",
}

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/cases")
async def list_page(who: CaseWatcher, person: Person, api: Api, asked: Annotated[CasePage, Query()]) -> Response:
    search, now = asked.search, api.clock()
    before = parse_cursor(asked.after)
    complete = await api.index.refresh()
    wanted = search.filter(now, is_case=api.index.find(search.q.strip()) is not None)
    rows, following = page(api.index, who, wanted, before, LINES)
    return render.page(
        "cases.html",
        who=person,
        here="/cases",
        search=search,
        rows=rows,
        now=now,
        zones={row.ref.department: api.zone_of(row.ref.department) for row in rows},
        next=f"{search.link()}{'&' if search.query else '?'}after={following}" if following else None,
        first=before is None,
        counts=_counts(api, who, wanted),
        departments=api.index.departments(who),
        built_in=BUILT_IN,
        saved=await api.views.of(who.subject),
        complete=complete,
        unreadable=api.unreadable.of(who),
        done=asked.done,
        words=EVENT_LABELS,
        span=span,
        states=SHORT_STATES,
        periods=PERIODS,
    )


def _counts(api: ApiDependencies, who: Caller, wanted: CaseFilter) -> Counter[CaseState]:
    """Count the cases of the search by state; its own criterion of states is ignored."""
    anywhere = wanted.model_copy(update={"state": ()})
    if anywhere == CaseFilter(department=wanted.department):
        return api.index.counts(who, wanted.department)
    return Counter(row.case.state for row in matching(api.index, who, anywhere))


@router.post("/cases/views")
async def save_view(
    who: CaseWatcher,
    api: Api,
    name: Annotated[str, Form(min_length=1, max_length=60)],
    query: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Name the search `query` for the person; a view of that name is replaced."""
    search, called = _search_of(query), name.strip()
    if not called:
        raise ProblemError(422, "A name is needed")
    try:
        await api.views.save(who.subject, SavedView(name=called, query=search.query))
    except TooManyViewsError:
        raise ProblemError(409, f"You have {MOST} views already", "Remove one that you do not need.") from None
    return RedirectResponse(f"{search.link()}{'&' if search.query else '?'}done=saved", 303)


@router.post("/cases/views/remove")
async def remove_view(who: CaseWatcher, api: Api, name: Annotated[str, Form(min_length=1, max_length=60)]) -> Response:
    await api.views.remove(who.subject, name)
    return RedirectResponse("/cases?done=removed", 303)


def _search_of(query: str) -> CaseSearch:
    pairs = parse_qsl(query)
    given: dict[str, Any] = {name: value for name, value in pairs if name != "state"}
    try:
        return CaseSearch(**given, state=tuple(value for name, value in pairs if name == "state"))
    except ValidationError:
        raise ProblemError(422, "That is no search of this page") from None


@router.get("/cases/{case_id}")
async def case_page(case_id: str, who: CaseWatcher, person: Person, api: Api, done: str = "") -> Response:
    history, unreadable = await readable(api.cases, case_id, who)
    case, acts = fold(history), who.role == "operator"
    failure = last_failure(history)
    letters = await api.operations.dead_letters_of(who, case_id) if acts and failure is not None else []
    return render.page(
        "case_history.html",
        who=person,
        here="/cases",
        view=case_view(history, unreadable),
        case=case,
        encounter=_encounter(api, history),
        lines=lines(history, await read_reasons(api.cases, history)),
        traces=traces(history, api.trace_url),
        withdrawable=acts and withdrawable(case),
        waiting=waiting_for(case, history),
        filing=await api.chart.unfiled_of(history),
        failure=failure if case.failure is not None else None,
        letters=letters,
        letter=redrivable(letters, history),
        acts=acts,
        now=api.clock(),
        zone=api.zone_of(history[-1].case.department),
        done=DONE.get(done, ""),
        refused=done == "no-such-person",
        words=EVENT_LABELS,
        span=span,
        lapse=format_duration,
        state_words=STATE_LABELS,
    )


def _encounter(api: ApiDependencies, history: list[RecordedEvent]) -> str:
    row = api.index.find(history[-1].case.id)
    return row.encounter if row is not None else ""
