"""Messages that wait for their next attempt hold up no other: as the server counts them."""

import asyncio

import pytest

from shared.contracts.subjects import fill_wildcards
from shared.messaging.topology import CONSUMERS
from shared.messaging.topology_model import MAX_PROCESSES, Consumer
from tests.support.backup import as_user
from tests.support.server import NatsServer

pytestmark = pytest.mark.connected

# More than all processes' workers together, of any of them.
WAITING = 600
# What patients wait for. A refresh of the knowledge base is one at a time, and nobody waits for an evaluation.
BATCHES = ("KNOWLEDGE", "REFRESH_TIMERS", "EVALUATIONS")
OF_PATIENTS = [item for item in CONSUMERS if item.stream not in BATCHES and item.workers > 1]


@pytest.mark.parametrize("target", OF_PATIENTS, ids=lambda item: item.name)
def test_thousands_may_wait(target: Consumer) -> None:
    assert target.max_ack_pending - target.workers * MAX_PROCESSES >= 10_000


async def test_six_hundred_that_wait_stop_no_other(nats: NatsServer) -> None:
    """Ten minutes each, as with an EHR that is away; the one that came last is handed out all the same."""
    await nats.provision()
    assert max(item.workers * MAX_PROCESSES for item in OF_PATIENTS) < WAITING
    async with as_user(nats, "admin") as bus:
        for target in OF_PATIENTS:
            subject = fill_wildcards(target.subjects[0], "1")
            for start in range(0, WAITING + 1, 100):
                numbers = range(start, min(start + 100, WAITING + 1))
                await asyncio.gather(*(bus.publish(subject, str(n).encode(), stream=target.stream) for n in numbers))
            pull = await bus.jetstream.pull_subscribe_bind(target.name, stream=target.stream)
            seen = 0
            while seen < WAITING:
                for message in await pull.fetch(min(100, WAITING - seen), timeout=5):
                    await message.nak(delay=600)
                    seen += 1
            await bus.client.flush()
            (last,) = await pull.fetch(1, timeout=5)
            assert last.data, target.name
            info = await pull.consumer_info()
            assert (info.num_pending, info.num_ack_pending) >= (0, WAITING), target.name
            await pull.unsubscribe()
