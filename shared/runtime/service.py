"""Run services: connection, routes, health checks, graceful shutdown. A process serves one service or all of them."""

import asyncio
import gc
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI
from starlette.responses import JSONResponse

from shared.contracts.errors import CountersignError, TransientError
from shared.messaging.connection import Bus, connect
from shared.messaging.steps import Steps
from shared.runtime import connection_limits, problems
from shared.runtime.http_middleware import TelemetryMiddleware
from shared.runtime.logs import configure_logging
from shared.runtime.public_origin import SecurityHeadersMiddleware
from shared.runtime.request_limits import RequestLimitMiddleware
from shared.runtime.telemetry import gauge_interval, start_telemetry
from shared.telemetry import instruments
from shared.telemetry.metric_definitions import DEPENDENCY

logger = logging.getLogger(__name__)

Check = Callable[[], Awaitable[bool]]
GaugeCollector = Callable[[], Awaitable[None]]  # sets gauges whose values are read periodically
CHECK_TIMEOUT_S = 3.0
READINESS_CACHE_S = 1.0
RECONNECT_DELAY_S = 1.0  # between attempts to connect
THREAD_SWITCH_INTERVAL_S = 0.001  # Python's default is 5 ms, for each turn that a page takes
GC_THRESHOLDS = (50_000, 20, 50)  # allocations, then collections per generation; saves a tenth of the CPU per case
# Seconds that open requests get at shutdown, before the consumers stop (`pull.GRACE`): event streams never
# end by themselves. Whatever still does not stop, such as a call without a response, is abandoned.
GRACEFUL_SHUTDOWN_S = 3
SHUTDOWN_DEADLINE_S = 9.0
# No Server header. A proxy's forwarding headers are not used: PublicOrigin states the origin.
UVICORN_DEFAULTS: dict[str, Any] = {
    "proxy_headers": False,
    "server_header": False,
    **connection_limits.UVICORN_SETTINGS,
}


@dataclass(frozen=True, slots=True)
class Service:
    """What a composition root returns: everything built, nothing started."""

    name: str
    nats_url: str
    nats_ca_file: Path | None
    nats_seed: str
    steps: Steps
    on_connect: Callable[[Bus], Awaitable[None]]
    router: APIRouter | None = None
    checks: dict[str, Check] = field(default_factory=dict)  # dependency → does it answer
    closers: tuple[Callable[[], Awaitable[None]], ...] = ()
    looks: tuple[GaugeCollector, ...] = ()
    master_key: bytes | None = None  # encrypts the keys of the cases' texts
    hsts: bool = False  # browsers reach it by HTTPS only


@asynccontextmanager
async def running(service: Service) -> AsyncIterator[Bus]:
    """Connect the service and let it consume; stop it gracefully at the end."""
    async with AsyncExitStack() as stack:
        for close in service.closers:
            stack.push_async_callback(close)
        bus = await _connect(service)
        stack.push_async_callback(bus.close)
        stack.push_async_callback(service.steps.stop)
        await service.steps.start()
        if instruments.metrics_enabled():
            looking = asyncio.create_task(_collect_gauges(service))
            stack.callback(looking.cancel)
        yield bus


async def _connect(service: Service) -> Bus:
    """Connect and attach everything, retrying until it succeeds.

    A server that has just started may not have all of its streams yet. Each try uses a new connection, so that nothing
    of an earlier one is received.
    """
    while True:
        bus = await connect(
            service.nats_url, service.name, service.nats_seed, ca_file=service.nats_ca_file, patient=True
        )
        bus.master_key = service.master_key
        service.steps.attach(bus)
        try:
            await service.on_connect(bus)
            return bus
        except TransientError as failure:
            await bus.close()
            logger.warning("%s cannot connect yet: %s", service.name, failure.reason)
            await asyncio.sleep(RECONNECT_DELAY_S)
        except BaseException:
            await bus.close()
            raise


async def _collect_gauges(service: Service) -> None:
    """Update the gauges at the export interval. A source that does not answer leaves its gauges unchanged."""

    async def dependencies() -> None:
        for name, check in service.checks.items():
            instruments.set_gauge("countersign.dependency.up", int(await _run_check(check)), {DEPENDENCY: name})

    while True:
        for look in (dependencies, service.steps.look, *service.looks):
            try:
                await look()
            except (CountersignError, TimeoutError):
                continue
            except Exception as error:  # noqa: BLE001 - one gauge that cannot be read must not silence the others
                logger.error("%s: a gauge could not be collected: %s", service.name, type(error).__name__)
        await asyncio.sleep(gauge_interval())


