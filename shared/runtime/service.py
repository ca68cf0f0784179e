"""Service defaults in one call: connection, routes, health, clean stop. A process serves one service or all of them."""

import asyncio
import gc
import logging
import os
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from types import FrameType
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI, Request
from faststream import FastStream
from starlette.responses import JSONResponse

from shared.contracts.errors import CountersignError, TransientError
from shared.messaging.broker import ServiceBroker
from shared.messaging.connection import Bus
from shared.messaging.event_store import Clock
from shared.runtime import connection_limits, problems
from shared.runtime.dependencies import mount, provide, provided
from shared.runtime.http_middleware import TelemetryMiddleware
from shared.runtime.logs import configure_logging
from shared.runtime.public_origin import SecurityHeadersMiddleware
from shared.runtime.request_limits import RequestLimitMiddleware
from shared.runtime.settings import ServiceSettings
from shared.runtime.telemetry import gauge_interval, start_telemetry
from shared.runtime.version import VERSION
from shared.telemetry import instruments
from shared.telemetry.metric_definitions import DEPENDENCY

logger = logging.getLogger(__name__)

Check = Callable[[], Awaitable[bool]]
Hook = Callable[[], Awaitable[None]]
GaugeCollector = Callable[[], Awaitable[None]]  # sets gauges whose values are read periodically
CHECK_TIMEOUT_S = 3.0
READINESS_CACHE_S = 1.0
RECONNECT_DELAY_S = 1.0  # between attempts to connect
THREAD_SWITCH_INTERVAL_S = 0.001  # Python's default is 5 ms, for each turn that a page takes
GC_THRESHOLDS = (50_000, 20, 50)  # allocations, then collections per generation; saves a tenth of the CPU per case
# Seconds that open requests get when the process is told to stop, before the work does (`pull_subscriber.GRACE`):
# streams never end by themselves. What holds on even so, a server that does not answer for one, is left behind.
GRACEFUL_SHUTDOWN_S = 3
SHUTDOWN_DEADLINE_S = 9.0
# No Server header. A proxy's forwarding headers are not used: PublicOrigin states the origin.
UVICORN_DEFAULTS: dict[str, Any] = {
    "proxy_headers": False,
    "server_header": False,
    **connection_limits.UVICORN_SETTINGS,
}

health_router = APIRouter(tags=["health"])


@dataclass(frozen=True, slots=True)
class Service:
    """What a composition root returns: everything built, nothing started."""

    broker: ServiceBroker
    routers: tuple[APIRouter, ...] = ()  # built at import, shared by all applications of the process
    dependencies: object | None = None  # what its routes work with: `shared.runtime.dependencies.provided`
    starts: tuple[Hook, ...] = ()  # once connected, in order, before the first message; again where one did not succeed
    checks: dict[str, Check] = field(default_factory=dict)  # dependency → does it answer
    stops: tuple[Hook, ...] = ()  # while still connected, in order, before the handlers stop
    closers: tuple[Hook, ...] = ()  # once disconnected, the last first
    looks: tuple[GaugeCollector, ...] = ()
    hsts: bool = False  # browsers reach it by HTTPS only

    @property
    def name(self) -> str:
        return self.broker.service

    def app(self) -> FastStream:
        """The service as a FastStream application: its broker, and what happens around that."""
        gauges = Gauges(self)

        async def close() -> None:
            async with AsyncExitStack() as stack:
                for closer in self.closers:
                    stack.push_async_callback(closer)

        return FastStream(
            self.broker,
            logger=None,
            on_startup=[partial(_connect, self)],
            after_startup=[gauges.start],
            on_shutdown=[*self.stops, gauges.stop],
            after_shutdown=[close],
        )


def service_broker(
    name: str, settings: ServiceSettings, clock: Clock, master_keys: tuple[bytes, ...] = ()
) -> ServiceBroker:
    """The broker of a service, not connected. `master_keys`: see `Bus`."""
    bus = Bus(settings.nats_url, name, settings.seed, settings.nats_ca_file, master_keys)
    return ServiceBroker(name, bus, clock)


@asynccontextmanager
async def running(service: Service) -> AsyncIterator[Bus]:
    """Connect the service and let it consume; stop it gracefully at the end."""
    app = service.app()
    try:
        await app.start()
        yield service.broker.bus
    finally:
        await app.stop()


async def _connect(service: Service) -> None:
    """Connect and start all that needs the connection, as patiently as a connection is made: a server that has only
    just come up may not have all that it keeps yet. Each try is on a connection of its own, so that nothing of the one
    before is heard.
    """
    while True:
        await service.broker.connect()
        try:
            for start in service.starts:
                await start()
            return
        except TransientError as failure:
            await service.broker.disconnect()
            logger.warning("%s cannot start yet: %s", service.name, failure.reason)
            await asyncio.sleep(RECONNECT_DELAY_S)


class Gauges:
    """Keeps a service's gauges true while it runs, where somebody listens."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if instruments.metrics_enabled():
            self._task = asyncio.create_task(_collect_gauges(self._service))

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()


async def _collect_gauges(service: Service) -> None:
    """Update the gauges at the export interval. A source that does not answer leaves its gauges unchanged."""

    async def dependencies() -> None:
        for name, check in service.checks.items():
            instruments.set_gauge("countersign.dependency.up", int(await _run_check(check)), {DEPENDENCY: name})

    while True:
        for look in (dependencies, service.broker.look, *service.looks):
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
    """One ASGI app for `services`, with `/healthz`, `/readyz` and problem details; `on_stop` runs after all of them."""
    buses: dict[str, Bus] = {}

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            if on_stop is not None:
                stack.push_async_callback(on_stop)
            for service in services:
                buses[service.name] = await stack.enter_async_context(running(service))
            yield

    checks: dict[str, Check] = {}
    for service in services:
        checks |= service.checks
    app = FastAPI(title="Countersign", version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None, **extra)
    problems.install_error_handlers(app)
    app.add_middleware(RequestLimitMiddleware)
    app.add_middleware(TelemetryMiddleware)
    app.add_middleware(SecurityHeadersMiddleware, hsts=any(service.hsts for service in services))
    for service in services:
        if service.dependencies is not None:
            provide(app, service.dependencies)
        mount(app, *service.routers)
    provide(app, Health(Readiness(checks), buses))
    mount(app, health_router)
    return app


@health_router.get("/healthz", summary="The process is alive")
async def healthz() -> dict[str, str]:
    return {"status": "ok"}


@health_router.get("/readyz", summary="Everything the services depend on answers")
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
    buses: dict[str, Bus]  # of the services that run, by name


class Readiness:
    """Cache the results of the readiness checks for a second, for all callers together."""

    def __init__(self, checks: dict[str, Check], clock: Callable[[], float] = monotonic) -> None:
        self._checks = checks
        self._clock = clock
        self._asked: asyncio.Task[list[bool]] | None = None
        self._at = 0.0

    async def results(self) -> dict[str, bool]:
        if self._asked is None or (self._asked.done() and self._clock() - self._at >= READINESS_CACHE_S):
            self._asked, self._at = asyncio.create_task(self._run_checks()), self._clock()
        return dict(zip(self._checks, await asyncio.shield(self._asked), strict=True))

    async def _run_checks(self) -> list[bool]:
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
