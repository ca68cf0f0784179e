"""The page that begins a trial: a candidate and the live configuration draft one signed stay, for a person to read."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form
from fastapi.responses import RedirectResponse, Response

from services.evaluator.dependencies import Drafters, allow
from services.evaluator.drafters import DrafterService
from services.evaluator.evaluation_sets import StayChoice
from services.evaluator.web.drafter_details import ReasonField
from services.evaluator.web.drafter_list import HERE
from services.evaluator.web.render import PageRoute, page
from shared.contracts.evaluations import EvaluationItem
from shared.runtime.authentication import Caller
from shared.runtime.problems import ProblemError

router = APIRouter(route_class=PageRoute, include_in_schema=False)
SHOWN = 20  # stays
TextReader = Annotated[Caller, Depends(allow("engineer"))]  # an operator repairs without reading drafts


@router.get("/drafters/{digest}/trial")
async def show(digest: str, who: TextReader, drafters: Drafters) -> Response:
    return page("begin_trial.html", **await _values(drafters, digest, who), problem=None, case="", other="", reason="")


@router.post("/drafters/{digest}/trial")
async def begin(
    digest: str,
    who: TextReader,
    drafters: Drafters,
    case: Annotated[str, Form(pattern=r"^[A-Za-z0-9-]{1,64}$")],
    reason: ReasonField,
    other: Annotated[str, Form(pattern=r"^\s*[A-Za-z0-9-]{0,64}\s*$")] = "",
) -> Response:
    """Try it on the case `other`, else on `case`."""
    try:
        found = await drafters.try_on(digest, other.strip() or case, who, reason.strip())
    except ProblemError as problem:
        if problem.status != 409:
            raise
        values = await _values(drafters, digest, who)
        return page(
            "begin_trial.html", problem.status, **values, problem=problem, case=case, other=other, reason=reason
        )
    return RedirectResponse(f"{HERE}/{found.requested.candidate}/evaluations/{found.id}", 303)


async def _values(drafters: DrafterService, digest: str, who: Caller) -> dict[str, Any]:
    found = await drafters.one(digest)
    return {"who": who, "here": HERE, "found": found, "stays": await _stays(drafters, found.document, who)}


async def _stays(drafters: DrafterService, document: str, who: Caller) -> list[EvaluationItem]:
    """Return the stays that were signed last, those of the departments of `who`."""
    departments = who.departments or ([None] if who.departments is None else [])
    found: list[EvaluationItem] = []
    for department in departments:
        try:
            found += await drafters.sets.choose(document, StayChoice(SHOWN, department=department))
        except ProblemError:
            continue  # nothing of the department was signed yet
    return found[:SHOWN]
