"""A connection to NATS that is closed while something is sent, under uvloop as services run: a transient error."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
import uvloop

from shared.contracts.errors import TransientError
from shared.messaging.connection import NatsConnection
from tests.support.server import NatsServer
from tests.support.stack import until

pytestmark = pytest.mark.connected


async def publish_while_it_is_closed(nats: NatsServer) -> list[type[BaseException]]:
    """Close the connection under a client that sends; return the errors that publishers got."""
    await nats.provision()
    bus = NatsConnection(nats.url, "ingest", nats.secrets.seeds["ingest"])
    await bus.open(patient=True)
    found: list[type[BaseException]] = []

    async def ask() -> None:
        try:
            await bus.consumer_info("EHR", "ingest-discharged")
        except Exception as error:  # noqa: BLE001 - which it is, is the question
            found.append(type(error))

    for _ in range(3):
        client: Any = bus.client
        client._reading_task.cancel()  # what reads has not noticed it yet
        writer = client._transport._io_writer
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()
        for _ in range(3):
            await asyncio.gather(*(ask() for _ in range(3)))

        async def answered() -> bool:
            try:
                await bus.consumer_info("EHR", "ingest-discharged")
            except TransientError:
                return False
            return True

        await until(answered, "the connection to be made again")
    await bus.close()
    return found


def test_what_is_sent_on_a_closed_connection_is_a_transient_error(nats: NatsServer) -> None:
    assert set(uvloop.run(publish_while_it_is_closed(nats))) <= {TransientError}
