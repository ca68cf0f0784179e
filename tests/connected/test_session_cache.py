"""Sessions in memory of two processes: a change by one is known to the other at once, and nothing is kept blindly."""

from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import count

import pytest

from services.approval.sign_in.session_cache import MAX_AGE, REPLICA_LAG, SessionCache
from services.approval.sign_in.sessions import SessionStore
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection
from shared.runtime.authentication import Caller
from shared.runtime.oidc import SignInResult
from tests.support.backup import as_user
from tests.support.people import Clock
from tests.support.server import NatsServer
from tests.support.stack import until

pytestmark = [pytest.mark.connected]

HOURS = timedelta(hours=8)
WHO = Caller(subject="mgee", role="physician", departments=("cardiology",))
names = count()


class Reads:
    """Counts the reads that reach NATS."""

    def __init__(self, bus: NatsConnection, monkeypatch: pytest.MonkeyPatch) -> None:
        self.made = 0
        before = bus.direct_get

        async def counted(*arguments: object) -> object:
            self.made += 1
            return await before(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(bus, "direct_get", counted)


@pytest.fixture
async def buses(nats: NatsServer) -> AsyncIterator[tuple[NatsConnection, NatsConnection]]:
    await nats.provision()
    async with as_user(nats, "approval") as one, as_user(nats, "approval") as other:
        yield one, other


async def started(bus: NatsConnection, clock: Clock) -> SessionStore:
    store = SessionStore(bus, clock, lambda: f"secret-{next(names)}", HOURS, HOURS)
    await store.start()
    return store


async def test_a_session_is_read_once_until_another_process_ends_it(
    buses: tuple[NatsConnection, NatsConnection], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    here, there = await started(buses[0], clock), await started(buses[1], clock)
    reads = Reads(buses[0], monkeypatch)
    id = await there.open(SignInResult(WHO))
    await until(lambda: _knows_change(here), "the message of the new session")
    assert await here.caller(id) == WHO
    assert await here.caller(id) == WHO
    assert reads.made == 2, "a session that was changed a moment ago is not kept: a replica may lag behind"
    clock.ahead += REPLICA_LAG * 2
    for _ in range(5):
        assert await here.caller(id) == WHO
    assert reads.made == 3
    assert await there.end("mgee") == 1

    async def gone() -> bool:
        return await here.caller(id) is None

    await until(gone, "the other process to know that the session was ended")


async def test_a_kept_session_is_read_again_after_a_while_and_times_out_by_itself(
    buses: tuple[NatsConnection, NatsConnection], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock()
    store = await started(buses[0], clock)
    id = await store.open(SignInResult(WHO))
    clock.ahead += REPLICA_LAG * 2
    reads = Reads(buses[0], monkeypatch)
    assert await store.caller(id) == WHO
    clock.ahead += MAX_AGE
    assert await store.caller(id) == WHO
    assert reads.made == 2
    clock.ahead += HOURS
    assert await store.caller(id) is None


async def test_what_this_process_ends_is_gone_at_once(buses: tuple[NatsConnection, NatsConnection]) -> None:
    clock = Clock()
    store = await started(buses[0], clock)
    id = await store.open(SignInResult(WHO))
    clock.ahead += REPLICA_LAG * 2
    assert await store.caller(id) == WHO
    await store.close(id)
    assert await store.caller(id) is None


async def test_without_the_right_to_subscribe_every_read_asks_nats(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As approval before its permissions are updated: a message that cannot come must not keep an entry alive."""
    monkeypatch.setattr("services.approval.sign_in.session_cache.PROBE_TIMEOUT_S", 0.5)
    await nats.provision()
    clock = Clock()
    async with as_user(nats, "evaluator") as bus:  # it may write to this bucket, and not subscribe to it
        cache = SessionCache(bus, "drafters", clock, lambda: f"secret-{next(names)}")
        await cache.start()
        await Bucket(bus, "drafters").put("session.a", b"x")
        reads = Reads(bus, monkeypatch)
        for _ in range(3):
            assert await cache.get("session.a") is not None
        assert reads.made == 3


async def _knows_change(store: SessionStore) -> bool:
    return any(key.startswith("session.") for key in store._cache._changed)
