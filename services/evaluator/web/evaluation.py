"""The page of one evaluation: its progress, then candidate beside live; and the form that begins one."""

from collections import Counter
from typing import Annotated

from fastapi import APIRouter, Form, Query
from fastapi.responses import RedirectResponse, Response

from services.evaluator.dependencies import ClockOf, DrafterReader, Drafters, Engineer
from services.evaluator.draft_metrics import CONFIDENCE, MIN_JUDGED
from services.evaluator.evaluation_sets import VERSIONED_NAME, StayChoice
from services.evaluator.evaluations_api import EvaluationId
from services.evaluator.web.drafter_details import ReasonField, may_act, may_read_texts, refused_page
from services.evaluator.web.drafter_list import HERE
from services.evaluator.web.render import PageRoute, page
from shared.contracts.evaluations import MAX_ITEMS, ItemJudged
from shared.runtime.authentication import Caller
from shared.runtime.problems import ProblemError

router = APIRouter(route_class=PageRoute, include_in_schema=False)
PAGE = 50  # stays
REFRESH_S = 5


@router.post("/drafters/{digest}/evaluations")
async def begin(
    digest: str,
    who: Engineer,
    drafters: Drafters,
    clock: ClockOf,
    reason: ReasonField,
    set: Annotated[str, Form(pattern=rf"^$|{VERSIONED_NAME.pattern}")] = "",
    limit: Annotated[int, Form(ge=1, le=MAX_ITEMS)] = 50,
    department: Annotated[str, Form(max_length=64)] = "",
) -> Response:
    """Evaluate on a set, else on the stays that were signed last."""
    stays = set or StayChoice(limit, department=department.strip() or None)
    try:
        found = await drafters.evaluate(digest, stays, who.actor, reason.strip())
    except ProblemError as problem:
        if problem.status != 409:
            raise
        return await refused_page(drafters, digest, who, clock, problem, {"move": "evaluate", "reason": reason})
    return RedirectResponse(f"{HERE}/{found.requested.candidate}/evaluations/{found.id}", 303)


@router.get("/drafters/{digest}/evaluations/{evaluation}")
async def show(
    digest: str,
    evaluation: EvaluationId,
    who: DrafterReader,
    drafters: Drafters,
    clock: ClockOf,
    after: Annotated[int, Query(ge=0)] = 0,
) -> Response:
    """`after` is the number of the last stay of the page before."""
    found = await drafters.evaluation(evaluation)
    candidate = await drafters.one(digest)
    if found.requested.candidate != candidate.entry.configuration:
        raise ProblemError(404, "There is no such evaluation")
    stays = await drafters.stays(candidate.entry.configuration, evaluation)
    following = [item for item in stays if item.number > after]
    tried, wanted = len(stays), len(found.requested.items)
    return page(
        "evaluation.html",
        who=who,
        here=HERE,
        now=clock(),
        found=found,
        candidate=candidate,
        live=await drafters.configuration(found.requested.live),
        tried=tried,
        wanted=wanted,
        running=tried < wanted or (not wanted and candidate.entry.state == "shadow"),
        refresh=REFRESH_S,
        gated=tuple(item.name for item in found.result.metrics if item.passed is not None),
        needed=MIN_JUDGED,
        confidence=CONFIDENCE,
        left_out=Counter(item.left_out for item in stays if item.left_out),
        stays=following[:PAGE],
        after=after,
        following=following[PAGE - 1].number if len(following) > PAGE else None,
        may_act=may_act(who),
        readable=_readable(who, stays) if found.requested.keep_drafts else (),
    )


def _readable(who: Caller, stays: list[ItemJudged]) -> list[str]:
    """Return the cases of a trial whose drafts `who` may read; approval, which shows them, decides again."""
    if not may_read_texts(who):
        return []
    return [item.case for item in stays if item.candidate is not None and who.can_access_department(item.department)]
