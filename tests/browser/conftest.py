"""The services behind a real socket, with people to sign in as, and a browser to do it with.

One browser serves all tests of a process, with contexts of their own: its start costs a second of the processor. It
belongs to an event loop, so the tests run in that of the session.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from cli.stack.demo_users import demo_users
from cli.stack.ports import free_port
from shared.knowledge.embedded_qdrant import EmbeddedQdrant
from shared.runtime.launch_settings import LaunchSettings
from shared.runtime.service import make_server
from tests.support.browser import chromium
from tests.support.ehr import sandbox, stays
from tests.support.launch import APP, LaunchingEhr, launching
from tests.support.nginx import nginx
from tests.support.server import NatsServer
from tests.support.stack import EvaluatorParts, Stack, running, until

expect.set_options(timeout=20_000)  # ms; a document is filed by services that share the machine with a browser
PHYSICIAN = "Dr. Maxine Gee"
COLLEAGUE = "Dr. Kirk Mosley"
SUPERVISOR = "Supervisor, internal medicine"


@dataclass
class Ward:
    """The stack as people at browsers see it."""

    stack: Stack
    url: str
    browser: Browser
    ehr: LaunchingEhr | None = None
    contexts: list[BrowserContext] = field(default_factory=list)

    async def person(self, name: str, **context: Any) -> Page:
        """Somebody at a browser of their own, signed in."""
        page = await (await self.context(**context)).new_page()
        await page.goto(f"{self.url}/sign-in")
        await page.get_by_role("button", name=name).click()
        await page.wait_for_url(lambda found: "/sign-in" not in found)
        return page

    async def context(self, **options: Any) -> BrowserContext:
        """A certificate of our own CA is trusted."""
        ordinary = {"viewport": {"width": 1440, "height": 900}, "ignore_https_errors": True}
        found = await self.browser.new_context(**(ordinary | options))
        found.set_default_timeout(10_000)
        self.contexts.append(found)
        return found

    async def close(self) -> None:
        """Nobody is at a browser any more."""
        for context in self.contexts:
            await context.close()

    async def case_with_open_points(self) -> str:
        """A case that waits for Dr. Gee, of a stay with contradicting reports and without a follow-up visit."""
        return await self.case(encounter=stays()[2], attending="Practitioner/DR-IM-006")

    async def case(self, **sent: Any) -> str:
        """A case that waits for Dr. Gee."""
        case_id = await self.stack.discharge(**sent)
        await self.stack.reaches(case_id, "awaiting-review")
        return case_id


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as found:
        yield found


@pytest_asyncio.fixture(loop_scope="session")
async def make_ward(
    nats: NatsServer, tmp_path: Path, browser: Browser
) -> AsyncIterator[Callable[..., Awaitable[Ward]]]:
    """Builds a ward with what approval is to be told."""
    await nats.provision()
    ehr = sandbox()
    stop = AsyncExitStack()

    async def make(
        *,
        proxied: bool = False,
        launched: bool = False,
        evaluator: bool = False,
        knowledge_file: Path | None = None,
        **approving: Any,
    ) -> Ward:
        """`proxied`: reached by HTTPS through a real proxy. `launched`: the EHR opens it, and may embed it.

        `evaluator`: its pages stand beside those of approval; `knowledge_file` declares its knowledge base.
        """
        port, in_front = free_port(), free_port()
        url = f"https://127.0.0.1:{in_front}" if proxied else f"http://127.0.0.1:{port}"
        opening = None
        async with AsyncExitStack() as opened:
            if launched:
                opening = await opened.enter_async_context(launching(ehr, url))
                approving["launch"] = LaunchSettings(
                    issuer=opening.issuer,
                    client_id=APP,
                    departments=("internal-medicine",),
                    frame_ancestors=(opening.root,),
                )
            if evaluator:
                base = EmbeddedQdrant(tmp_path / "qdrant")
                opened.push_async_callback(base.close)
                approving["evaluator"] = EvaluatorParts(base, f"http://127.0.0.1:{port}", knowledge_file)
            stack = await opened.enter_async_context(
                running(nats, ehr, narrative_policy="marked", people=demo_users(ehr.store), public_url=url, **approving)
            )
            server = make_server(stack.app, "127.0.0.1", port)
            server.config.lifespan = "off"  # the services run already
            serving = asyncio.create_task(server.serve())

            async def end() -> None:
                server.should_exit = server.force_exit = True
                await serving

            opened.push_async_callback(end)
            await until(lambda: asyncio.sleep(0, server.started), "the server")
            if proxied:
                await opened.enter_async_context(nginx(tmp_path / "nginx", in_front, port))
            ward = Ward(stack, url, browser, opening)
            opened.push_async_callback(ward.close)
            stop.push_async_exit(opened.pop_all())
        return ward

    async with stop:
        yield make


@pytest_asyncio.fixture(loop_scope="session")
async def ward(make_ward: Callable[..., Awaitable[Ward]]) -> Ward:
    return await make_ward()
