"""More ended Tasks in the EHR than one search should answer: each is told, part by part, and a death loses no part."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from sandbox_ehr.app import create_app
from sandbox_ehr.quirks import Quirks
from services.approval.ehr_tasks.reconciler import KEY, TaskReconciler
from services.approval.ehr_tasks.watermark import Watermark
from services.approval.filing import resources
from services.approval.projections.open_reviews import OpenReviewsProjection
from shared.clinical.fhir_client import FhirClient
from shared.contracts.timestamps import format_timestamp
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection
from tests.support.backup import as_user
from tests.support.ehr import BASE, sandbox
from tests.support.examples import CASE, STAY, T0, draft_ref
from tests.support.server import NatsServer

pytestmark = pytest.mark.connected

COUNT, MOST, PAGE = 60, 10, 3


class Waiting(OpenReviewsProjection):
    """Somebody waits since the beginning."""

    def oldest_with_task(self) -> datetime | None:
        return T0


class Server(httpx.ASGITransport):
    """An EHR with small pages that is gone after `answers`; what was asked is counted."""

    def __init__(self, spread: timedelta) -> None:
        self.ehr = sandbox("opaque", quirks=Quirks(max_page_size=PAGE))
        self.answers = 10_000
        self.knows_end = True  # of the time that is asked for
        self.asked: list[str] = []
        for number in range(COUNT):
            self.end_task(f"ended-{number}", T0 + number * spread)
        super().__init__(create_app(self.ehr))

    def end_task(self, id: str, time: datetime) -> None:
        made = resources.task(CASE, STAY, draft_ref(), "dev-1", T0, T0, "", STAY.attending)
        meta = {"versionId": "1", "lastUpdated": format_timestamp(time)}
        self.ehr.store.put(made | {"id": id, "status": "completed", "meta": meta})

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not self.answers:
            raise httpx.ConnectError("gone")
        self.answers -= 1
        if not self.knows_end:
            asked = [pair for pair in request.url.params.multi_items() if not pair[1].startswith("lt")]
            request.url = request.url.copy_with(params=asked)
        self.asked.append(str(request.url))
        return await super().handle_async_request(request)

    def connected(self) -> FhirClient:
        return FhirClient(BASE, httpx.AsyncClient(transport=self, base_url=BASE))


async def reconciling(
    bus: NatsConnection, server: Server, new_id: Callable[[], str], now: datetime = T0 + timedelta(days=3)
) -> TaskReconciler:
    async def nothing() -> None: ...

    made = TaskReconciler(
        bus,
        server.connected(),
        Waiting(),
        timedelta(hours=1),
        lambda: now,
        new_id,
        nothing,
        most=MOST,
    )
    await made.start()
    return made


async def mark(bus: NatsConnection) -> Watermark:
    entry = await Bucket(bus, "reconciled").get(KEY)
    return Watermark.read(entry.value) if entry else Watermark()


async def told(server: NatsServer) -> list[str]:
    async with as_user(server, "operator") as bus:
        query: dict[str, Any] = {"seq": 1, "next_by_subj": "ehr.task.updated.*", "batch": 1000}
        found = await bus.direct_get("EHR", query)
        return [dict(message.headers or {})["Nats-Subject"].rpartition(".")[2] for message in found]


ALL = sorted(f"ended-{number}" for number in range(COUNT))


async def test_a_search_that_dies_goes_on_where_it_was(nats: NatsServer) -> None:
    await nats.provision()
    server = Server(timedelta(hours=1))
    async with as_user(nats, "approval") as bus:
        server.answers = 25
        await (await reconciling(bus, server, lambda: "x")).run()
        first = await mark(bus)
        assert first.failed == 1
        assert first.seen is not None
        assert first.behind
        assert T0 < first.seen < T0 + timedelta(hours=COUNT)
        assert 0 < len(await told(nats)) < COUNT
        server.answers, server.asked = 10_000, []
        await (await reconciling(bus, server, lambda: "x")).run()
        second = await mark(bus)
        assert not second.behind
        assert (second.failed, second.seen) == (0, T0 + timedelta(hours=COUNT - 1))
        assert second.run is not None
        assert sorted(await told(nats)) == ALL, "each once"
        start = format_timestamp(T0 - timedelta(days=1))[:10]
        assert not any(start in url for url in server.asked), "not from the start"
        server.asked.clear()
        await (await reconciling(bus, server, lambda: "x")).run()
        assert len(server.asked) == 1, "everything is known"


@pytest.mark.parametrize(("spread", "knows_end"), [(timedelta(seconds=1), True), (timedelta(hours=1), False)])
async def test_what_cannot_be_asked_for_in_parts_is_told_too(
    nats: NatsServer, spread: timedelta, knows_end: bool
) -> None:
    """More in one minute than a part may hold; a server that does not know the end of a time."""
    await nats.provision()
    server = Server(spread)
    server.knows_end = knows_end
    async with as_user(nats, "approval") as bus:
        await (await reconciling(bus, server, lambda: "x")).run()
        assert (await mark(bus)).run is not None
    assert sorted(await told(nats)) == ALL


@pytest.mark.parametrize("after", [timedelta(minutes=2), timedelta(minutes=9), timedelta(minutes=25)])
async def test_a_task_that_ends_soon_after_very_many_is_told(nats: NatsServer, after: timedelta) -> None:
    """The shortest part of the time may reach beyond now: what ends in the rest of it is not known yet."""
    await nats.provision()
    server = Server(timedelta(seconds=1))
    now = T0 + timedelta(seconds=COUNT)
    async with as_user(nats, "approval") as bus:
        await (await reconciling(bus, server, lambda: "x", now)).run()
        first = await mark(bus)
        assert (first.seen, first.behind) == (T0 + timedelta(seconds=COUNT - 1), False)
        server.end_task("later", now + after)
        await (await reconciling(bus, server, lambda: "x", now + after)).run()
    assert "later" in await told(nats)
