"""The page of one configuration: what it is, what is known of its drafts, and its moves."""

from collections import defaultdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response

from services.evaluator import gate
from services.evaluator.canary import Comparison
from services.evaluator.decision_signals import SIGNALS
from services.evaluator.dependencies import ClockOf, DrafterReader, Drafters, Engineer
from services.evaluator.drafters import DrafterRecord, DrafterService
from services.evaluator.drafters_api import CanaryComparison, DrafterMove
from services.evaluator.drift import BASELINE_DECISIONS
from services.evaluator.drift_api import DriftReport
from services.evaluator.feedback_api import DrafterEdits
from services.evaluator.web.drafter_list import HERE
from services.evaluator.web.prompt_diff import prompt_diff
from services.evaluator.web.render import PageRoute, page
from shared.messaging.event_store import Clock
from shared.runtime.authentication import Caller
from shared.runtime.problems import ProblemError

router = APIRouter(route_class=PageRoute, include_in_schema=False)
PageMove = Literal["shadow", "canary", "promote", "rollback", "retire", "baseline"]
ReasonField = Annotated[str, Form(min_length=1, max_length=1000, pattern=r"\S")]
SHOWN_EDITS = 15
DONE = {
    "added": "It is a candidate now. It drafts nothing: evaluate it first.",
    "evaluation": "The evaluation has begun.",
    "shadow": "It is the shadow now: stays that are signed from now on are drafted again by it.",
    "canary": "It is the canary now.",
    "promote": "It is live now: it drafts every case from the next one on.",
    "rollback": "It was rolled back.",
    "retire": "It is retired now.",
    "baseline": "Its baseline was reset: it is watched anew from the next decisions on.",
}


def may_act(who: Caller) -> bool:
    return who.in_role("engineer", "operator") is not None


def may_read_texts(who: Caller) -> bool:
    return "engineer" in who.roles


@router.get("/drafters/{digest}")
async def show(digest: str, who: DrafterReader, drafters: Drafters, clock: ClockOf, done: str = "") -> Response:
    found = await drafters.one(digest)
    if digest != found.entry.configuration:  # one address for each page
        return RedirectResponse(f"{HERE}/{found.entry.configuration}", 303)
    return page("drafter.html", **await details(drafters, found, who, clock), done=DONE.get(done, ""))


@router.post("/drafters/{digest}/{move}")
async def act(
    digest: str,
    move: PageMove,
    who: Engineer,
    drafters: Drafters,
    clock: ClockOf,
    reason: ReasonField,
    percent: Annotated[float, Form(gt=0, lt=100)] = 10.0,
    unevaluated: Annotated[bool, Form()] = False,
) -> Response:
    """Make a move as the API does; where it is refused, show the page again with the reason that was typed."""
    reason = reason.strip()
    try:
        await _make(drafters, digest, move, who, reason, percent / 100, unevaluated=unevaluated)
    except ProblemError as problem:
        if problem.status != 409:
            raise
        return await refused_page(drafters, digest, who, clock, problem, {"move": move, "reason": reason})
    return RedirectResponse(f"{HERE}/{digest}?done={move}", 303)


async def _make(
    drafters: DrafterService, digest: str, move: str, who: Caller, reason: str, share: float, *, unevaluated: bool
) -> None:
    by = who.actor
    match move:
        case "canary":
            await drafters.start_canary(digest, share, by, reason, unevaluated=unevaluated)
        case "promote":
            await drafters.promote(digest, by, reason, unevaluated=unevaluated)
        case "shadow":
            await drafters.start_shadow(digest, by, reason)
        case "rollback":
            await drafters.roll_back(digest, by, reason)
        case "retire":
            await drafters.retire(digest, by, reason)
        case "baseline":
            await drafters.reset_baseline(digest, by, reason)


async def refused_page(
    drafters: DrafterService, digest: str, who: Caller, clock: Clock, problem: ProblemError, typed: dict[str, str]
) -> Response:
    """Return the page with why nothing was done, and what was typed."""
    values = await details(drafters, await drafters.one(digest), who, clock)
    return page(
        "drafter.html", problem.status, **values | {"problem": problem, "typed": defaultdict(str, typed)}, done=""
    )


async def details(drafters: DrafterService, found: DrafterRecord, who: Caller, clock: Clock) -> dict[str, Any]:
    """Return the values of the template."""
    digest = found.entry.configuration
    state = await drafters.state(found.document)
    evaluations = await drafters.evaluations(digest)
    live = await drafters.configuration(state.live.configuration) if state.live is not None else None
    moves = [DrafterMove.of(item) for item in await drafters.history(found.document)]
    gated = gate.is_gated(state, digest)
    return {
        "who": who,
        "here": HERE,
        "now": clock(),
        "found": found,
        "state": state,
        "live": live,
        "diff": None if live is None else prompt_diff(live.prompt.text, found.configuration.prompt.text),
        "evaluations": evaluations[::-1],
        "verdict": gate.verdict(state, evaluations) if gated else None,
        "offers": gate.offers(state, digest),
        "may_act": may_act(who),
        "may_try": may_read_texts(who),
        "sets": [item for item in await drafters.sets.all() if item.document == found.document],
        "history": [item for item in moves if digest in (item.configuration, item.live)][::-1],
        "shown_edits": SHOWN_EDITS,
        "edits": DrafterEdits.of(await drafters.feedback(digest)),
        "comparison": await _comparison(drafters, digest),
        "canary_threshold": drafters.canary_threshold,
        **await _drift(drafters, found),
        "problem": None,
        "typed": defaultdict(str),
    }


async def _comparison(drafters: DrafterService, digest: str) -> CanaryComparison | None:
    try:
        compared: Comparison = await drafters.comparison(digest)
    except ProblemError:
        return None  # it was no canary, or nothing was decided
    return CanaryComparison.of(compared, await drafters.ratings(compared))


async def _drift(drafters: DrafterService, found: DrafterRecord) -> dict[str, Any]:
    drift = await drafters.drift_of(found)
    report = DriftReport.of(drift, drafters.drift_threshold) if drift is not None else None
    return {"drift": report, "baseline": BASELINE_DECISIONS, "signals": {item.name: item.meaning for item in SIGNALS}}