def create_app(
    services: Sequence[Service], on_stop: Callable[[], Awaitable[None]] | None = None, **extra: Any
) -> FastAPI:
    """Return one ASGI app for `services`, with `/healthz`, `/readyz` and problem details.

    `on_stop` runs after all services have stopped.
    """
    buses: dict[str, Bus] = {}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if on_stop is not None:
                stack.push_async_callback(on_stop)
            for service in services:
                buses[service.name] = await stack.enter_async_context(running(service))
            yield

    app = FastAPI(title="Countersign", version="0.1.0", lifespan=lifespan, docs_url=None, redoc_url=None, **extra)
    problems.install_error_handlers(app)
    app.add_middleware(RequestLimitMiddleware)
    app.add_middleware(TelemetryMiddleware)
    app.add_middleware(SecurityHeadersMiddleware, hsts=any(service.hsts for service in services))
    for service in services:
        if service.router is not None:
            app.include_router(service.router)

    @app.get("/healthz", tags=["health"], summary="The process is alive")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    checks: dict[str, Check] = {}
    for service in services:
        checks |= service.checks
    ready = Readiness(checks)

    @app.get("/readyz", tags=["health"], summary="Everything the services depend on answers")
    async def readyz() -> JSONResponse:
        results = await ready.results()
        results["nats"] = bool(buses) and all(bus.connected for bus in buses.values())
        missing = sorted(name for name, answers in results.items() if not answers)
        body = {"status": "ready" if not missing else "not ready", "checks": results, "not_answering": missing}
        return JSONResponse(body, 200 if not missing else 503)

    return app


class Readiness:
    """Cache the results of the readiness checks for a second, for all callers together."""

    def __init__(self, checks: dict[str, Check], clock: Callable[[], float] = monotonic) -> None:
        self._checks = checks
        self._clock = clock
        self._asked: asyncio.Task[list[bool]] | None = None
        self._at = 0.0

    async def results(self) -> dict[str, bool]:
        if self._asked is None or (self._asked.done() and self._clock() - self._at >= READINESS_CACHE_S):
            self._asked, self._at = asyncio.create_task(self._ask_all()), self._clock()
        return dict(zip(self._checks, await asyncio.shield(self._asked), strict=True))

    async def _ask_all(self) -> list[bool]:
        return await asyncio.gather(*map(_run_check, self._checks.values()))


async def _run_check(check: Check) -> bool:
    try:
        return await asyncio.wait_for(check(), CHECK_TIMEOUT_S)
    except TimeoutError:
        return False


class DeadlineServer(uvicorn.Server):
    """A uvicorn server that exits in time after SIGTERM, even if something does not stop."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        timer = threading.Timer(SHUTDOWN_DEADLINE_S, self._exit_now)
        timer.daemon = True
        timer.start()

    def _exit_now(self) -> None:
        """Exit the process. Messages in progress are redelivered, as after any end."""
        logger.error("exiting: the shutdown deadline has passed")
        logging.shutdown()
        os._exit(1)


def make_server(app: FastAPI, host: str, port: int, kind: type[uvicorn.Server] = uvicorn.Server) -> uvicorn.Server:
    """Return a uvicorn server without an access log: request paths carry case ids."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=GRACEFUL_SHUTDOWN_S,
        **UVICORN_DEFAULTS,
    )
    return kind(config)


def tune_gc() -> None:
    """Freeze loaded objects and raise the thresholds of the garbage collector."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


def tune_process() -> None:
    """Raise the open file limit, and let a computing thread yield after a millisecond."""
    connection_limits.raise_open_file_limit()
    sys.setswitchinterval(THREAD_SWITCH_INTERVAL_S)


def serve(service: Service, host: str, port: int) -> None:
    """Run one service as a process until it is stopped."""
    configure_logging(service=service.name)
    telemetry = start_telemetry(service.name)
    tune_gc()
    tune_process()
    make_server(create_app([service], on_stop=telemetry.close), host, port, DeadlineServer).run()
