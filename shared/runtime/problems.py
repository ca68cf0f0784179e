"""Errors over HTTP as problem details (RFC 9457): a status, a sentence, the fields at fault. Values are not echoed."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from shared.contracts.failures import ErasedError, PermanentError, RateLimitedError, TransientError

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):  # an answer, raised where the handler finds it
    """An HTTP answer other than success. `extra` members go into the body as they are."""

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
        body = {"type": "about:blank", "title": self.title, "status": self.status} | self.extra
        if self.detail:
            body["detail"] = self.detail
        return JSONResponse(body, self.status, self.headers, media_type=MEDIA_TYPE)


# What `as_problem` knows how to say.
KNOWN = (Problem, HTTPException, RequestValidationError, TransientError, PermanentError)


def as_problem(error: Exception) -> Problem:
    """What to answer to one of `KNOWN`: its own problem, or the one that says what went wrong behind us."""
    match error:
        case Problem():
            return error
        case HTTPException():
            return Problem(error.status_code, str(error.detail), headers=error.headers)
        case RequestValidationError():
            errors = [{"field": _field(item["loc"]), "detail": item["msg"]} for item in error.errors()]
            fields = ", ".join(sorted({item["field"] for item in errors}))
            return Problem(422, "The request is not valid", f"See {fields}.", errors=errors)
        case TransientError():
            wait = error.retry_after if isinstance(error, RateLimitedError) else 2
            return Problem(503, "Try again later", error.reason, headers={"Retry-After": str(max(1, round(wait)))})
        case ErasedError():
            return Problem(
                410,
                "This text was erased",
                f"{error.reason[0].upper()}{error.reason[1:]}: its trail says who, when and why.",
            )
        case PermanentError():
            return Problem(502, "A service behind this one refused", error.reason)
    raise TypeError(f"no answer to {type(error).__name__}")


def install(app: FastAPI) -> None:
    """Answer every error of `app` with problem details."""

    async def answer(_: Request, error: Exception) -> JSONResponse:
        return as_problem(error).response()

    for kind in KNOWN:
        app.add_exception_handler(kind, answer)


def _field(location: tuple[int | str, ...]) -> str:
    """`("body", "encounter_id")` → `encounter_id`; the body itself → `body`."""
    parts = [str(part) for part in location if part not in ("body", "query", "path", "header")]
    return ".".join(parts) or str(location[0])
