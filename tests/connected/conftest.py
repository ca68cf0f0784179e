"""Fixtures of tests that need a second server, people of an identity provider, or the registry of drafters."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from services.drafter.configurations import declare_drafters
from shared.messaging.connection import NatsConnection
from shared.messaging.drafter_registry import DrafterRegistry
from shared.runtime.oidc import OidcSettings
from tests.support.drafters import DECLARED, KINDS
from tests.support.ehr import sandbox
from tests.support.examples import T0
from tests.support.oidc import CLIENT, OidcServer, oidc_server
from tests.support.people import URL, Clock
from tests.support.server import NatsServer
from tests.support.stack import Stack, running


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[NatsServer]:
    """Another server with another key, on which nothing has ever been."""
    directory = tmp_path / "empty"
    directory.mkdir()
    server = NatsServer(directory)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def provider() -> Iterator[OidcServer]:
    with oidc_server() as found:
        yield found


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def secured(nats: NatsServer, provider: OidcServer, clock: Clock) -> AsyncIterator[Stack]:
    await nats.provision()
    provider.clock = clock
    oidc = OidcSettings(issuer=provider.issuer, client_id=CLIENT)
    async with running(nats, sandbox(), oidc=oidc, public_url=URL, clock=clock) as found:
        yield found


@pytest.fixture
async def drafter(nats: NatsServer) -> AsyncIterator[NatsConnection]:
    await nats.provision()
    bus = await nats.connect("drafter")
    yield bus
    await bus.close()


@pytest.fixture
async def evaluator(nats: NatsServer, drafter: NatsConnection) -> AsyncIterator[DrafterRegistry]:
    """The registry as the evaluator writes it; every kind of document was declared."""
    await declare_drafters(DrafterRegistry(drafter, "drafter", lambda: T0), DECLARED, KINDS)
    bus = await nats.connect("evaluator")
    yield DrafterRegistry(bus, "evaluator", lambda: T0)
    await bus.close()
