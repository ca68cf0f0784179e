"""One discharge by every route and in every order is one case, and of a discharge and its cancellation the later holds.

COUNTERSIGN_THOROUGH=20 tries 20 times as many orders.
"""

import asyncio
import itertools
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, get_args

import httpx
import pytest
import yaml
from pydantic import SecretStr

from cli.stack.ports import free_port
from cli.stack.secrets import write_tokens
from sandbox_ehr.app import Sandbox
from sandbox_ehr.notifications import BUNDLES, Content, Shape, request
from sandbox_ehr.quirks import Quirks
from services.ingest.main import build
from services.ingest.settings import FhirIntakeSettings, IngestSettings
from shared.contracts.subjects import encounter_subject
from shared.messaging.connection import NatsConnection
from shared.runtime.service import create_app
from shared.runtime.settings import Hl7Settings
from tests.connected.test_hl7 import SENDER, Feed, ordered, send_only
from tests.support.effort import THOROUGH
from tests.support.ehr import client, sandbox, stays
from tests.support.hl7 import framed
from tests.support.server import NatsServer
from tests.support.stack import until

pytestmark = [pytest.mark.connected, pytest.mark.timeout(240 * THOROUGH)]
STARTED = datetime(2026, 6, 1, tzinfo=UTC)  # when the hospital of these tests starts
CONSUMERS = ("ingest-visits", "ingest-encounters", "ingest-discharged", "ingest-cancelled", "ingest-pending")
PATH = "/v1/fhir/notifications"
SECRET = b"the-secret-of-the-clinic"
SIGNED = ("medplum", "athena")
NOTIFICATIONS: list[tuple[Shape, Content]] = [
    *((shape, "id-only") for shape in get_args(Shape)),
    *((shape, content) for shape in get_args(Shape) if shape in BUNDLES for content in ("empty", "full-resource")),
]
Way = Literal["mllp", "rest", "engine"] | tuple[Shape, Content]
TIMES = {
    name: datetime(2026, 6, 10, hour, tzinfo=UTC) for name, hour in (("first", 13), ("cancelled", 14), ("second", 15))
}


class Routes(Feed):
    """Ingest with all of its routes."""

    def __init__(self, bus: NatsConnection, port: int, http: httpx.AsyncClient, ehr: Sandbox, token: str) -> None:
        super().__init__(bus, port)
        self.http, self.ehr, self._token = http, ehr, token

    async def settled(self, consumers: Sequence[str] = CONSUMERS) -> None:
        await super().settled(consumers)

    async def notify(
        self, encounter: str, shape: Shape = "backport", number: int = 1, content: Content = "id-only"
    ) -> None:
        resource = self.ehr.store.get("Encounter", encounter)
        assert resource is not None
        proof: dict[str, Any] = {"secret": SECRET} if shape in SIGNED else {"token": self._token}
        answer = await self.http.request(**request(shape, PATH, resource, number, content=content, **proof))
        assert answer.status_code == 200, answer.text

    async def discharge(self, way: Way, number: str, encounter: str, event: int) -> None:
        """Report the first discharge of a visit; `event` is the number of a notification."""
        match way:
            case "mllp":
                assert await send_only(self, ordered(number)["first"]) == "AA"
            case "rest":
                await self.rest(encounter)
            case "engine":
                await self.engine(encounter)
            case (shape, content):
                await self.notify(encounter, shape, event, content)

    async def poll(self) -> None:
        """Have the EHR polled, as a notification without a body does, and wait for the run."""
        before = await self.polled()
        answer = await self.http.post(PATH, headers={"Authorization": f"Bearer {self._token}"})
        assert answer.status_code == 200

        async def ran() -> bool:
            return await self.polled() != before

        await until(ran, "a poll")
        await self.settled()

    async def polled(self) -> str | None:
        """When the last run of the poll ended."""
        for item in await self.bus.direct_get("KV_reconciled", {"last_by_subj": "$KV.reconciled.encounters"}):
            found = json.loads(item.data).get("run")
            return str(found) if found else None
        return None

    async def rest(self, encounter: str) -> None:
        report = {"encounter_id": encounter, "occurred_at": TIMES["first"].isoformat()}
        headers = {"Authorization": f"Bearer {self._token}"}
        answer = await self.http.post("/v1/encounters/discharged", json=report, headers=headers)
        assert answer.status_code == 202, answer.text

    async def prepare(self, encounter: str) -> None:
        headers = {"Authorization": f"Bearer {self._token}"}
        path = "/v1/encounters/discharge-pending"
        answer = await self.http.post(path, json={"encounter_id": encounter}, headers=headers)
        assert answer.status_code == 202, answer.text

    async def engine(self, encounter: str) -> None:
        body = json.dumps({"encounter_id": encounter}).encode()
        await self.bus.publish(encounter_subject("discharged", "ward", encounter), body, stream="EHR")

    async def dead_letters(self) -> list[Any]:
        return await self.bus.direct_get("DEADLETTER", {"seq": 1, "next_by_subj": "deadletter.>", "batch": 1})


