"""A sandbox EHR on a socket of its own, which opens Countersign (SMART App Launch)."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import uvicorn

from cli.stack.ports import free_port
from sandbox_ehr.app import Sandbox, create_app
from sandbox_ehr.app_launch import AppLaunch, RegisteredApp
from sandbox_ehr.smart import AuthorizationServer
from tests.support.stack import until

APP = "countersign-inbox"


class LaunchingEhr:
    """`root` is where its pages are, `issuer` its FHIR base: at another site than Countersign's pages."""

    def __init__(self, sandbox: Sandbox, apps: AppLaunch, port: int) -> None:
        self.sandbox = sandbox
        self.apps = apps
        self.root = f"http://localhost:{port}"
        self.issuer = f"{self.root}/fhir"

    def page(self, encounter: str, practitioner: str, *, framed: bool = True) -> str:
        """The EHR's page of a stay, as `practitioner` opens it."""
        return f"{self.root}/sandbox/launch?encounter={encounter}&practitioner={practitioner}&framed={int(framed)}"


@asynccontextmanager
async def launching(
    sandbox: Sandbox, app_url: str, clock: Callable[[], float] = time.time
) -> AsyncIterator[LaunchingEhr]:
    """The EHR listens until the block ends. `app_url` is the public URL of Countersign."""
    port = free_port()
    app = RegisteredApp(APP, f"{app_url}/launch", (f"{app_url}/launch/callback",))
    apps = AppLaunch(sandbox.store, app, clock)
    sandbox.authorization = AuthorizationServer([], anonymous=True, apps=apps)
    server = uvicorn.Server(uvicorn.Config(create_app(sandbox), port=port, log_config=None, access_log=False))
    serving = asyncio.create_task(server.serve())
    try:
        await until(lambda: asyncio.sleep(0, server.started), "the EHR")
        yield LaunchingEhr(sandbox, apps, port)
    finally:
        server.should_exit = server.force_exit = True
        await serving
