"""The inbox begins where it left off: what is stored of it is where to begin, and never a second truth."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from services.approval.projections import catch_up
from services.approval.projections.case_states import CaseStateProjection
from services.approval.projections.catch_up import BUCKET, CatchUpSubscription, ProjectionCheckpoint
from services.approval.projections.open_reviews import OpenReviewsProjection
from shared.contracts.envelope import CHAIN_START, ChainHead
from shared.contracts.errors import PermanentError
from shared.contracts.subjects import CaseRef
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection, connect
from shared.messaging.event_store import EventStore, RawMessage
from shared.telemetry import instruments
from shared.telemetry.metric_definitions import STATE
from tests.support.ehr import sandbox, stays
from tests.support.examples import T0, event
from tests.support.server import NatsServer
from tests.support.stack import running, until

pytestmark = pytest.mark.connected

EVERY = 4  # events between two beginnings, in these tests
LONG = 20 * EVERY  # events of a trail that is not to be read twice
KEY = "inbox"


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catch_up, "EVENTS_PER_CHECKPOINT", EVERY)


@pytest.fixture
async def bus(nats: NatsServer) -> AsyncIterator[NatsConnection]:
    await nats.provision()
    found = await nats.connect("approval")
    yield found
    await found.close()


class Trail:
    """Cases by number, each with the events that a test gives it."""

    def __init__(self, bus: NatsConnection) -> None:
        self._event_store = EventStore(bus, "approval")
        self._heads: dict[int, ChainHead] = {}

    async def add(self, case: int, *names: str) -> None:
        ref = CaseRef("cardiology", str(UUID(int=case)))
        for name in names:
            after = self._heads.get(case, CHAIN_START)
            self._heads[case] = await self._event_store.append(
                ref, event(name), after=after, id=str(UUID(int=after.sequence * 1000 + case)), time=T0
            )


class Reader:
    """One who follows, as a process does that was just started. `counting`: what the test says still counts."""

    def __init__(self, *counting: int) -> None:
        self.seen: list[int] = []
        self._live_sequences = counting
        self.following = CatchUpSubscription(
            KEY, ("review-requested", "approved"), self._apply_message, lambda: self._live_sequences
        )

    def _apply_message(self, message: RawMessage) -> None:
        self.seen.append(message.sequence)

    async def read(self, bus: NatsConnection) -> list[int]:
        await self.following.start(bus)
        await self.following.caught_up()
        return self.seen


async def test_only_what_counts_and_what_came_since_is_read_again(bus: NatsConnection) -> None:
    trail = Trail(bus)
    for case in range(1, 6):
        await trail.add(case, "review-requested")
    assert await Reader(2, 3).read(bus) == [1, 2, 3, 4, 5]  # after the fourth it stores where to begin
    await trail.add(6, "review-requested", "escalated", "approved")
    assert await Reader().read(bus) == [2, 3, 5, 6, 8]


@pytest.mark.parametrize("error", [ValueError, PermanentError], ids=lambda error: error.__name__)
async def test_an_event_that_cannot_be_applied_hides_no_other(bus: NatsConnection, error: type[Exception]) -> None:
    trail = Trail(bus)
    for case in range(1, 4):
        await trail.add(case, "review-requested")

    class Refusing(Reader):
        def _take(self, message: RawMessage) -> None:
            super()._take(message)
            if message.sequence == 2:
                raise error("no event of ours")

    assert await Refusing().read(bus) == [1, 2, 3]


async def test_what_comes_later_is_taken_once_also_after_the_connection_was_lost(nats: NatsServer) -> None:
    await nats.provision()
    bus = await connect(nats.url, "approval", nats.secrets.seeds["approval"], patient=True)
    trail = Trail(bus)
    for case in range(1, LONG + 1):
        await trail.add(case, "review-requested")
    await Reader(2).read(bus)
    reader = Reader()
    assert await reader.read(bus) == [2]
    received, again = bus.client.stats["in_msgs"], asyncio.Event()

    async def reconnected() -> None:
        again.set()

    bus.on_reconnect(reconnected)
    nats.kill()
    nats.start()
    await again.wait()
    await trail.add(LONG + 1, "review-requested")

    async def taken() -> bool:
        return len(reader.seen) > 1

    await until(taken, "the event that came after the loss")
    assert reader.seen == [2, LONG + 1]
    assert bus.client.stats["in_msgs"] - received < LONG  # the trail was not read from its start
    await bus.close()


@pytest.mark.parametrize(
    "stored",
    [
        ProjectionCheckpoint(at=4, id="another", time=T0.isoformat(), counting=(1,)),
        ProjectionCheckpoint(at=99, id="later", time=T0.isoformat(), counting=(1,)),
        None,
    ],
    ids=["another event stands there", "the trail is shorter", "it cannot be read"],
)
async def test_a_beginning_of_another_trail_is_not_used(
    bus: NatsConnection, stored: ProjectionCheckpoint | None
) -> None:
    for case in range(1, 6):
        await Trail(bus).add(case, "review-requested")
    value = zlib.compress(stored.model_dump_json().encode()) if stored else b"torn"
    await Bucket(bus, BUCKET).put(KEY, value)
    assert await Reader().read(bus) == [1, 2, 3, 4, 5]


async def test_an_inbox_from_a_beginning_is_the_one_from_the_whole_trail(bus: NatsConnection) -> None:
    trail = Trail(bus)
    for case in range(1, 9):
        await trail.add(case, "review-requested")
    await trail.add(2, "escalated")
    await trail.add(3, "reassigned")
    await trail.add(4, "approved")
    first = OpenReviewsProjection()
    await first.start(bus)
    await trail.add(1, "escalated")
    entry = await Bucket(bus, BUCKET).get(KEY)
    assert entry is not None
    begun = OpenReviewsProjection()
    await begun.start(bus)
    await Bucket(bus, BUCKET).delete(KEY)
    whole = OpenReviewsProjection()
    await whole.start(bus)
    assert begun.page(None, None, 50) == whole.page(None, None, 50)
    assert [begun.find(str(UUID(int=case))) for case in range(1, 9)] == [
        whole.find(str(UUID(int=case))) for case in range(1, 9)
    ]
    assert begun.counts() == {"cardiology": 7}


async def test_cases_are_counted_from_a_beginning_too(
    nats: NatsServer, bus: NatsConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: dict[str, list[Any]] = {}
    monkeypatch.setattr(instruments, "metrics_enabled", lambda: True)
    monkeypatch.setattr(instruments, "replace_gauge", told.__setitem__)
    anybody = await nats.connect("admin")
    trail = Trail(anybody)
    for case in range(1, 6):
        await trail.add(case, "discharged")
    await trail.add(1, "review-requested", "approved", "filed")
    await trail.add(2, "failed")
    await anybody.close()
    for _ in range(2):
        census = CaseStateProjection(OpenReviewsProjection(), lambda: T0)
        await census.start(bus)

        async def counted(census: CaseStateProjection = census) -> bool:
            await census.collect_gauges()
            return {item[STATE]: n for item, n in told["countersign.cases"]} == {"drafting": 3, "failed": 1}

        await until(counted, "the census")
        entry = await Bucket(bus, BUCKET).get("census")
        assert entry is not None
        assert ProjectionCheckpoint.model_validate_json(zlib.decompress(entry.value)).counting == (2, 3, 4, 5)


async def test_a_case_that_waited_through_restarts_can_be_decided(nats: NatsServer) -> None:
    await nats.provision()
    async with running(nats, sandbox()) as stack:
        cases = [await stack.discharge(encounter) for encounter in stays()[: 2 * EVERY]]
        assert len(set(cases)) > EVERY
        for case in cases:
            await stack.reaches(case, "awaiting-review")
        assert (await stack.decide(cases[0], "approve")).status_code == 200
        await stack.reaches(cases[0], "filed")
        ehr = stack.ehr
    async with running(nats, ehr) as stack:
        assert (await stack.decide(cases[1], "approve")).status_code == 200
        await stack.reaches(cases[1], "filed")
        listed = (await stack.call("supervisor", "GET", "/v1/reviews")).json()
        assert {item["case_id"] for item in listed["items"]} == set(cases[2:])
