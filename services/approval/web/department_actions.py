"""What a supervisor does with several reviews at once: remind their owners, give them to somebody else.

Each form has an id. The page that follows it shows what became of each review, as the stored events and reminders
have it: reloading it does nothing, and the same request sent again has no further effect.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query
from fastapi.responses import RedirectResponse, Response

from services.approval.department.rules import MAX_SELECTED
from services.approval.dependencies import Api, ApiDependencies, Supervisor
from services.approval.review.case_reader import current
from services.approval.review.decision_writer import cause_of
from services.approval.review.errors import DecisionRefusedError
from services.approval.review.problems import TITLES, problem_of
from services.approval.web.department import HERE, people_of, row_of
from services.approval.web.render import STATE_LABELS, PageRoute, page, plain
from shared.contracts.case import fold
from shared.contracts.envelope import RecordedEvent
from shared.contracts.events import Reassigned
from shared.contracts.subjects import CASE_ID, derived_id
from shared.runtime.authentication import Caller
from shared.web.local_time import local

# What may differ for each review of a selection. Everything else is wrong for all of them.
OF_ONE = ("unknown", "decided", "not-open", "forbidden", "reminded", "no-channel")
CONCURRENT = 8  # reviews of a request that are changed at a time
PERSON = r"^\s*(Practitioner/)?[A-Za-z0-9.\-]{1,64}\s*$"
REQUEST_ID = r"^[A-Za-z0-9-]{1,64}$"

RequestId = Annotated[str, Form(pattern=REQUEST_ID)]
Case = Annotated[str, Query(pattern=rf"^{CASE_ID}$")]
Cases = Annotated[list[Case], Form(max_length=MAX_SELECTED)]
CasesInQuery = Annotated[list[Case], Query(max_length=MAX_SELECTED)]
RequestIdInQuery = Annotated[str, Query(pattern=REQUEST_ID)]

router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.post(f"{HERE}/remind")
async def remind(who: Supervisor, api: Api, request_id: RequestId, case: Cases = []) -> Response:  # noqa: B006 - FastAPI copies it
    await _each(case, lambda case_id: api.department.reminders.remind(case_id, who, request_id))
    return _result(f"{HERE}/reminded", request_id, case)


@router.get(f"{HERE}/reminded")
async def reminded(who: Supervisor, api: Api, request_id: RequestIdInQuery, case: CasesInQuery) -> Response:
    """Show what became of the reminders of one request."""
    results = [await _reminder_of(api, who, case_id, request_id) for case_id in case]
    return page("department_result.html", who=who, here=HERE, zone=None, what="reminded", results=results)


@router.get(f"{HERE}/reassign")
async def preview(
    who: Supervisor,
    api: Api,
    request_id: RequestIdInQuery,
    case: CasesInQuery = [],  # noqa: B006 - FastAPI copies it
    to: Annotated[str, Query(max_length=80)] = "",
) -> Response:
    """Show which reviews are about to be given to somebody else, and ask to whom and why."""
    if not case:
        return RedirectResponse(f"{HERE}?note=none", 303)
    now = api.clock()
    found = [row for case_id in case if (row := api.open_reviews.find(case_id)) is not None]
    rows = [row for row in found if who.can_access_department(row.ref.department)]
    people = await people_of(api, rows)
    return page(
        "department_reassign.html",
        who=who,
        here=HERE,
        zone=api.zone_of(rows[0].ref.department) if rows else None,
        rows=[row_of(row, people, now) for row in rows],
        missing=len(case) - len(rows),
        to=to.removeprefix("Practitioner/"),
        to_name=(await api.department.names.of([to])).get(to, ""),
        request_id=request_id,
    )


@router.post(f"{HERE}/reassign")
async def reassign(
    who: Supervisor,
    api: Api,
    request_id: RequestId,
    to: Annotated[str, Form(pattern=PERSON)],
    reason: Annotated[str, Form(max_length=4000)],
    case: Cases = [],  # noqa: B006 - FastAPI copies it
) -> Response:
    owner = f"Practitioner/{to.strip().removeprefix('Practitioner/')}"
    await _each(case, lambda case_id: api.review.reassign(case_id, owner, who, reason.strip(), request_id))
    return _result(f"{HERE}/reassigned", request_id, case, to=owner)


@router.get(f"{HERE}/reassigned")
async def reassigned(
    who: Supervisor,
    api: Api,
    request_id: RequestIdInQuery,
    case: CasesInQuery,
    to: Annotated[str, Query(pattern=PERSON)],
) -> Response:
    """Show what became of each review of a bulk reassignment."""
    names = await api.department.names.of([to])
    results = [await _reassignment_of(api, who, case_id, to, request_id) for case_id in case]
    name = names.get(to) or plain(to)
    return page("department_result.html", who=who, here=HERE, zone=None, what="reassigned", results=results, to=name)


async def _each(cases: Sequence[str], act: Callable[[str], Awaitable[object]]) -> None:
    """Act on each case, CONCURRENT at a time, also where one fails. The result page tells what concerns one review.

    Raises ProblemError for a refusal that concerns all of them, TransientError. Sent again, it finishes the rest.
    """
    places = asyncio.Semaphore(CONCURRENT)

    async def one(case_id: str) -> None:
        async with places:
            try:
                await act(case_id)
            except DecisionRefusedError as refused:
                if refused.code not in OF_ONE:
                    raise problem_of(refused) from None

    done = await asyncio.gather(*(one(case_id) for case_id in dict.fromkeys(cases)), return_exceptions=True)
    for failure in done:
        if failure is not None:
            raise failure


def _result(path: str, request_id: str, cases: Sequence[str], **more: str) -> Response:
    if not cases:
        return RedirectResponse(f"{HERE}?note=none", 303)
    query = urlencode({"request_id": request_id, **more, "case": list(dict.fromkeys(cases))}, doseq=True)
    return RedirectResponse(f"{path}?{query}", 303)


async def _history(api: ApiDependencies, who: Caller, case_id: str) -> list[RecordedEvent]:
    """Return the history of a case of the caller's departments; empty for any other."""
    history = await api.cases.history(case_id)
    return history if history and who.can_access_department(history[-1].case.department) else []


