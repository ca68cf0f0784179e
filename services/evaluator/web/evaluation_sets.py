"""The pages of evaluation sets: each set with its versions, the cases of one version, and the form that makes one."""

from collections import defaultdict
from itertools import groupby
from typing import Annotated, Any

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response

from services.evaluator.dependencies import DrafterReader, Drafters, Engineer
from services.evaluator.drafters import DrafterService
from services.evaluator.evaluation_sets import StayChoice
from services.evaluator.evaluation_sets_api import SetSummary, VersionedName
from services.evaluator.web.drafter_details import ReasonField, may_act
from services.evaluator.web.drafter_list import HERE
from services.evaluator.web.render import PageRoute, page
from shared.contracts.evaluations import MAX_ITEMS, SetName
from shared.runtime.authentication import Caller
from shared.runtime.problems import ProblemError

router = APIRouter(route_class=PageRoute, include_in_schema=False)
MAX_CASES_CHARACTERS = MAX_ITEMS * 65
CaseWords = Annotated[str, Form(max_length=MAX_CASES_CHARACTERS)]


@router.get("/drafters/sets")
async def show_all(who: DrafterReader, drafters: Drafters) -> Response:
    return page("evaluation_sets.html", **await _values(drafters, who), problem=None, typed=defaultdict(str))


@router.post("/drafters/sets")
async def make(
    who: Engineer,
    drafters: Drafters,
    name: Annotated[SetName, Form()],
    document: Annotated[str, Form(max_length=64)],
    reason: ReasonField,
    limit: Annotated[int, Form(ge=1, le=MAX_ITEMS)] = 50,
    department: Annotated[str, Form(max_length=64)] = "",
    cases: CaseWords = "",
    without: CaseWords = "",
    synthetic: Annotated[bool, Form()] = False,
) -> Response:
    """Make a set, or its next version; where no stay fits, show the form again with what was typed."""
    only = department.strip() or None
    choice = StayChoice(limit, tuple(cases.split()), tuple(without.split()), only, synthetic)
    if len(choice.cases) > MAX_ITEMS or len(choice.without) > MAX_ITEMS:
        raise ProblemError(422, "Too many cases", f"A set has at most {MAX_ITEMS}.")
    try:
        made = await drafters.sets.make(name, document, choice, who.actor, reason.strip())
    except ProblemError as problem:
        if problem.status != 409:
            raise
        typed = {"name": name, "document": document, "reason": reason, "limit": str(limit), "department": department}
        typed |= {"cases": cases, "without": without, "synthetic": "true" if synthetic else ""}
        values: dict[str, Any] = await _values(drafters, who) | {"problem": problem, "typed": defaultdict(str, typed)}
        return page("evaluation_sets.html", problem.status, **values)
    return RedirectResponse(f"{HERE}/sets/{made.stamp}?done=made", 303)


@router.get("/drafters/sets/{stamp}")
async def show(stamp: VersionedName, who: DrafterReader, drafters: Drafters, done: str = "") -> Response:
    made = await drafters.sets.find(stamp)
    candidates = [
        item
        for item in (await drafters.all(made.document) if made.document in await drafters.states() else [])
        if item.entry.state in ("candidate", "shadow", "canary")
    ]
    values: dict[str, Any] = {"made": made, "summary": SetSummary.of(made), "candidates": candidates}
    return page("evaluation_set.html", who=who, here=HERE, may_act=may_act(who), done=done == "made", **values)


async def _values(drafters: DrafterService, who: Caller) -> dict[str, Any]:
    found = [SetSummary.of(item) for item in await drafters.sets.all()]
    sets = {name: list(versions)[::-1] for name, versions in groupby(found, lambda item: item.name)}
    documents = sorted(await drafters.states())
    return {"who": who, "here": HERE, "sets": sets, "documents": documents, "may_act": may_act(who)}
