"""A lease, with the real server and with the bus in memory: one holder at a time, and none for longer than it lasts."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from shared.contracts.errors import TransientError
from shared.messaging.lease import Lease
from tests.support.memory import MemoryBus
from tests.support.server import NatsServer

pytestmark = pytest.mark.connected


@pytest.fixture(params=["memory", "server"])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Any]:
    if request.param == "memory":
        yield MemoryBus()
        return
    server: NatsServer = request.getfixturevalue("nats")
    await server.provision()
    found = await server.connect("approval")  # the rights that it has
    yield found
    await found.close()


def lease(bus: Any, seconds: int = 30) -> Lease:
    return Lease(bus, "reconciled", "lease.test", seconds, "others are first", lambda: 0.2)


async def test_one_holder_at_a_time(bus: Any) -> None:
    inside, most, done = 0, 0, 0

    async def work(own: Lease) -> None:
        nonlocal inside, most, done
        async with own.hold(30):
            inside += 1
            most = max(most, inside)
            await asyncio.sleep(0)
            inside -= 1
            done += 1

    await asyncio.gather(*(work(lease(bus)) for _ in range(6)))
    assert (most, done) == (1, 6)


async def test_a_block_that_raises_releases_it(bus: Any) -> None:
    with pytest.raises(ValueError, match="x"):
        async with lease(bus).hold(0):
            raise ValueError("x")
    async with lease(bus).hold(0):
        pass


async def test_who_waits_too_long_is_told_why(bus: Any) -> None:
    async with lease(bus).hold(0):
        with pytest.raises(TransientError, match="others are first"):
            async with lease(bus).hold(0):
                pytest.fail("two hold it")


async def test_it_ends_by_itself_where_its_holder_has_died(bus: Any) -> None:
    begun = asyncio.get_running_loop().time()
    dead = lease(bus, seconds=1)
    _, until = await dead._acquire(0)
    if isinstance(bus, MemoryBus):
        bus.expire()
    async with lease(bus).hold(10) as later:
        now = asyncio.get_running_loop().time()
        assert isinstance(bus, MemoryBus) or until <= now, "not before it has ended"
        assert later > until
    assert now < begun + 6


async def test_who_comes_back_after_its_end_does_not_release_that_of_another(bus: Any) -> None:
    late = lease(bus, seconds=1)
    revision, _ = await late._acquire(0)
    if isinstance(bus, MemoryBus):
        bus.expire()
    async with lease(bus).hold(10):
        await late._release(revision)
        with pytest.raises(TransientError):
            async with lease(bus).hold(0):
                pytest.fail("two hold it")
