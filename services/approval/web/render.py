"""Templates, their words, and the headers that every page goes out with."""

from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from services.approval.dependencies import ApiDependencies
from services.approval.local_time import local
from services.approval.sign_in.service import is_frame
from shared.runtime.dependencies import provided
from shared.runtime.problems import HANDLED_ERRORS, ProblemError, to_problem

HERE = Path(__file__).parent
ASSETS = {"inbox.css": "text/css", "inbox.js": "text/javascript"}
NO_ANCESTORS = "frame-ancestors 'none'"
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    f"img-src 'self' data:; form-action 'self'; object-src 'none'; base-uri 'none'; {NO_ANCESTORS}",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
EVENT_WORDS = {
    "preparation-requested": "A draft is to be prepared before the discharge",
    "prepared": "A draft was prepared before the discharge",
    "preparation-ended": "The preparation ended without a discharge",
    "discharged": "The patient was discharged",
    "context-extracted": "The record was read",
    "drafted": "A draft was written",
    "review-requested": "The review was requested",
    "escalated": "Nobody had decided: the supervisor was notified",
    "reassigned": "The review was given to somebody else",
    "approved": "The document was countersigned",
    "filed": "The document was filed in the chart",
    "amended": "A correction was countersigned",
    "addended": "An addendum was countersigned",
    "retraction-requested": "Somebody asked to retract the document",
    "retracted": "A second person confirmed the retraction",
    "retraction-filed": "The document is marked as entered in error in the chart",
    "rejected": "The draft was refused",
    "redraft-requested": "A new draft was asked for",
    "closed": "The case was closed",
    "withdrawn": "The discharge was taken back",
    "failed": "A step gave up",
    "reimported": "What was signed before a restore was taken over from the chart",
    "retried": "An operator put the step back to work",
    "rated": "The draft was rated",
    "hold-placed": "A legal hold keeps its texts",
    "hold-released": "The legal hold was released",
    "erasure-ordered": "Its texts are to be erased",
    "erased": "Texts were erased",
}
STATE_WORDS = {
    "preparing": "Being prepared, not discharged yet",
    "prepared": "Prepared, not discharged yet",
    "drafting": "Being drafted",
    "awaiting-review": "Waits for a signature",
    "approved": "Countersigned",
    "filed": "Countersigned and filed",
    "closed": "Closed without a document",
    "withdrawn": "Withdrawn",
    "retracted": "Retracted: entered in error",
    "failed": "Stopped: an operator has to look",
}

# What stands beside a sentence of the narrative: its mark and its words.
LABELS = {
    "note": ("✓", "supported by a note"),
    "record-and-note": ("✓", "supported by the record and, in part, only by a note"),
    "record": ("✓", "supported by the record"),
    "contradicted": ("✕", "contradicts the record"),
    "not-in-record": ("?", "not in the record"),
}
ORIGINS = {"rules": "composed from the record", "note": "quoted from a note", "model": "written by the model"}

templates = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    auto_reload=False,  # else every include of every page asks the disk whether it has changed
    trim_blocks=True,
    lstrip_blocks=True,
)


def compile_templates() -> None:
    """Compile every template at start, 0.3 s in all: otherwise the first page of each kind holds up every request."""
    for name in templates.list_templates():
        templates.get_template(name)


def page(name: str, status: int = 200, **values: Any) -> HTMLResponse:
    return HTMLResponse(templates.get_template(name).render(**values), status, headers=SECURITY_HEADERS)


def span(seconds: float) -> str:
    """Format a duration, such as `3 d`, `5 h`, `12 min`."""
    minutes = max(int(seconds // 60), 0)
    if minutes >= 2 * 24 * 60:
        return f"{minutes // (24 * 60)} d"
    return f"{minutes // 60} h" if minutes >= 60 else f"{minutes} min"


@pass_context
def moment(values: Context, time: datetime, form: str = "%d %b %Y, %H:%M %Z") -> str:
    """Format a time in the time zone of the page's department."""
    return local(time, values["zone"], form)


templates.globals |= {"LABELS": LABELS, "ORIGINS": ORIGINS}
templates.filters["moment"] = moment
templates.filters["object_id"] = id
templates.filters["plain"] = lambda reference: (reference or "nobody").rpartition("/")[2].replace("-", " ")


class PageRoute(APIRoute):
    """Answers a browser with pages: the sign-in where nobody is signed in, a page instead of a problem document."""

    def get_route_handler(self) -> Any:
        handle = super().get_route_handler()

        async def handle_or_explain(request: Request) -> Response:
            try:
                answer: Response = await handle(request)
            except HANDLED_ERRORS as error:
                answer = _explain(request, to_problem(error))
            return _allow_embedding(request, answer)

        return handle_or_explain


def _explain(request: Request, problem: ProblemError) -> Response:
    if problem.status == 401 and request.method == "GET":
        after = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/sign-in?after={quote(after, safe='/')}", 303)
    answer = page("problem.html", problem.status, title=problem.title, detail=problem.detail)
    answer.headers.update(problem.headers)
    return answer


def _allow_embedding(request: Request, answer: Response) -> Response:
    """Let the EHR's origins embed a page that the browser loads into a frame; no page is embedded otherwise."""
    policy = answer.headers.get("content-security-policy", "")
    if not is_frame(request) or not policy.endswith(NO_ANCESTORS):
        return answer
    service = provided(request, ApiDependencies).sign_in
    if service.is_embedded(request):
        allowed = f"frame-ancestors {' '.join(service.frame_ancestors)}"
        answer.headers["content-security-policy"] = policy.removesuffix(NO_ANCESTORS) + allowed
    return answer


assets_router = APIRouter(route_class=PageRoute, include_in_schema=False)


@assets_router.get("/assets/{name}")
async def asset(name: str) -> Response:
    if name not in ASSETS:
        raise ProblemError(404, "There is no such file")
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
    return FileResponse(HERE / "static" / name, media_type=ASSETS[name], headers=headers)
