"""Fixtures of tests that need a second server, or people of an identity provider."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from shared.runtime.oidc import OidcSettings
from tests.support.ehr import sandbox
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
