"""Inbox, review page and sign-in. Thin: the rules are the desk's, the looks are the templates'."""

from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from services.approval.api import problem_of
from services.approval.desk import Desk
from services.approval.domain import Refused
from services.approval.reviews import Reviews
from services.approval.views import case_view, review_view
from shared.messaging.steps import Clock
from shared.runtime.access import COOKIE, Grant, Guard
from shared.runtime.problems import Problem

PAGE = 50
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
EVENT_WORDS = {
    "discharged": "The patient was discharged",
    "context-extracted": "The record was read",
    "drafted": "A draft was written",
    "review-requested": "The review was requested",
    "escalated": "Nobody had decided: the supervisor was told",
    "reassigned": "The review was given to somebody else",
    "approved": "The document was countersigned",
    "filed": "The document was filed in the chart",
    "rejected": "The draft was refused",
    "redraft-requested": "A new draft was asked for",
    "closed": "The case was closed",
    "withdrawn": "The discharge was taken back",
    "failed": "A step gave up",
    "retried": "An operator put the step back to work",
}

_templates = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined
)


def waiting(since: datetime, now: datetime) -> str:
    """`3 d`, `5 h`, `12 min`: how long a review has waited, at a glance."""
    minutes = max(int((now - since).total_seconds() // 60), 0)
    if minutes >= 2 * 24 * 60:
        return f"{minutes // (24 * 60)} d"
    return f"{minutes // 60} h" if minutes >= 60 else f"{minutes} min"


def _page(name: str, status: int = 200, **values: object) -> HTMLResponse:
    return HTMLResponse(_templates.get_template(name).render(**values), status, headers=SECURITY_HEADERS)


def add_pages(router: APIRouter, desk: Desk, reviews: Reviews, guard: Guard, clock: Clock) -> None:
    """The pages' routes. Whoever is not signed in is sent to the sign-in page."""
    allow = guard.allow("physician", "supervisor")

    async def signed_in(request: Request) -> Grant | None:
        try:
            return await allow(request)
        except Problem as problem:
            if problem.status == 401:
                return None
            raise

    visitor = Annotated[Grant | None, Depends(signed_in)]
    _add_sign_in(router, guard)
    _add_reading(router, desk, reviews, clock, visitor)
    _add_deciding(router, desk, Annotated[Grant, Depends(allow)])


def _add_sign_in(router: APIRouter, guard: Guard) -> None:
    @router.get("/sign-in", include_in_schema=False)
    async def sign_in() -> HTMLResponse:
        return _page("sign_in.html", refused=False)

    @router.post("/sign-in", include_in_schema=False)
    async def signed_in(request: Request, token: Annotated[str, Form()]) -> Response:
        grant = guard.find(token.strip())
        if grant is None or grant.role not in ("physician", "supervisor"):
            return _page("sign_in.html", 403, refused=True)
        answer = RedirectResponse("/", 303)
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, token.strip(), httponly=True, samesite="strict", secure=secure)
        return answer

    @router.post("/sign-out", include_in_schema=False)
    async def sign_out() -> Response:
        answer = RedirectResponse("/sign-in", 303)
        answer.delete_cookie(COOKIE)
        return answer


def _add_reading(router: APIRouter, desk: Desk, reviews: Reviews, clock: Clock, visitor: object) -> None:
    @router.get("/", include_in_schema=False)
    async def inbox(who: visitor, department: str | None = None, after: str | None = None) -> Response:  # type: ignore[valid-type]
        if who is None:
            return RedirectResponse("/sign-in", 303)
        try:
            lines, cursor = reviews.page(department or None, after, PAGE)
        except ValueError:
            return RedirectResponse("/", 303)
        now = clock()
        rows = [{"line": line, "waiting": waiting(line.requested_at, now)} for line in lines]
        counts = dict(sorted(reviews.counts().items()))
        return _page("inbox.html", who=who, rows=rows, counts=counts, department=department, cursor=cursor)

    @router.get("/reviews/{case_id}", include_in_schema=False)
    async def review(case_id: str, who: visitor) -> Response:  # type: ignore[valid-type]
        if who is None:
            return RedirectResponse("/sign-in", 303)
        history = await desk.history(case_id)
        if not history:
            raise Problem(404, "There is no such case")
        view = await review_view(desk, history)
        return _page("review.html", who=who, review=view, case=case_view(history), words=EVENT_WORDS)


def _add_deciding(router: APIRouter, desk: Desk, clinician: object) -> None:
    @router.post("/reviews/{case_id}/decide", include_in_schema=False)
    async def decide(
        case_id: str,
        who: clinician,  # type: ignore[valid-type]
        digest: Annotated[str, Form()],
        action: Annotated[Literal["approve", "redraft", "close"], Form()],
        text: Annotated[str, Form()] = "",
        original: Annotated[str, Form()] = "",
        reason: Annotated[str, Form()] = "",
    ) -> Response:
        actor = who.actor  # type: ignore[attr-defined]
        # Browsers send text areas with CRLF; an untouched text must count as untouched.
        edited, shown = (value.replace("\r\n", "\n").strip() for value in (text, original))
        try:
            if action == "approve":
                await desk.approve(case_id, digest, actor, edited + "\n" if edited != shown else None)
            elif not reason.strip():
                raise Problem(422, "A reason is needed", "Say in a few words why the draft is refused.")
            else:
                await desk.reject(case_id, digest, actor, action, reason.strip())
        except Refused as refused:
            raise problem_of(refused) from None
        return RedirectResponse(f"/reviews/{case_id}", 303)
