"""`GET /v1/events` by HTTP on a real bus: nothing is lost between two connections, and nobody reads too much."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest

from services.approval.dependencies import ApiDependencies
from services.approval.event_feed import api as event_api
from shared.contracts.envelope import CHAIN_START
from shared.contracts.subjects import CaseRef, case_id
from shared.messaging.event_store import EventStore
from shared.runtime.authentication import ApiToken, ApiTokens, Authenticator, Role, token_digest
from shared.runtime.request_limits import EventStreamLimit
from shared.runtime.service import create_app
from tests.support.backup import as_user
from tests.support.ehr import sandbox
from tests.support.examples import STAY, T0, event
from tests.support.generator import ScriptedGenerator
from tests.support.server import NatsServer
from tests.support.serving import served
from tests.support.stack import build_services, until

pytestmark = [pytest.mark.connected, pytest.mark.timeout(120)]


@dataclass
class Connection:
    """What one connection has received."""

    status: int = 0
    events: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)  # id, name, data
    position: str = ""  # what a client sends as Last-Event-ID
    comments: int = 0
    ended: bool = False

    @property
    def sequences(self) -> list[int]:
        return [id for id, _, _ in self.events]


class Client:
    def __init__(self, nats: NatsServer, base: str, provided: dict[Any, Any]) -> None:
        self.nats = nats
        self.base = base
        self.provided = provided

    def headers(self, role: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.nats.secrets.tokens.get(role, role)}"}

    @asynccontextmanager
    async def follow(self, role: str = "operator", position: str = "", **query: Any) -> AsyncIterator[Connection]:
        found = Connection()
        headers = self.headers(role) | ({"Last-Event-ID": position} if position else {})
        async with (
            httpx.AsyncClient(base_url=self.base, timeout=30) as http,
            http.stream("GET", "/v1/events", params=query, headers=headers) as response,
        ):
            found.status = response.status_code
            reading = asyncio.create_task(read(response, found))
            if response.is_success:
                await until(lambda: asyncio.sleep(0, found.position), "the first block")
            try:
                yield found
            finally:
                reading.cancel()

    async def status(self, role: str = "operator", position: str = "", **query: Any) -> int:
        async with self.follow(role, position, **query) as found:
            return found.status


async def read(response: httpx.Response, found: Connection) -> None:
    block: dict[str, str] = {}
    async for line in response.aiter_lines():
        if not line:
            found.position = block.get("id", found.position)
            if "data" in block:
                found.events.append((int(block["id"]), block["event"], json.loads(block["data"])))
            block = {}
        elif line.startswith(":"):
            found.comments += 1
        else:
            name, _, value = line.partition(": ")
            block[name] = value
    found.ended = True


@pytest.fixture
async def client(nats: NatsServer) -> AsyncIterator[Client]:
    await nats.provision()
    app = create_app(build_services(nats, sandbox(), ScriptedGenerator())[2:])
    async with app.router.lifespan_context(app), served(app) as base:
        yield Client(nats, base, app.state.provided)


async def append(nats: NatsServer, *names: str, number: int = 1, department: str = "cardiology") -> None:
    case = CaseRef(department, case_id("test", f"e{number}"))
    async with as_user(nats, "admin") as bus:
        journal = EventStore(bus, "drafter")
        history = await journal.history(case)
        head = history[-1].head if history else CHAIN_START
        for name in names:
            head = await journal.append(case, event(name), after=head, id=f"{case.id}/{name}", time=T0)


async def received(connection: Connection, count: int) -> None:
    await until(lambda: asyncio.sleep(0, len(connection.events) >= count), f"{count} events")


async def test_a_client_that_was_away_misses_nothing_and_gets_nothing_twice(client: Client) -> None:
    """Also one that was away before its first event: the first block says where it is."""
    async with client.follow() as first:
        pass
    assert (first.events, first.position) == ([], "0")
    await append(client.nats, "discharged", "context-extracted")
    async with client.follow(position=first.position) as second:
        await received(second, 2)
        await append(client.nats, "discharged", number=2)
        await received(second, 3)
    for number in range(3, 40):
        await append(client.nats, "discharged", number=number)
    async with client.follow(position=second.position) as third:
        await received(third, 37)
        await append(client.nats, "context-extracted", number=2)
        await received(third, 38)
    assert second.sequences + third.sequences == list(range(1, 42))
    async with client.follow(after=39) as late:
        await received(late, 2)
    assert late.sequences == [40, 41]


async def test_an_event_is_a_cloudevent_without_a_patients_data(client: Client) -> None:
    await append(client.nats, "discharged", "context-extracted")
    async with client.follow("auditor", after=0) as found:
        await received(found, 2)
    (_, name, data) = found.events[1]
    assert name == "context-extracted"
    case = case_id("test", "e1")
    assert data["data"] == {"case_id": case, "department": "cardiology", "event": name, "sequence": 2}
    text = json.dumps(found.events)
    assert not any(known in text for known in (STAY.patient, STAY.encounter, str(STAY.attending)))


async def test_filters(client: Client) -> None:
    await append(client.nats, "discharged", "context-extracted")
    await append(client.nats, "discharged", "context-extracted", number=2, department="surgery")
    for query, expected in (
        ({"department": "surgery"}, [3, 4]),
        ({"type": "discharged"}, [1, 3]),
        ({"type": ["discharged", "context-extracted"], "department": "cardiology"}, [1, 2]),
        ({"case_id": case_id("test", "e2")}, [3, 4]),
    ):
        async with client.follow(after=0, **query) as found:  # type: ignore[arg-type]
            await received(found, 2)
            assert found.sequences == expected


async def test_what_is_not_valid_is_a_problem(client: Client) -> None:
    assert await client.status(type="nonsense") == 422
    assert await client.status(position="x") == 422
    assert await client.status(case_id="x>") == 422
    assert await client.status(department="x.>") == 422
    assert await client.status(after=1) == 409, "of a stream that was restored"
    assert await client.status("ingest") == 403
    assert await client.status("nobody") == 401


def grant(client: Client, role: Role, *departments: str) -> None:
    token = ApiToken(subject=role, role=role, sha256=token_digest("ward"), departments=departments or None)
    dependencies = client.provided[ApiDependencies]
    authenticator = Authenticator(ApiTokens(tokens=(token,)))
    client.provided[ApiDependencies] = replace(dependencies, authenticator=authenticator)


@pytest.mark.parametrize("role", ["physician", "supervisor", "operator"])
async def test_people_of_a_department_get_its_events_alone(client: Client, role: Role) -> None:
    await append(client.nats, "discharged")
    await append(client.nats, "discharged", number=2, department="surgery")
    await append(client.nats, "discharged", number=3, department="neurology")
    grant(client, role, "surgery", "neurology")
    async with client.follow("ward", after=0) as found:
        await received(found, 2)
    assert found.sequences == [2, 3]
    async with client.follow("ward", after=0, department="cardiology") as found:
        await append(client.nats, "discharged", number=4, department="surgery")
        async with client.follow("ward", after=3) as other:
            await received(other, 1)
        assert found.events == []


async def test_streams_of_one_caller_are_limited(client: Client) -> None:
    dependencies = client.provided[ApiDependencies]
    client.provided[ApiDependencies] = replace(dependencies, streams=EventStreamLimit(1))
    async with client.follow() as found:
        assert found.status == 200
        assert await client.status() == 429
        async with client.follow("auditor") as other:
            assert other.status == 200
    await until(lambda: _is(client, 200), "the place to be free")


async def _is(client: Client, status: int) -> bool:
    return await client.status() == status


async def test_heartbeats_come_also_while_events_of_others_do_and_the_stream_ends(client: Client) -> None:
    feed = client.provided[ApiDependencies].feed
    wanted = event_api.EventFilter(departments=("nowhere",))
    asked: list[None] = []

    async def may_listen() -> bool:
        asked.append(None)
        return len(asked) < 4

    async def others() -> None:
        for number in range(100):
            await append(client.nats, "discharged", number=number)

    noise = asyncio.create_task(others())
    lines = [line async for line in event_api.lines(feed, wanted, 0, may_listen, heartbeat=0.2)]
    noise.cancel()
    assert lines[0] == "retry: 2000\nid: 0\n\n"
    assert set(lines[1:]) == {": heartbeat\n\n"}
    assert len(asked) == 4
    ended = [line async for line in event_api.lines(feed, wanted, 0, may_listen, heartbeat=0.1, longest=0.0)]
    assert len(ended) == 2
