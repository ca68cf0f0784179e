"""Forms of the knowledge base's pages: refresh, roll back, promote, pin, unpin."""

from typing import Annotated

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response

from services.evaluator.dependencies import Editor, Knowledge
from services.evaluator.web.knowledge import HERE
from services.evaluator.web.render import PageRoute
from shared.contracts.errors import PermanentError
from shared.runtime.problems import ProblemError

router = APIRouter(prefix=HERE, route_class=PageRoute, include_in_schema=False)
Reason = Annotated[str, Form(max_length=500)]


def _stated(reason: str) -> str:
    """Return the reason. Raises ProblemError where it is empty."""
    if not reason.strip():
        raise ProblemError(422, "A reason is needed", "Go back and say why. Nothing was changed.")
    return reason.strip()


def _done(what: str, path: str = "") -> Response:
    return RedirectResponse(f"{HERE}{path}?done={what}", 303)


@router.post("/refresh")
async def refresh(
    who: Editor,
    knowledge: Knowledge,
    key: Annotated[str, Form(min_length=8, max_length=64)],
    source: Annotated[str, Form(max_length=40)] = "",
    evaluate_only: Annotated[bool, Form()] = False,
) -> Response:
    """Request a refresh, once for each `key`."""
    try:
        file = knowledge.read_knowledge_file()
    except PermanentError as error:
        raise ProblemError(422, "The declaration of the knowledge base is invalid", error.reason) from None
    if evaluate_only and not await knowledge.history():
        raise ProblemError(409, "There is nothing to evaluate", "No version has been made yet.")
    await knowledge.refreshes.request(file, source, who.subject, f"{who.subject}/{key}", judge=evaluate_only)
    return _done("refresh")


@router.post("/versions/{number}/roll-back")
async def roll_back(
    number: int, who: Editor, knowledge: Knowledge, reason: Reason = "", pin: Annotated[bool, Form()] = False
) -> Response:
    await knowledge.live_version.roll_back(number, who.subject, _stated(reason), pin=pin)
    return _done("rollback", f"/versions/{number}")


@router.post("/versions/{number}/promote")
async def promote(number: int, who: Editor, knowledge: Knowledge, reason: Reason = "") -> Response:
    await knowledge.live_version.promote(number, who.subject, _stated(reason))
    return _done("promote", f"/versions/{number}")


@router.post("/pin")
async def pin(who: Editor, knowledge: Knowledge, version: Annotated[int, Form(ge=1)], reason: Reason = "") -> Response:
    await knowledge.live_version.pin(version, who.subject, _stated(reason))
    return _done("pin")


@router.post("/unpin")
async def unpin(who: Editor, knowledge: Knowledge, reason: Reason = "") -> Response:
    await knowledge.live_version.unpin(who.subject, _stated(reason))
    return _done("unpin")