@asynccontextmanager
async def routes(
    nats: NatsServer, ehr: Sandbox, directory: Path, since: datetime | None = STARTED
) -> AsyncIterator[Routes]:
    await nats.provision()
    senders, subscriptions, secret, port = directory / "s.yaml", directory / "f.yaml", directory / "secret", free_port()
    senders.write_text(yaml.safe_dump({"senders": [SENDER | {"visit_system": "urn:visits"}]}))
    secret.write_bytes(SECRET)
    subscriptions.write_text(
        yaml.safe_dump({"subscriptions": [{"name": "clinic", "secret_files": [str(secret)], "numbered": False}]})
    )
    write_tokens(directory / "tokens.json", nats.secrets.tokens)
    settings = IngestSettings(
        nats_url=nats.url,
        nats_seed=SecretStr(nats.secrets.seeds["ingest"]),
        tokens_file=directory / "tokens.json",
        organization="test",
        hl7=Hl7Settings(port=port, senders=senders, connections=200),  # each message has its own
        fhir=FhirIntakeSettings(subscriptions=subscriptions, since=since),
    )
    app = create_app([build(settings, ehr=client(ehr))])
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(app.router.lifespan_context(app))
        bus = await nats.connect("ingest")
        stack.push_async_callback(bus.close)
        http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://countersign.test")
        stack.push_async_callback(http.aclose)
        yield Routes(bus, port, http, ehr, nats.secrets.tokens["ingest"])


def stay(ehr: Sandbox, number: str, *, status: str = "finished", end: datetime | None = None, **more: Any) -> str:
    """Another Encounter with that visit number; returns its id. `updated`: meta.lastUpdated, else now."""
    template = ehr.store.get("Encounter", stays()[0])
    assert template is not None
    id = f"enc-{number.lower()}"
    period = {"start": "2026-06-01T08:00:00Z"} | ({"end": end.isoformat()} if end is not None else {})
    known = ehr.store.get("Encounter", id)
    version = str(int(known["meta"]["versionId"]) + 1) if known is not None else "1"
    meta = {"versionId": version, "lastUpdated": more.get("updated", datetime.now(UTC)).isoformat()}
    identifier = [{"system": "urn:visits", "value": number}]
    ehr.store.put(template | {"id": id, "identifier": identifier, "status": status, "period": period, "meta": meta})
    return id


