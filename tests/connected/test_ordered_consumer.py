"""A long stream is handed over as it is handled: it is not in memory at once, and nothing of it is dropped."""

import asyncio

import pytest
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig

from shared.messaging.ordered_consumer import subscribe_ordered
from tests.support.server import NatsServer
from tests.support.stack import until

pytestmark = pytest.mark.connected

MESSAGES, SIZE = 60, 512 * 1024  # thirty megabytes: the server asks after the first that whether they are handled


async def test_the_server_waits_for_what_it_sent_to_be_handled(nats: NatsServer) -> None:
    await nats.provision()
    bus = await nats.connect("admin")
    for number in range(MESSAGES):
        await bus.publish(f"discharge.x.{number}.filed", b"x" * SIZE, stream="DISCHARGE")
    begin, seen = asyncio.Event(), list[int]()

    async def on_message(message: Msg) -> None:
        await begin.wait()
        seen.append(message.metadata.sequence.stream)

    following = await subscribe_ordered(bus, "DISCHARGE", ConsumerConfig(filter_subjects=["discharge.>"]), on_message)
    state = following._sub._jsi
    assert state is not None

    async def asked() -> bool:
        return state._fcr is not None

    await until(asked, "the server to ask whether what it sent is handled")
    assert following._sub._received < MESSAGES
    begin.set()

    async def complete() -> bool:
        return len(seen) == MESSAGES

    await until(complete, "every message")
    assert seen == list(range(1, MESSAGES + 1))
    await bus.close()
