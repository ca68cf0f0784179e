"""Fixtures of tests that need a second server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.server import NatsServer


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[NatsServer]:
    """Another server with another key, on which nothing has ever been."""
    directory = tmp_path / "empty"
    directory.mkdir()
    server = NatsServer(directory)
    server.start()
    yield server
    server.kill()