async def test_one_discharge_by_every_route_in_any_order_is_one_case(nats: NatsServer, tmp_path: Path) -> None:
    ehr, shuffle = sandbox(), random.Random(16)
    async with routes(nats, ehr, tmp_path) as all_routes:

        async def tell(number: str, encounter: str, ways: Iterable[Way]) -> None:
            for way in ways:
                await all_routes.discharge(way, number, encounter, shuffle.randrange(1, 9))

        async def poll(until_done: asyncio.Future[Any]) -> None:
            while not until_done.done():
                await all_routes.poll()

        ways: list[Way] = ["mllp", "rest", "engine", *NOTIFICATIONS, "mllp", "rest"]  # two of them are repeated
        told, encounters = list[Any](), list[str]()
        for number in range(6 * THOROUGH):
            encounters.append(stay(ehr, f"R-{number}", end=TIMES["first"]))
            order = shuffle.sample(ways, len(ways))
            # Each route alone opens it, too: the last ones are told by a single route, or by nobody but the poll.
            order = order if number % 6 < 4 else [shuffle.choice(ways)] if number % 6 == 4 else []
            told.append(tell(f"R-{number}", encounters[-1], order))
        telling = asyncio.gather(*told)
        await asyncio.gather(telling, poll(telling))  # it is polled for in between, and afterwards
        await all_routes.poll()
        for encounter in encounters:
            assert Counter(event.event for event in await all_routes.history(encounter)) == {"discharged": 1}, encounter
        assert await all_routes.dead_letters() == []


def orders(facts: tuple[str, ...], missing: str) -> list[tuple[str, ...]]:
    """Every order in which ADT messages and notifications of `facts` may arrive; the EHR itself changes in order.

    `missing`: the route, adt or ehr, that lags behind and has not told the last fact yet.
    """
    shown = tuple(f"ehr-{name}" for name in facts)
    sent = facts[:-1] if missing == "adt" else facts
    shown = shown[:-1] if missing == "ehr" else shown
    found = {
        order
        for order in itertools.permutations((*sent, *shown))
        if [name for name in order if name in shown] == list(shown)
    }
    return sorted(found)


@pytest.mark.parametrize(
    ("missing", "settles"), [("none", True), ("none", False), ("ehr", True), ("ehr", False), ("adt", True)]
)
@pytest.mark.parametrize("last", ["cancelled", "second"])
async def test_of_discharge_and_cancellation_by_adt_and_fhir_the_later_holds_in_every_order(
    nats: NatsServer, tmp_path: Path, last: str, missing: str, settles: bool
) -> None:
    facts = ("first", "cancelled") if last == "cancelled" else ("first", "cancelled", "second")
    chosen = orders(facts, missing)
    chosen = random.Random(13).sample(chosen, min(len(chosen), 30 * THOROUGH))
    ehr = sandbox()
    for number in range(len(chosen)):
        stay(ehr, f"O-{number}", status="in-progress", updated=datetime(2026, 6, 10, 6, tzinfo=UTC))
    async with routes(nats, ehr, tmp_path) as all_routes:

        async def step(number: int, name: str) -> None:
            fact = name.removeprefix("ehr-")
            if name == fact:
                assert await send_only(all_routes, ordered(f"O-{number}")[fact]) == "AA"
                return
            finished = fact != "cancelled"
            encounter = stay(
                ehr,
                f"O-{number}",
                status="finished" if finished else "in-progress",
                end=TIMES[fact] if finished else None,
                updated=TIMES[fact].replace(second=10),
            )
            await all_routes.notify(encounter, "put")

        if settles:  # each step for all stays, so that every step has its effect before the next one
            for position in range(len(chosen[0])):
                await asyncio.gather(*(step(number, order[position]) for number, order in enumerate(chosen)))
                await all_routes.settled()
        else:

            async def tell(number: int, order: tuple[str, ...]) -> None:
                for name in order:
                    await step(number, name)

            await asyncio.gather(*(tell(number, order) for number, order in enumerate(chosen)))
            await all_routes.settled()
        for number, order in enumerate(chosen):
            state = await all_routes.state(f"enc-o-{number}")
            assert state in (("withdrawn", None) if last == "cancelled" else ("drafting",)), order
        assert await all_routes.dead_letters() == []


async def test_the_edit_of_an_old_encounter_opens_no_case(nats: NatsServer, tmp_path: Path) -> None:
    ehr, now = sandbox(), datetime.now(UTC)
    async with routes(nats, ehr, tmp_path, since=None) as all_routes:
        old, recent = (stay(ehr, name, end=now - timedelta(days=days)) for name, days in (("L-1", 8), ("L-2", 6)))
        for encounter in (old, recent):
            await all_routes.notify(encounter)
        await all_routes.settled()
        assert await all_routes.history(old) == []
        assert [event.event for event in await all_routes.history(recent)] == ["discharged"]


