"""ADT messages over MLLP become cases: A13 against A03, and pending discharges, in every order."""

import asyncio
import itertools
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml
from pydantic import SecretStr

from cli.stack.ports import free_port
from sandbox_ehr.app import Sandbox
from services.ingest.encounters.visit_index import VisitIndex
from services.ingest.handlers import Ingest
from services.ingest.hl7.intake import Intake
from services.ingest.hl7.resolver import VisitResolver
from services.ingest.main import build
from services.ingest.publishers import EncounterPublisher, EncounterReport
from services.ingest.settings import IngestSettings
from services.ingest.stored_reports import ARRIVED
from shared.contracts.case import fold
from shared.contracts.errors import TransientError
from shared.contracts.retry import FHIR_LAG
from shared.contracts.subjects import case_id, visit_subject
from shared.contracts.visits import visit_token
from shared.hl7.mllp import Deframer, Frame
from shared.messaging import topology
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import EventStore
from shared.messaging.stream_pages import read_stream_pages
from shared.runtime.service import running
from shared.runtime.settings import Hl7Settings
from tests.support.ehr import client, sandbox, stays
from tests.support.hl7 import NOW, framed, received, sender
from tests.support.server import NatsServer
from tests.support.stack import until

pytestmark = [pytest.mark.connected, pytest.mark.timeout(240)]
CONSUMERS = ("ingest-visits", "ingest-discharged", "ingest-cancelled", "ingest-pending")
SENDER = {"name": "engine", "zone": "America/Chicago", "peers": ["127.0.0.1"]}


class Feed:
    """Ingest with a listener, and what came of what was sent to it."""

    def __init__(self, bus: NatsConnection, port: int) -> None:
        self.bus, self.port = bus, port
        self._cases = EventStore(bus, "ingest")

    async def exchange(self, pieces: Sequence[bytes], answers: int) -> list[bytes]:
        """The contents of the answers to `pieces`, each written alone, on a connection of their own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        found, deframer = list[bytes](), Deframer()
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
        async with asyncio.timeout(30):
            while len(found) < answers and (said := await reader.read(65_536)):
                found += [item.content for item in deframer.feed(said) if isinstance(item, Frame)]
            writer.write_eof()
            rest = await reader.read()  # an answer that nobody expected would be here
        found += [item.content for item in deframer.feed(rest) if isinstance(item, Frame)]
        writer.close()
        await self.settled()
        return found

    async def send(self, data: bytes, answers: int = 1) -> list[str]:
        """MSA-1 of the answers to `data`, sent on a connection of its own."""
        return [content.split(b"\rMSA")[1][1:3].decode() for content in await self.exchange([data], answers)]

    async def settled(self, consumers: Sequence[str] = CONSUMERS) -> None:
        """Wait until everything that was stored has been worked on."""

        async def idle() -> bool:
            return all([await self._is_idle(name) for name in consumers])

        await until(idle, "ingest to settle", patience=100)

    async def _is_idle(self, name: str) -> bool:
        """Whether a consumer has nothing to do. A server counts a message as pending only after it has stored it."""
        info = await self.bus.consumer_info("EHR", name)
        subjects = next(item.subjects for item in topology.CONSUMERS if item.name == name)
        last = [item for filter in subjects for item in await self.bus.direct_get("EHR", {"last_by_subj": filter})]
        stored = max((int((item.headers or {})["Nats-Sequence"]) for item in last), default=0)
        waiting = info["num_pending"] or info["num_ack_pending"]
        return not waiting and int(info["delivered"]["stream_seq"]) >= stored

    async def history(self, encounter: str) -> list[Any]:
        return [event.body for event in await self._cases.find(case_id("test", encounter))]

    async def state(self, encounter: str) -> str | None:
        case = fold(await self._cases.find(case_id("test", encounter)))
        return case.state if case.exists else None

    async def department(self, encounter: str) -> str:
        return (await self._cases.find(case_id("test", encounter)))[0].case.department


@asynccontextmanager
async def feed(nats: NatsServer, ehr: Sandbox, settings_of: dict[str, Any], directory: Path) -> AsyncIterator[Feed]:
    await nats.provision()
    file, port = directory / "senders.yaml", free_port()
    file.write_text(yaml.safe_dump({"senders": [settings_of]}))
    settings = IngestSettings(
        nats_url=nats.url,
        nats_seed=SecretStr(nats.secrets.seeds["ingest"]),
        tokens_file=directory / "tokens.json",
        organization="test",
        hl7=Hl7Settings(port=port, senders=file),
    )
    (directory / "tokens.json").write_text('{"tokens": []}')
    async with running(build(settings, ehr=client(ehr))) as bus:
        yield Feed(bus, port)


async def alerts(nats: NatsServer) -> list[tuple[str, dict[str, Any]]]:
    bus = await nats.connect("operator")
    try:
        found = [message async for page in read_stream_pages(bus, "ALERTS", "alert.>") for message in page]
        return [((item.headers or {})["Nats-Subject"], json.loads(item.data)) for item in found]
    finally:
        await bus.close()


def ordered(encounter: str, **fields: str) -> dict[str, bytes]:
    """Four facts about a stay in the order of their times, each on its day of June: the last one is the day's end."""
    times = {"first": "20260610080000", "cancelled": "20260610090000", "second": "20260610100000"}
    return {
        name: framed(
            "A13" if name == "cancelled" else "A03", PV1_19=encounter, EVN_2=time, PV1_45="", PID_3="", **fields
        )
        for name, time in times.items()
    }


