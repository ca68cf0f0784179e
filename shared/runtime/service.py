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
from pathlib import Path
from time import monotonic
from types import FrameType
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI
from starlette.responses import JSONResponse

from shared.contracts.failures import Failure, TransientError
from shared.messaging.connection import Bus, connect
from shared.messaging.steps import Steps
from shared.runtime import connections, problems
from shared.runtime.limits import Limits
from shared.runtime.logs import configure_logging
from shared.runtime.public import SafeHeaders
from shared.runtime.telemetry import look_every, start_telemetry
from shared.runtime.version import VERSION
from shared.runtime.watched import Watched
from shared.telemetry import instruments
from shared.telemetry.catalogue import DEPENDENCY

logger = logging.getLogger(__name__)

Check = Callable[[], Awaitable[bool]]
Look = Callable[[], Awaitable[None]]  # sets gauges: what is not counted as it happens but looked up
CHECK_TIMEOUT = 3.0
ASKED_EVERY = 1.0
AGAIN = 1.0  # seconds until a start that did not succeed is tried again
SWITCH_AFTER = 0.001  # seconds; Python's own is 5 ms, for each of the turns that a page takes
COLLECT_AFTER = (50_000, 20, 50)  # allocations, then collections of each generation; a tenth less CPU a case
# Seconds that open requests get when the process is told to stop, before the work does (`pull.GRACE`): streams never
# end by themselves. What holds on even so, a server that does not answer for one, is left behind.
STOP_WITHIN = 3
ENDED_WITHIN = 9.0
# A header that nobody reads. What a proxy claims of the browser is used for nothing: see Public for its origin.
QUIET: dict[str, Any] = {"proxy_headers": False, "server_header": False, **connections.SETTINGS}


@dataclass(frozen=True, slots=True)
class Service:
    """What a composition root hands over: everything built, nothing started."""

    name: str
    nats_url: str
    nats_ca_file: Path | None
    nats_seed: str
    steps: Steps
    on_connect: Callable[[Bus], Awaitable[None]]
    router: APIRouter | None = None
    checks: dict[str, Check] = field(default_factory=dict)  # dependency → does it answer
    closers: tuple[Callable[[], Awaitable[None]], ...] = ()
    looks: tuple[Look, ...] = ()
    master_key: bytes | None = None  # of the keys that cases' texts are sealed with
    hsts: bool = False  # browsers reach it by HTTPS alone


@asynccontextmanager
async def running(service: Service) -> AsyncIterator[Bus]:
    """The service connected and consuming; stopped gracefully at the end."""
    async with AsyncExitStack() as stack:
        for close in service.closers:
            stack.push_async_callback(close)
        bus = await _connect(service)
        stack.push_async_callback(bus.close)
        stack.push_async_callback(service.steps.stop)
        await service.steps.start()
        if instruments.measuring():
            looking = asyncio.create_task(_look(service))
            stack.callback(looking.cancel)
        yield bus


async def _connect(service: Service) -> Bus:
    """A connection with everything attached, as patient as a connection is: a server that has only just come up may not
    have all that it keeps yet. Each try is on a connection of its own, so that nothing of the one before is heard.
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
            logger.warning("%s cannot start yet: %s", service.name, failure.reason)
            await asyncio.sleep(AGAIN)
        except BaseException:
            await bus.close()
            raise


async def _look(service: Service) -> None:
    """Keep the gauges true, as often as they are sent. What does not answer leaves them as they were."""

    async def dependencies() -> None:
        for name, check in service.checks.items():
            instruments.level("countersign.dependency.up", int(await _ask(check)), {DEPENDENCY: name})

    while True:
        for look in (dependencies, service.steps.look, *service.looks):
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

    app = FastAPI(title="Countersign", version=VERSION, lifespan=lifespan, docs_url=None, redoc_url=None, **extra)
    problems.install(app)
    app.add_middleware(Limits)
    app.add_middleware(Watched)
    app.add_middleware(SafeHeaders, hsts=any(service.hsts for service in services))
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
