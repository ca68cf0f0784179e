"""The server as we configure it, and services that begin before it has everything."""

from pathlib import Path

import pytest
from nats.aio.client import Client

from cli.stack.access import write_private
from shared.contracts.errors import TransientError
from shared.messaging.broker import ServiceBroker
from shared.messaging.connection import NatsConnection
from shared.runtime import service
from tests.support.examples import T0
from tests.support.server import NatsServer

pytestmark = pytest.mark.connected


@pytest.mark.parametrize("key", ["-h1_x", "1e5", "0x12", "true", "12", "k #,}"])
def test_any_key_is_a_key(tmp_path: Path, key: str) -> None:
    server = NatsServer(tmp_path)
    server.secrets = server.secrets.model_copy(update={"storage_key": key})
    write_private(tmp_path / "secrets.json", server.secrets.model_dump_json())
    server.start()
    server.kill()


async def test_a_service_that_cannot_start_yet_tries_again_on_a_connection_of_its_own(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(service, "RECONNECT_DELAY_S", 0.01)
    await nats.provision()
    tried: list[Client] = []

    async def load() -> None:
        tried.append(broker.bus.client)
        if len(tried) < 3:
            raise TransientError("the replica of the event stream that was read is behind")

    broker = ServiceBroker(
        "evaluator", NatsConnection(nats.url, "evaluator", nats.secrets.seeds["evaluator"]), lambda: T0
    )
    async with service.running(service.Service(broker, starts=(load,))) as bus:
        assert bus.client is tried[2]
        assert [item.is_connected for item in tried] == [False, False, True]
    assert caplog.text.count("cannot start yet: the replica of the event stream that was read is behind") == 2