@pytest.mark.parametrize("last", ["cancelled", "second"])
async def test_a13_against_a03_in_every_order_the_later_event_holds(
    nats: NatsServer, tmp_path: Path, last: str
) -> None:
    names = ("first", "cancelled", "second")[: 2 if last == "cancelled" else 3]
    orders = list(itertools.permutations(names))
    ehr = sandbox()
    encounters = [visit(ehr, f"V-{number}") for number in range(len(orders))]
    async with feed(nats, ehr, SENDER, tmp_path) as adt_feed:

        async def tell(number: int, order: tuple[str, ...]) -> None:
            facts = ordered(f"V-{number}")
            for name in order:  # the next one is sent while this one is being resolved
                assert await send_only(adt_feed, facts[name]) == "AA"
            assert await send_only(adt_feed, facts[order[0]]) == "AA"  # resent

        await asyncio.gather(*(tell(number, order) for number, order in enumerate(orders)))
        await adt_feed.settled()
        for encounter, order in zip(encounters, orders, strict=True):
            state = await adt_feed.state(encounter)
            assert state in (("withdrawn", None) if last == "cancelled" else ("drafting",)), order
        dead = await adt_feed.bus.direct_get("DEADLETTER", {"seq": 1, "next_by_subj": "deadletter.>", "batch": 1})
        assert dead == []


@pytest.mark.parametrize("last", ["discharged", "not-pending", "pending"])
async def test_pending_discharges_in_every_order_the_later_event_holds(
    nats: NatsServer, tmp_path: Path, last: str
) -> None:
    minutes = {"pending": "A16", "not-pending": "A25", "discharged": "A03"}
    others = [name for name in minutes if name != last]
    events = [*((name, minutes[name]) for name in others), (last, minutes[last])]
    at = {name: f"2026062604{10 + minute}00" for minute, (name, _) in enumerate(events)}
    orders = list(itertools.permutations(at))
    ehr = sandbox()
    encounters = [visit(ehr, f"V-{number}") for number in range(len(orders))]
    async with feed(nats, ehr, SENDER | {"prepare_on_pending": True}, tmp_path) as adt_feed:

        async def tell(number: int, order: tuple[str, ...]) -> None:
            for name in (*order, order[0]):  # the first is sent again
                fields = {"PV1_19": f"V-{number}", "PID_3": "", "EVN_2": at[name], "PV1_45": ""}
                assert await send_only(adt_feed, framed(MSH_9=f"ADT^{minutes[name]}", **fields)) == "AA"

        await asyncio.gather(*(tell(number, order) for number, order in enumerate(orders)))
        await adt_feed.settled()
        for encounter, order in zip(encounters, orders, strict=True):
            state = await adt_feed.state(encounter)
            # A discharge holds whatever is said of one that is pending.
            assert state == "drafting", order
        dead = await adt_feed.bus.direct_get("DEADLETTER", {"seq": 1, "next_by_subj": "deadletter.>", "batch": 1})
        assert dead == []


async def test_of_a_pending_discharge_and_its_cancellation_the_later_holds(nats: NatsServer, tmp_path: Path) -> None:
    ehr = sandbox()
    facts = {"A16": "20260626041000", "A25": "20260626041100", "A16-again": "20260626041200"}
    orders = list(itertools.permutations(["A16", "A25"])) + list(itertools.permutations(facts))
    encounters = [visit(ehr, f"V-{number}") for number in range(len(orders))]
    async with feed(nats, ehr, SENDER | {"prepare_on_pending": True}, tmp_path) as adt_feed:

        async def tell(number: int, order: tuple[str, ...]) -> None:
            for name in (*order, order[0]):
                fields = {"PV1_19": f"V-{number}", "PID_3": "", "EVN_2": facts[name], "PV1_45": ""}
                assert await send_only(adt_feed, framed(MSH_9=f"ADT^{name[:3]}", **fields)) == "AA"

        await asyncio.gather(*(tell(number, order) for number, order in enumerate(orders)))
        await adt_feed.settled()
        for encounter, order in zip(encounters, orders, strict=True):
            state = await adt_feed.state(encounter)
            assert state in (("preparing",) if "A16-again" in order else ("withdrawn", None)), order


