"""HTTP error responses as problem details (RFC 9457): status, title, invalid fields. Values are never echoed."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import Match, Route

from shared.contracts.errors import ErasedError, PermanentError, RateLimitedError, TransientError

MEDIA_TYPE = "application/problem+json"
# What such an answer always carries (RFC 9110, RFC 6585), where nothing better is known.
DEFAULT_HEADERS: Mapping[int, dict[str, str]] = {
    401: {"WWW-Authenticate": "Bearer"},
    429: {"Retry-After": "10"},
    503: {"Retry-After": "5"},
}


class ProblemError(Exception):  # raised by handlers as a response
    """An HTTP error response. Members of `extra` are added to the body as they are."""

    def __init__(
        self, status: int, title: str, detail: str = "", *, headers: Mapping[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(title)
        self.status = status
        self.title = title
        self.detail = detail
        self.headers = dict(headers or {})
        self.extra = extra

    def response(self) -> JSONResponse:
        headers = DEFAULT_HEADERS.get(self.status, {}) | self.headers
        body = {"type": "about:blank", "title": self.title, "status": self.status} | self.extra
        if self.detail:
            body["detail"] = self.detail
        return JSONResponse(body, self.status, headers, media_type=MEDIA_TYPE)


PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "Problem",
    "description": "problem details (RFC 9457)",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "description": "`about:blank`: the status says what kind of problem it is"},
        "title": {"type": "string", "description": "what is wrong, in the same words for every such problem"},
        "status": {"type": "integer", "description": "the HTTP status"},
        "detail": {"type": "string", "description": "what is wrong with this request, or what to do"},
        "errors": {
            "type": "array",
            "description": "invalid fields",
            "items": {
                "type": "object",
                "properties": {"field": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}


def problem_responses(descriptions: Mapping[int, str]) -> dict[int | str, dict[str, Any]]:
    """Return the `responses` of a route that answers errors with problem details, by status, for OpenAPI."""
    content = {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA}}
    return {status: {"description": text, "content": content} for status, text in descriptions.items()}


# Errors that `to_problem` converts.
HANDLED_ERRORS = (ProblemError, HTTPException, RequestValidationError, TransientError, PermanentError)


def to_problem(error: Exception) -> ProblemError:
    """Return the problem for one of `HANDLED_ERRORS`: its own, or the one for a failed dependency."""
    match error:
        case ProblemError():
            return error
        case HTTPException():
            return ProblemError(error.status_code, str(error.detail), headers=error.headers)
        case RequestValidationError():
            errors = [{"field": _field_name(item["loc"]), "detail": item["msg"]} for item in error.errors()]
            fields = ", ".join(sorted({item["field"] for item in errors}))
            return ProblemError(422, "The request is not valid", f"See {fields}.", errors=errors)
        case TransientError():
            wait = error.retry_after if isinstance(error, RateLimitedError) else 2
            return ProblemError(503, "Try again later", error.reason, headers={"Retry-After": str(max(1, round(wait)))})
        case ErasedError():
            return ProblemError(
                410,
                "This text was erased",
                f"{error.reason[0].upper()}{error.reason[1:]}: its events say who, when and why.",
            )
        case PermanentError():
            return ProblemError(502, "An upstream service refused the request", error.reason)
    raise TypeError(f"no answer to {type(error).__name__}")


def install_error_handlers(app: FastAPI) -> None:
    """Answer every error of `app` with problem details."""

    async def answer(request: Request, error: Exception) -> JSONResponse:
        problem = to_problem(error)
        if problem.status == 405:  # Starlette names the methods of the first route of that path only
            problem.headers["Allow"] = ", ".join(_methods_of(request))
        return problem.response()

    for kind in HANDLED_ERRORS:
        app.add_exception_handler(kind, answer)


def _methods_of(request: Request) -> list[str]:
    """Return the methods that the path of a request has, of all of its routes."""
    found: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods or set()
    return sorted(found)


def _field_name(location: tuple[int | str, ...]) -> str:
    """Return the name of an invalid field: `("body", "encounter_id")` → `encounter_id`; `body` for the whole body."""
    parts = [str(part) for part in location if part not in ("body", "query", "path", "header")]
    return ".".join(parts) or str(location[0])
