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
from types import FrameType
from typing import Any, Self

import uvicorn
from fastapi import APIRouter, FastAPI
from faststream import FastStream

from shared.contracts.errors import CountersignError, TransientError
from shared.messaging.broker import ServiceBroker
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import Clock
from shared.messaging.idempotency_store import IdempotencyStore
from shared.runtime import connection_limits, problems
from shared.runtime.dependencies import mount, provide
from shared.runtime.health import Check, Health, Readiness, health_router, run_check
from shared.runtime.http_middleware import TelemetryMiddleware
from shared.runtime.logs import configure_logging
from shared.runtime.openapi import describe
from shared.runtime.public_origin import SecurityHeadersMiddleware
from shared.runtime.request_limits import RequestLimitMiddleware
from shared.runtime.settings import ServiceSettings
from shared.runtime.telemetry import gauge_interval, start_telemetry
from shared.runtime.version import VERSION
from shared.telemetry import instruments
from shared.telemetry.metric_definitions import DEPENDENCY

logger = logging.getLogger(__name__)

Hook = Callable[[], Awaitable[None]]
GaugeCollector = Callable[[], Awaitable[None]]  # sets gauges whose values are read periodically
RECONNECT_DELAY_S = 1.0  # between attempts to connect
THREAD_SWITCH_INTERVAL_S = 0.001  # Python's default is 5 ms, which delays pages
GC_THRESHOLDS = (50_000, 20, 50)  # allocations, then collections per generation; saves a tenth of the CPU per case
# Seconds that open requests get when the process is asked to stop, before the work does
# (`pull_subscriber.STOP_TIMEOUT_S`): streams never end by themselves. Requests that take longer are abandoned.
GRACEFUL_SHUTDOWN_S = 3
SHUTDOWN_DEADLINE_S = 9.0
# No Server header. A proxy's forwarding headers are not used: PublicOrigin states the origin.
UVICORN_DEFAULTS: dict[str, Any] = {
    "proxy_headers": False,
    "server_header": False,
    **connection_limits.UVICORN_SETTINGS,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one part of a service starts, checks, stops and measures; its handlers are registered with the broker."""

    starts: tuple[Hook, ...] = ()
    checks: dict[str, Check] = field(default_factory=dict)
    stops: tuple[Hook, ...] = ()
    closers: tuple[Hook, ...] = ()
    gauges: tuple[GaugeCollector, ...] = ()


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
    gauges: tuple[GaugeCollector, ...] = ()
    hsts: bool = False  # browsers reach it by HTTPS only

    @classmethod
    def of_parts(
        cls,
        broker: ServiceBroker,
        parts: Sequence[Part],
        routers: tuple[APIRouter, ...],
        dependencies: object,
        *,
        hsts: bool = False,
    ) -> Self:
        """Return the service that `parts` make: they start in this order."""
        return cls(
            broker,
            routers,
            dependencies,
            starts=tuple(hook for part in parts for hook in part.starts),
            checks={name: check for part in parts for name, check in part.checks.items()},
            stops=tuple(hook for part in parts for hook in part.stops),
            closers=tuple(hook for part in parts for hook in part.closers),
            gauges=tuple(look for part in parts for look in part.gauges),
            hsts=hsts,
        )

    @property
    def name(self) -> str:
        return self.broker.service

    def app(self) -> FastStream:
        """Return the FastStream application: the broker with the hooks around it."""
        gauges = Gauges(self)

        async def close() -> None:
            async with AsyncExitStack() as stack:
                for closer in self.closers:
                    stack.push_async_callback(closer)

        return FastStream(
            self.broker,
            logger=None,
            serializer=None,
            on_startup=[partial(_connect, self)],
            after_startup=[gauges.start],
            on_shutdown=[*self.stops, gauges.stop],
            after_shutdown=[close],
        )


def service_broker(
    name: str, settings: ServiceSettings, clock: Clock, master_keys: tuple[bytes, ...] = ()
) -> ServiceBroker:
    """Return the broker of a service, not connected. `master_keys`: see `NatsConnection`."""
    bus = NatsConnection(settings.nats_url, name, settings.seed, settings.nats_ca_file, master_keys)
    return ServiceBroker(name, bus, clock)


@asynccontextmanager
async def running(service: Service) -> AsyncIterator[NatsConnection]:
    """Connect the service and let it consume; stop it gracefully at the end."""
    app = service.app()
    try:
        await app.start()
        yield service.broker.bus
    finally:
        await app.stop()


async def _connect(service: Service) -> None:
    """Connect and start what needs the connection; retry until it works.

    A server that has just started may not have all its streams yet. Each try uses a new connection, so that nothing
    from an earlier one is received.
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
    """Keeps a service's gauges up to date while it runs, if metrics are exported."""

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
            instruments.set_gauge("countersign.dependency.up", int(await run_check(check)), {DEPENDENCY: name})

    while True:
        for look in (dependencies, service.broker.collect_gauges, *service.gauges):
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
    buses: dict[str, NatsConnection] = {}

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
    if (api := next((service for service in services if service.routers), None)) is not None:
        provide(app, IdempotencyStore(api.broker.bus, api.name, api.broker.clock))
    provide(app, Health(Readiness(checks), buses))
    mount(app, health_router)
    _document(app)
    return app


def _document(app: FastAPI) -> None:
    """Let the application serve an OpenAPI document that says what it does."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = describe(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


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