async def send_only(of: Feed, data: bytes) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", of.port)
    writer.write(data)
    said = await asyncio.wait_for(reader.readuntil(b"\x1c"), 30)
    writer.close()
    return said.split(b"\rMSA")[1][1:3].decode()


def visit(ehr: Sandbox, number: str) -> str:
    """Another Encounter with that visit number; returns its id."""
    template = ehr.store.get("Encounter", stays()[0])
    assert template is not None
    id = f"enc-{number.lower()}"
    ehr.store.put(template | {"id": id, "identifier": [{"system": "urn:visits", "value": number}]})
    return id


async def test_an_encounter_that_fhir_learns_of_later_is_waited_for(nats: NatsServer, tmp_path: Path) -> None:
    """Each attempt fails as one that another may mend, by a policy that goes on for a day."""
    ehr = sandbox()
    await nats.provision()
    bus = await nats.connect("ingest")
    resolver = VisitResolver(
        bus, client(ehr), EncounterPublisher(bus, "general", lambda: "unused", lambda: NOW), "test"
    )
    (outcome,) = received(framed(PV1_19="LATE", PID_3=""), sender())
    fact = outcome.assessment.fact
    assert fact is not None
    await Intake(bus, lambda: NOW, VisitIndex(bus)).store(outcome)
    message = cast(
        Any, SimpleNamespace(subject=visit_subject("a03", visit_token("LATE")), data=fact.model_dump_json().encode())
    )
    with pytest.raises(TransientError, match="does not know the visit yet"):
        await resolver.on_visit(message)
    visit(ehr, "LATE")
    await resolver.on_visit(message)
    await resolver.on_visit(message)  # delivered again
    found = [item async for page in read_stream_pages(bus, "EHR", "ehr.encounter.discharged.>") for item in page]
    assert [(item.headers or {})["Nats-Subject"] for item in found] == [
        "ehr.encounter.discharged.internal-medicine.enc-late"
    ]
    (arrived,) = [item async for page in read_stream_pages(bus, "EHR", "ehr.visit.>") for item in page]
    assert (found[0].headers or {})[ARRIVED] == (arrived.headers or {})["Nats-Sequence"]
    waits = [FHIR_LAG.wait(attempt) for attempt in range(1, FHIR_LAG.max_attempts or 0)]
    assert 24 * 3600 < sum(waits) < 26 * 3600
    await bus.close()


async def test_one_discharge_by_adt_and_by_rest_is_one_case(nats: NatsServer, tmp_path: Path) -> None:
    ehr = sandbox()
    times = [datetime.fromisoformat("2026-06-10T13:00:00Z"), datetime.fromisoformat("2026-06-10T15:00:00Z")]
    async with feed(nats, ehr, SENDER, tmp_path) as adt_feed:
        count = itertools.count()
        rest = EncounterPublisher(adt_feed.bus, "general", lambda: f"rest-{next(count)}", lambda: times[1])
        ingest = Ingest(adt_feed.bus, "test", lambda: times[1])

        async def by_rest(encounter: str) -> None:
            report = EncounterReport(encounter_id=encounter, occurred_at=times[0])
            stored = await rest.publish("discharged", report)
            await ingest.open(stored.report.fact, stored.id, stored)

        first, second = visit(ehr, "R-1"), visit(ehr, "R-2")
        await by_rest(first)
        await adt_feed.send(ordered("R-1")["first"])
        await adt_feed.send(ordered("R-2")["first"])
        await by_rest(second)
        for encounter, number in ((first, "R-1"), (second, "R-2")):
            assert Counter(event.event for event in await adt_feed.history(encounter)) == {"discharged": 1}
            await adt_feed.send(ordered(number)["cancelled"])
            assert await adt_feed.state(encounter) == "withdrawn"
            await by_rest(encounter)  # the same discharge, told late
            await adt_feed.settled()
            assert await adt_feed.state(encounter) == "withdrawn"
            await adt_feed.send(ordered(number)["second"])
            assert await adt_feed.state(encounter) == "drafting"


async def test_a_message_that_is_not_stored_is_not_answered(nats: NatsServer, tmp_path: Path) -> None:
    ehr = sandbox()
    encounter = visit(ehr, "DOWN")
    async with feed(nats, ehr, SENDER, tmp_path) as adt_feed:
        nats.kill()
        reader, writer = await asyncio.open_connection("127.0.0.1", adt_feed.port)
        writer.write(framed(PV1_19="DOWN", PID_3=""))
        assert await asyncio.wait_for(reader.read(), 30) == b""  # closed
        writer.close()
        nats.start()

        async def accepted() -> bool:
            try:
                return await send_only(adt_feed, framed(PV1_19="DOWN", PID_3="")) == "AA"
            except asyncio.IncompleteReadError:
                return False

        await until(accepted, "an answer after the bus is back")
        await until(lambda: adt_feed.state(encounter), "the case")
        assert [event.event for event in await adt_feed.history(encounter)] == ["discharged"]
