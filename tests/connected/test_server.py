"""The server as we configure it."""

from pathlib import Path

import pytest

from cli.stack.access import write_private
from tests.support.server import NatsServer

pytestmark = pytest.mark.connected


@pytest.mark.parametrize("key", ["-h1_x", "1e5", "0x12", "true", "12", "k #,}"])
def test_any_key_is_a_key(tmp_path: Path, key: str) -> None:
    server = NatsServer(tmp_path)
    server.secrets = server.secrets.model_copy(update={"storage_key": key})
    write_private(tmp_path / "secrets.json", server.secrets.model_dump_json())
    server.start()
    server.kill()
