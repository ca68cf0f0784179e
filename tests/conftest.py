"""Fixtures of every kind of test."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.ehr import sandbox
from tests.support.server import NatsServer
from tests.support.stack import Stack, running


@pytest.fixture
def nats(tmp_path: Path) -> Iterator[NatsServer]:
    """A real nats-server, not provisioned."""
    directory = tmp_path / "nats-data"
    directory.mkdir()
    server = NatsServer(directory)
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def stack(nats: NatsServer) -> AsyncIterator[Stack]:
    """All services on it, with the sandbox EHR."""
    await nats.provision()
    async with running(nats, sandbox()) as found:
        yield found