async def test_a_stay_that_goes_on_stays_prepared_until_its_encounter_is_none(nats: NatsServer, tmp_path: Path) -> None:
    ehr = sandbox()
    async with routes(nats, ehr, tmp_path) as all_routes:
        encounter = stay(ehr, "P-1", status="in-progress")
        await all_routes.prepare(encounter)
        await all_routes.notify(encounter)
        await all_routes.settled()
        assert [event.event for event in await all_routes.history(encounter)] == ["preparation-requested"]
        cancelled = encounter_subject("discharge-cancelled", "*", encounter)
        assert not await all_routes.bus.direct_get("EHR", {"last_by_subj": cancelled})

        stay(ehr, "P-1", status="entered-in-error")
        await all_routes.notify(encounter)
        await all_routes.settled()
        events = [event.event for event in await all_routes.history(encounter)]
        assert events == ["preparation-requested", "preparation-ended"]


async def test_the_poll_finds_what_nobody_told_and_publishes_it_once(nats: NatsServer, tmp_path: Path) -> None:
    ehr, now = sandbox(), datetime.now(UTC)
    first, second = now - timedelta(hours=3), now - timedelta(hours=1)
    encounter, outpatient = stay(ehr, "P-1", end=first), stay(ehr, "P-2", end=first)
    found = ehr.store.get("Encounter", outpatient)
    assert found is not None
    ehr.store.put(found | {"class": {"code": "AMB"}})
    async with routes(nats, ehr, tmp_path, since=None) as all_routes:
        for _ in range(2):
            await all_routes.poll()
            assert [event.event for event in await all_routes.history(encounter)] == ["discharged"]
        assert await all_routes.history(outpatient) == []
        assert await all_routes.history(stays()[0]) == [], "it was discharged long before the first run"
        updates = [item async for page in _pages(all_routes.bus) for item in page]
        assert len(updates) == 1
        stay(ehr, "P-1", status="in-progress")
        await all_routes.poll()
        assert await all_routes.state(encounter) == "withdrawn"
        stay(ehr, "P-1", end=second)
        await all_routes.poll()
        assert await all_routes.state(encounter) == "drafting"


async def test_a_server_that_cannot_be_searched_by_time_is_asked_for_the_census(
    nats: NatsServer, tmp_path: Path
) -> None:
    ehr = sandbox(quirks=Quirks(keyed_encounter_search=True))
    admitted = [stay(ehr, f"C-{number}", status="in-progress") for number in range(3)]
    reported = stay(ehr, "C-9", end=TIMES["first"])  # no feed names it
    async with routes(nats, ehr, tmp_path) as all_routes:
        for event, number in zip(("A01", "A08", "A16"), range(3), strict=True):
            assert await send_only(all_routes, framed(event, PV1_19=f"C-{number}", PID_3="", PV1_45="")) == "AA"
        assert await send_only(all_routes, framed("A01", PV1_2="O", PV1_19="C-9", PID_3="")) == "AA"
        await all_routes.rest(reported)
        await all_routes.poll()
        assert [await all_routes.state(encounter) for encounter in admitted] == [None] * 3
        for number in (0, 1):
            stay(ehr, f"C-{number}", end=TIMES["first"])
        stay(ehr, "C-9", status="in-progress")
        await all_routes.poll()
        assert [await all_routes.state(item) for item in admitted] == ["drafting", "drafting", None]
        assert await all_routes.state(reported) == "withdrawn"
        assert await all_routes.dead_letters() == []


def _pages(bus: NatsConnection) -> AsyncIterator[list[Any]]:
    from shared.messaging.stream_pages import read_stream_pages

    return read_stream_pages(bus, "EHR", "ehr.encounter.updated.*")
