"""An EHR that takes its time over writes holds up filings, and nobody who signs or looks."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from sandbox_ehr.app import Sandbox, create_app
from tests.support import stack as stacks
from tests.support.ehr import sandbox, stays
from tests.support.server import NatsServer
from tests.support.stack import running, until

pytestmark = [pytest.mark.connected, pytest.mark.timeout(120)]

CONNECTIONS = 2
AT_ONCE = 3.0  # seconds; a write gives up after fifteen


class Slow:
    """The sandbox over a socket; writes of documents hang until `go`."""

    def __init__(self, of: Sandbox) -> None:
        self._app = create_app(of)
        self.go = asyncio.Event()
        self.hanging = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] == "POST" and scope["path"].endswith("/DocumentReference"):
            self.hanging += 1
            await self.go.wait()
        await self._app(scope, receive, send)


@pytest.fixture
async def slow(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[Sandbox, Slow]]:
    of = sandbox()
    app = Slow(of)
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
    serving = asyncio.create_task(server.serve([listening]))
    monkeypatch.setenv("COUNTERSIGN_EHR_URL", f"http://127.0.0.1:{listening.getsockname()[1]}/fhir")
    monkeypatch.setenv("COUNTERSIGN_EHR_CONNECTIONS", str(CONNECTIONS))
    monkeypatch.setattr(stacks, "client", lambda _: None)  # the services connect as they do in operation
    yield of, app
    app.go.set()
    server.should_exit = True
    await serving


async def test_nobody_who_signs_waits_for_slow_filings(nats: NatsServer, slow: tuple[Sandbox, Slow]) -> None:
    await nats.provision()
    of, app = slow
    async with running(nats, of) as stack:
        cases = [await stack.discharge(encounter) for encounter in stays()[: CONNECTIONS + 1]]
        for case_id in cases:
            await stack.reaches(case_id, "awaiting-review")
        *first, last = cases
        for case_id in first:
            assert (await stack.decide(case_id, "approve")).status_code == 200

        async def all_taken() -> bool:
            return app.hanging >= CONNECTIONS

        await until(all_taken, "every connection for filings to be taken")
        began = time.monotonic()
        assert (await stack.decide(last, "approve")).status_code == 200
        assert (await stack.http.get("/readyz")).json()["checks"]["ehr"] is True
        assert time.monotonic() - began < AT_ONCE
        app.go.set()
        for case_id in cases:
            await stack.reaches(case_id, "filed")
