"""Errors over HTTP as problem details (RFC 9457): a status, a sentence, the fields at fault. Values are not echoed."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from shared.contracts.failures import PermanentError, RateLimitedError, TransientError

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


def install(app: FastAPI) -> None:
    """Answer every error of `app` with problem details."""

    @app.exception_handler(Problem)
    async def on_problem(_: Request, problem: Problem) -> JSONResponse:
        return problem.response()

    @app.exception_handler(HTTPException)
    async def on_http(_: Request, error: HTTPException) -> JSONResponse:
        return Problem(error.status_code, str(error.detail), headers=error.headers).response()

    @app.exception_handler(RequestValidationError)
    async def on_invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        errors = [{"field": _field(item["loc"]), "detail": item["msg"]} for item in error.errors()]
        fields = ", ".join(sorted({item["field"] for item in errors}))
        return Problem(422, "The request is not valid", f"See {fields}.", errors=errors).response()

    @app.exception_handler(TransientError)
    async def on_transient(_: Request, error: TransientError) -> JSONResponse:
        wait = error.retry_after if isinstance(error, RateLimitedError) else 2
        headers = {"Retry-After": str(max(1, round(wait)))}
        return Problem(503, "Try again later", error.reason, headers=headers).response()

    @app.exception_handler(PermanentError)
    async def on_permanent(_: Request, error: PermanentError) -> JSONResponse:
        return Problem(502, "A service behind this one refused", error.reason).response()


def _field(location: tuple[int | str, ...]) -> str:
    """`("body", "encounter_id")` → `encounter_id`; the body itself → `body`."""
    parts = [str(part) for part in location if part not in ("body", "query", "path", "header")]
    return ".".join(parts) or str(location[0])
