"""Templates of a service's pages, and the headers that every page goes out with."""

from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context

from shared.runtime.problems import HANDLED_ERRORS, ProblemError, to_problem
from shared.web.local_time import local
from shared.web.navigation import areas_of

HERE = Path(__file__).parent
NO_ANCESTORS = "frame-ancestors 'none'"
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    f"img-src 'self' data:; form-action 'self'; object-src 'none'; base-uri 'none'; {NO_ANCESTORS}",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
MEDIA_TYPES = {".css": "text/css", ".js": "text/javascript"}


class Templates:
    """The templates of one service, in `folder`, on top of the shared layout."""

    def __init__(self, folder: Path) -> None:
        self.environment = Environment(
            loader=FileSystemLoader([folder, HERE / "templates"]),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,  # else every include of every page asks the disk whether it has changed
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self.environment.globals["areas_of"] = areas_of
        self.environment.filters["moment"] = moment

    def compile(self) -> None:
        """Compile every template, for the start: otherwise the first page of each kind holds up every request."""
        for name in self.environment.list_templates():
            self.environment.get_template(name)

    def page(self, name: str, status: int = 200, **values: Any) -> HTMLResponse:
        """Return a page. `who`, the caller, makes the navigation; `here` is the path of the area that it belongs to."""
        text = self.environment.get_template(name).render(**values)
        return HTMLResponse(text, status, headers=SECURITY_HEADERS)


def span(seconds: float) -> str:
    """Format a duration, such as `3 d`, `5 h`, `12 min`."""
    minutes = max(int(seconds // 60), 0)
    if minutes >= 2 * 24 * 60:
        return f"{minutes // (24 * 60)} d"
    return f"{minutes // 60} h" if minutes >= 60 else f"{minutes} min"


@pass_context
def moment(values: Context, time: datetime, form: str = "%d %b %Y, %H:%M %Z") -> str:
    """Format a time in the page's `zone`; UTC where the page has none."""
    return local(time, values.get("zone"), form)


_own = Templates(HERE / "templates")


class PageRoute(APIRoute):
    """Answers a browser with pages: the sign-in where nobody is signed in, a page instead of a problem document."""

    def get_route_handler(self) -> Any:
        handle = super().get_route_handler()

        async def handle_or_explain(request: Request) -> Response:
            try:
                answer: Response = await handle(request)
            except HANDLED_ERRORS as error:
                answer = explain(request, to_problem(error))
            return answer

        return handle_or_explain


def explain(request: Request, problem: ProblemError) -> Response:
    """Return the page for a problem; for whoever is not signed in, a redirect to the sign-in."""
    if problem.status == 401 and request.method == "GET":
        after = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"/sign-in?after={quote(after, safe='/')}", 303)
    answer = _own.page("problem.html", problem.status, title=problem.title, detail=problem.detail)
    answer.headers.update(problem.headers)
    return answer


def asset_response(folder: Path, name: str) -> Response:
    """Return a file of `folder` by its name. Raises ProblemError 404 where there is none."""
    file = folder / name
    if file.parent != folder or not file.is_file() or file.suffix not in MEDIA_TYPES:
        raise ProblemError(404, "There is no such file")
    headers = {"X-Content-Type-Options": "nosniff", "Cache-Control": "no-cache"}
    return FileResponse(file, media_type=MEDIA_TYPES[file.suffix], headers=headers)


assets_router = APIRouter(route_class=PageRoute, include_in_schema=False)


@assets_router.get("/assets/{name}")
async def asset(name: str) -> Response:
    return asset_response(HERE / "static", name)
