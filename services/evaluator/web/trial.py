"""The page that begins a trial: a candidate and the live configuration draft signed stays, for a person to read."""

from typing import Annotated, Any

from fastapi import APIRouter, Form, Query
from fastapi.responses import RedirectResponse, Response

from services.evaluator.dependencies import Drafters, TextReader
from services.evaluator.drafters import MAX_TRIAL_STAYS, DrafterService
from services.evaluator.evaluation_sets import VERSIONED_NAME, StayChoice
from services.evaluator.web.drafter_details import ReasonField
from services.evaluator.web.drafter_list import HERE
from services.evaluator.web.render import PageRoute, page
from shared.contracts.evaluations import EvaluationItem
from shared.runtime.authentication import Caller
from shared.runtime.problems import ProblemError

router = APIRouter(route_class=PageRoute, include_in_schema=False)
SHOWN = 20  # stays
SetName = Annotated[str, Query(pattern=rf"^$|{VERSIONED_NAME.pattern}")]
CaseId = Annotated[str, Form(pattern=r"^[A-Za-z0-9-]{1,64}$")]


@router.get("/drafters/{digest}/trial")
async def show(digest: str, who: TextReader, drafters: Drafters, set: SetName = "") -> Response:
    """`set` offers the stays of an evaluation set, in place of those that were signed last."""
    values = await _values(drafters, digest, who, set)
    return page("begin_trial.html", **values, problem=None, cases=(), other="", reason="")


@router.post("/drafters/{digest}/trial")
async def begin(
    digest: str,
    who: TextReader,
    drafters: Drafters,
    reason: ReasonField,
    case: Annotated[list[CaseId], Form(max_length=SHOWN)] = [],  # noqa: B006 - FastAPI copies it
    other: Annotated[str, Form(pattern=r"^[A-Za-z0-9\s-]{0,1000}$")] = "",
    set: Annotated[str, Form(pattern=rf"^$|{VERSIONED_NAME.pattern}")] = "",
) -> Response:
    """Draft the stays that are ticked (`case`), and those whose ids are written (`other`)."""
    try:
        found = await drafters.begin_trial(digest, [*case, *other.split()], who, reason.strip())
    except ProblemError as problem:
        if problem.status != 409:
            raise
        values = await _values(drafters, digest, who, set)
        return page(
            "begin_trial.html", problem.status, **values, problem=problem, cases=case, other=other, reason=reason
        )
    return RedirectResponse(f"{HERE}/{found.requested.candidate}/evaluations/{found.id}", 303)


async def _values(drafters: DrafterService, digest: str, who: Caller, set: str) -> dict[str, Any]:
    found = await drafters.one(digest)
    sets = [
        item
        for item in await drafters.sets.all()
        if item.document == found.document and any(stay.signed is not None for stay in item.items)
    ]
    return {
        "who": who,
        "here": HERE,
        "found": found,
        "most": MAX_TRIAL_STAYS,
        "sets": sets,
        "set": set,
        "stays": await (_stays_of_set(drafters, set, who) if set else _last_stays(drafters, found.document, who)),
    }


async def _stays_of_set(drafters: DrafterService, set: str, who: Caller) -> list[EvaluationItem]:
    """Return the first signed stays of a set, those of the departments of `who`. Raises ProblemError."""
    items = (await drafters.sets.find(set)).items
    return [item for item in items if item.signed is not None and who.can_access_department(item.department)][:SHOWN]


async def _last_stays(drafters: DrafterService, document: str, who: Caller) -> list[EvaluationItem]:
    """Return the stays that were signed last, those of the departments of `who`."""
    departments = who.departments or ([None] if who.departments is None else [])
    found: list[EvaluationItem] = []
    for department in departments:
        try:
            found += await drafters.sets.choose(document, StayChoice(SHOWN, department=department))
        except ProblemError:
            continue  # nothing of the department was signed yet
    return found[:SHOWN]
