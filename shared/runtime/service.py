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

from shared.contracts.failures import Failure, TransientError
from shared.messaging.broker import ServiceBroker
from shared.messaging.connection import Bus
from shared.messaging.journal import Clock
from shared.runtime import connections, problems
from shared.runtime.dependencies import mount, provide, provided
from shared.runtime.limits import Limits
from shared.runtime.logs import configure_logging
from shared.runtime.public import SafeHeaders
from shared.runtime.settings import ServiceSettings
from shared.runtime.telemetry import look_every, start_telemetry
from shared.runtime.version import VERSION
from shared.runtime.watched import Watched
from shared.telemetry import instruments
from shared.telemetry.catalogue import DEPENDENCY

logger = logging.getLogger(__name__)

Check = Callable[[], Awaitable[bool]]
Hook = Callable[[], Awaitable[None]]
Look = Callable[[], Awaitable[None]]  # sets gauges: what is not counted as it happens but looked up
CHECK_TIMEOUT = 3.0
ASKED_EVERY = 1.0
AGAIN = 1.0  # seconds until a start that did not succeed is tried again
SWITCH_AFTER = 0.001  # seconds; Python's own is 5 ms, for each of the turns that a page takes
COLLECT_AFTER = (50_000, 20, 50)  # allocations, then collections of each generation; a tenth less CPU a case
# Seconds that open requests get when the process is told to stop, before the work does (`pull_subscriber.GRACE`):
# streams never end by themselves. What holds on even so, a server that does not answer for one, is left behind.
STOP_WITHIN = 3
ENDED_WITHIN = 9.0
# A header that nobody reads. What a proxy claims of the browser is used for nothing: see Public for its origin.
QUIET: dict[str, Any] = {"proxy_headers": False, "server_header": False, **connections.SETTINGS}

health_router = APIRouter(tags=["health"])


@dataclass(frozen=True, slots=True)
class Service:
    """What a composition root hands over: everything built, nothing started."""

    broker: ServiceBroker
    routers: tuple[APIRouter, ...] = ()  # built at import, shared by all applications of the process
    dependencies: object | None = None  # what its routes work with: `shared.runtime.dependencies.provided`
    starts: tuple[Hook, ...] = ()  # once connected, in order, before the first message; again where one did not succeed
    checks: dict[str, Check] = field(default_factory=dict)  # dependency → does it answer
    closers: tuple[Hook, ...] = ()  # once disconnected, the last first
    looks: tuple[Look, ...] = ()
    hsts: bool = False  # browsers reach it by HTTPS alone

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
            on_shutdown=[gauges.stop],
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
    """The service connected and consuming; stopped gracefully at the end."""
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
            await asyncio.sleep(AGAIN)


class Gauges:
    """Keeps a service's gauges true while it runs, where somebody listens."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        if instruments.measuring():
            self._task = asyncio.create_task(_look(self._service))

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()


async def _look(service: Service) -> None:
    """Keep the gauges true, as often as they are sent. What does not answer leaves them as they were."""

    async def dependencies() -> None:
        for name, check in service.checks.items():
            instruments.level("countersign.dependency.up", int(await _ask(check)), {DEPENDENCY: name})

    while True:
        for look in (dependencies, service.broker.look, *service.looks):
            try:
                await look()
            except (Failure, TimeoutError):
                continue
            except Exception as error:  # noqa: BLE001 - one gauge that cannot be read must not silence the others
                logger.error("%s: a gauge cannot be read: %s", service.name, type(error).__name__)
        await asyncio.sleep(look_every())


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
    problems.install(app)
    app.add_middleware(Limits)
    app.add_middleware(Watched)
    app.add_middleware(SafeHeaders, hsts=any(service.hsts for service in services))
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
    """What the checks said last. Anybody may ask; the EHR is asked once a second for all of them together."""

    def __init__(self, checks: dict[str, Check], clock: Callable[[], float] = monotonic) -> None:
        self._checks = checks
        self._clock = clock
        self._asked: asyncio.Task[list[bool]] | None = None
        self._at = 0.0

    async def results(self) -> dict[str, bool]:
        if self._asked is None or (self._asked.done() and self._clock() - self._at >= ASKED_EVERY):
            self._asked, self._at = asyncio.create_task(self._ask_all()), self._clock()
        return dict(zip(self._checks, await asyncio.shield(self._asked), strict=True))

    async def _ask_all(self) -> list[bool]:
        return await asyncio.gather(*map(_ask, self._checks.values()))


async def _ask(check: Check) -> bool:
    try:
        return await asyncio.wait_for(check(), CHECK_TIMEOUT)
    except TimeoutError:
        return False


class EndingServer(uvicorn.Server):
    """Of a process that serves nothing else: it ends in time after SIGTERM, whatever does not let go."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        timer = threading.Timer(ENDED_WITHIN, self._give_up)
        timer.daemon = True
        timer.start()

    def _give_up(self) -> None:
        """What was in work is delivered again, as after any end."""
        logger.error("stopped without waiting any longer for what does not end")
        logging.shutdown()
        os._exit(1)


def make_server(app: FastAPI, host: str, port: int, kind: type[uvicorn.Server] = uvicorn.Server) -> uvicorn.Server:
    """A uvicorn server without an access log: request paths carry case ids."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=STOP_WITHIN,
        **QUIET,
    )
    return kind(config)


def settle_memory() -> None:
    """What is loaded by now stays: the collector need not look at it again, nor run as often as its defaults say."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*COLLECT_AFTER)


def favour_requests() -> None:
    """As many connections as are allowed; a thread that computes gives way after a millisecond."""
    connections.raise_open_files()
    sys.setswitchinterval(SWITCH_AFTER)


def serve(service: Service, host: str, port: int) -> None:
    """Run one service as a process until it is told to stop."""
    configure_logging(service=service.name)
    telemetry = start_telemetry(service.name)
    settle_memory()
    favour_requests()
    make_server(create_app([service], on_stop=telemetry.close), host, port, EndingServer).run()
