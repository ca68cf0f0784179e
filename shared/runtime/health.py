"""Health of a process: whether it is alive, and whether everything that its services depend on answers."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic
from typing import Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

from shared.messaging.connection import NatsConnection
from shared.runtime.dependencies import provided

Check = Callable[[], Awaitable[bool]]
CHECK_TIMEOUT_S = 3.0
READINESS_CACHE_S = 1.0

health_router = APIRouter(tags=["health"])


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"] = Field(default="ok", description="the process answers")


class ReadinessReport(BaseModel):
    """What the services depend on, and whether it answers."""

    status: Literal["ready", "not ready"] = Field(description="ready: everything that is needed answers")
    checks: dict[str, bool] = Field(description="by dependency: whether it answers")
    not_answering: list[str] = Field(description="what does not answer")


@health_router.get("/healthz", summary="The process is alive")
async def healthz() -> Alive:
    return Alive()


@health_router.get(
    "/readyz",
    summary="Everything the services depend on answers",
    response_model=ReadinessReport,
    responses={503: {"model": ReadinessReport, "description": "something does not answer"}},
)
async def readyz(request: Request) -> JSONResponse:
    health = provided(request, Health)
    results = await health.readiness.results()
    results["nats"] = bool(health.buses) and all(bus.connected for bus in health.buses.values())
    missing = sorted(name for name, answers in results.items() if not answers)
    body = {"status": "ready" if not missing else "not ready", "checks": results, "not_answering": missing}
    return JSONResponse(body, 200 if not missing else 503)


@dataclass(frozen=True, slots=True)
class Health:
    """What the health routes of one application work with."""

    readiness: "Readiness"
    buses: dict[str, NatsConnection]  # of the services that run, by name


class Readiness:
    """Cache the results of the readiness checks for a second, for all callers together."""

    def __init__(self, checks: dict[str, Check], clock: Callable[[], float] = monotonic) -> None:
        self._checks = checks
        self._clock = clock
        self._asked: asyncio.Task[list[bool]] | None = None
        self._at = 0.0

    async def results(self) -> dict[str, bool]:
        if self._asked is None or (self._asked.done() and self._clock() - self._at >= READINESS_CACHE_S):
            self._asked, self._at = asyncio.create_task(self.run_checks()), self._clock()
        return dict(zip(self._checks, await asyncio.shield(self._asked), strict=True))

    async def run_checks(self) -> list[bool]:
        return await asyncio.gather(*map(run_check, self._checks.values()))


async def run_check(check: Check) -> bool:
    try:
        return await asyncio.wait_for(check(), CHECK_TIMEOUT_S)
    except TimeoutError:
        return False