async def _reminder_of(api: ApiDependencies, who: Caller, case_id: str, request_id: str) -> dict[str, Any]:
    history = await _history(api, who, case_id)
    if not history:
        return _line(case_id, None, done=False, words=TITLES["unknown"][1])
    ref, case = current(case_id, history)
    last = await api.department.reminders.last(case_id)
    zone = api.zone_of(ref.department)
    if last is not None and last.request_id == request_id:
        names = await api.department.names.of([last.owner])
        owner = names.get(last.owner or "") or plain(last.owner)
        return _line(case_id, history, done=True, words=f"Reminder for {owner}", time=last.at, zone=zone)
    if not case.open:
        return _line(case_id, history, done=False, words=_ended(history))
    if last is not None:
        words = f"Not sent: {last.name or last.by} sent a reminder a short while ago. The next one is possible from"
        return _line(case_id, history, done=False, words=words, time=last.next_allowed_at, zone=zone)
    words = "Not sent: the department has no notification channel in the escalation directory"
    return _line(case_id, history, done=False, words=words)


async def _reassignment_of(api: ApiDependencies, who: Caller, case_id: str, to: str, request_id: str) -> dict[str, Any]:
    history = await _history(api, who, case_id)
    if not history:
        return _line(case_id, None, done=False, words=TITLES["unknown"][1])
    ref, case = current(case_id, history)
    id = derived_id(cause_of(ref, who, request_id) or "", "reassigned")
    zone = api.zone_of(ref.department)
    event = next((item for item in history if item.id == id and isinstance(item.body, Reassigned)), None)
    if event is not None:
        return _line(case_id, history, done=True, words="Given away", time=event.time, zone=zone)
    if not case.open:
        return _line(case_id, history, done=False, words=_ended(history))
    if case.owner == to:
        return _line(case_id, history, done=True, words="It was theirs already; its deadlines stay as they were")
    return _line(case_id, history, done=False, words="Not given away; it is as it was")


def _ended(history: Sequence[RecordedEvent]) -> str:
    """Return a sentence on what was decided in the meantime."""
    case = fold(history)
    words = f"Nothing was done: {STATE_LABELS[case.state].lower()}"
    return f"{words}, by {case.decision.actor}" if case.decision is not None else words


def _line(case_id: str, history: Sequence[RecordedEvent] | None, **values: Any) -> dict[str, Any]:
    """Return one line of a result. Without a history there is nothing to link to."""
    encounter, time = "", values.pop("time", None)
    if time is not None:
        values |= {"time": time, "when": local(time, values.pop("zone", None))}
    if history and (review := fold(history).review) is not None:
        encounter = review.stay.encounter.removeprefix("Encounter/")
    return {"case_id": case_id, "known": bool(history), "encounter": encounter, "time": None} | values
