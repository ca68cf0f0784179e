"""Three servers, every message kept thrice: one is killed in the middle of the work, and nothing is lost."""

import asyncio
import json
import socket
import ssl
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.audit import verify_stored
from cli.stack.certificates import CERTIFICATE, KEY
from sandbox_ehr.app import Sandbox
from sandbox_ehr.seed import load_bundle
from sandbox_ehr.store import Store
from services.approval.dependencies import ApiDependencies
from services.approval.health.broker import broker_findings
from services.approval.system.service import SystemService
from shared.contracts.envelope import CHAIN_START
from shared.contracts.errors import PermanentError
from shared.messaging.connection import connect
from shared.messaging.event_store import EventStore
from shared.messaging.placement import read_placement
from shared.messaging.provision import StreamStorage
from tests.support.cluster import NatsCluster
from tests.support.ehr import client
from tests.support.examples import CASE, T0, event
from tests.support.patients import write_stays
from tests.support.server import certified
from tests.support.stack import Stack, running, until

pytestmark = [
    pytest.mark.connected,
    pytest.mark.cluster,
    pytest.mark.timeout(180),
    pytest.mark.xdist_group("processor"),
]

CASES = 40
KILLED_AFTER = 12  # cases; the others come while there is no leader, and after
EU = (("region:eu",), ("region:eu",), ("region:us",))


@pytest.fixture
def make_cluster(tmp_path: Path) -> Iterator[Callable[..., NatsCluster]]:
    made: list[NatsCluster] = []

    def make(tags: tuple[tuple[str, ...], ...] = ((), (), ())) -> NatsCluster:
        made.append(NatsCluster(tmp_path, tags))
        made[0].start()
        return made[0]

    yield make
    for cluster in made:
        cluster.stop()


async def leader(cluster: NatsCluster, stream: str) -> str:
    bus = await cluster.connect("admin")
    info = await bus.jetstream.stream_info(stream)
    await bus.close()
    assert info.cluster is not None
    return str(info.cluster.leader)


async def sign_everything(stack: Stack) -> None:
    while True:
        with suppress(httpx.HTTPError, KeyError, AssertionError):  # no leader just now: a problem, no list
            for item in (await stack.call("physician", "GET", "/v1/reviews?limit=50")).json()["items"]:
                await stack.decide(item["case_id"], "approve")
        await asyncio.sleep(0.05)


async def discharge(stack: Stack, encounter: str) -> None:
    """Report it until it is taken, as any sender does."""
    sent = {"encounter_id": encounter, "department": "ward"}

    async def taken() -> bool:
        return (await stack.call("ingest", "POST", "/v1/encounters/discharged", json=sent)).status_code == 202

    await until(taken, f"the discharge of {encounter} to be taken")


async def test_a_leader_killed_under_load_loses_nothing(
    make_cluster: Callable[..., NatsCluster], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    cluster = make_cluster()
    await cluster.provision()
    store = Store()
    (tmp_path / "stays").mkdir()
    encounters = write_stays(tmp_path / "stays", CASES)
    for file in (tmp_path / "stays").glob("stay-*.json"):
        load_bundle(store, json.loads(file.read_text()))
    async with running(cluster, Sandbox(store)) as stack:
        signing = asyncio.create_task(sign_everything(stack))
        for number, encounter in enumerate(encounters):
            if number == KILLED_AFTER:
                cluster.kill(await leader(cluster, "DISCHARGE"))
            await discharge(stack, encounter)
        bus = await cluster.connect("auditor")
        journal = EventStore(bus, "auditor")

        async def all_filed() -> bool:
            return len(await journal.stored("discharge.*.*.filed")) == CASES

        await until(all_filed, "every case to be filed", patience=90)
        signing.cancel()
        cluster.start()  # the node is back and catches up
        report = await verify_stored(await journal.stored("discharge.>"), client(stack.ehr))
        history, _ = await journal.recent(10_000)
        await bus.close()
        documents = [item for item in stack.in_chart("DocumentReference") if item["status"] == "current"]
    assert report.verified, report.faults[:3]
    assert Counter(item.name for item in history)["filed"] == CASES
    assert len({item["identifier"][0]["value"] for item in documents}) == len(documents) == CASES
    times = sorted(item.time for item in history)
    pause = max((later - earlier).total_seconds() for earlier, later in pairwise(times))
    record_property("longest pause between two events, s", pause)
    print(f"longest pause between two events: {pause:.2f} s")


async def test_a_repeated_append_is_found_whatever_the_cluster_answers(
    make_cluster: Callable[..., NatsCluster],
) -> None:
    cluster = make_cluster()
    await cluster.provision()
    bus = await cluster.connect("ingest")
    journal = EventStore(bus, "ingest")
    heads = [await journal.append(CASE, event("discharged"), after=CHAIN_START, id="e-1", time=T0) for _ in range(3)]
    await bus.close()
    assert len(set(heads)) == 1


async def test_only_who_shows_a_certificate_of_the_ca_is_let_in_between(
    make_cluster: Callable[..., NatsCluster], tmp_path: Path
) -> None:
    """And clients are told no other addresses than those that they have: no certificate names them."""
    cluster = make_cluster()
    one = cluster.url.split(",")[0]
    bus = await connect(one, "admin", cluster.secrets.seeds["admin"], ca_file=cluster.ca_file)
    assert bus.client.discovered_servers == []
    await bus.close()
    (tmp_path / "stranger").mkdir()
    stranger = certified(tmp_path / "stranger")

    def heard(certificate: Path | None, key: Path | None) -> bytes:
        context = ssl.create_default_context(cafile=cluster.ca_file)
        if certificate is not None:
            context.load_cert_chain(certificate, key)
        address = ("127.0.0.1", cluster.between[0])
        with (
            socket.create_connection(address, 10) as plain,
            context.wrap_socket(plain, server_hostname=address[0]) as s,
        ):
            return s.recv(5)

    assert await asyncio.to_thread(heard, tmp_path / CERTIFICATE, tmp_path / KEY) == b"INFO "
    for pair in ((None, None), (stranger.certificate, stranger.key)):
        with pytest.raises((ssl.SSLError, ConnectionResetError)):
            await asyncio.to_thread(heard, *pair)


async def test_streams_stay_where_the_law_wants_them(make_cluster: Callable[..., NatsCluster]) -> None:
    cluster = make_cluster(EU)
    at_home = StreamStorage(2, read_placement("region:eu"))
    await cluster.provision(at_home)
    assert {change.action for change in await cluster.provision(at_home)} == {"unchanged"}
    bus = await cluster.connect("admin")
    for stream in ("DISCHARGE", "KV_artifacts"):
        info = await bus.jetstream.stream_info(stream)
        assert info.cluster is not None
        places = {str(info.cluster.leader), *(str(peer.name) for peer in info.cluster.replicas or [])}
        assert places == {"node-0", "node-1"}
    await bus.close()
    with pytest.raises(PermanentError, match="no 3 servers carry the tags region:eu"):
        await cluster.provision(StreamStorage(3, read_placement("region:eu")))


async def test_the_topology_of_a_cluster_is_what_the_leaders_report(make_cluster: Callable[..., NatsCluster]) -> None:
    cluster = make_cluster()
    await cluster.provision()
    async with running(cluster, Sandbox(Store())) as stack:
        provided = stack.app.state.provided
        bus = await cluster.connect("approval")

        async def servers(_: str) -> list[str]:  # on one machine they differ by their ports
            return cluster.monitors

        system = SystemService(bus, cluster.monitors[0], None, servers)
        provided[ApiDependencies] = replace(provided[ApiDependencies], system=system)

        async def topology() -> dict[str, Any]:
            answer = await stack.call("auditor", "GET", "/v1/topology")
            return dict(answer.json()) if answer.status_code == 200 else {}

        async def led() -> bool:
            return "unknown" not in {
                item["state"] for item in (await topology()).get("consumers", [{"state": "unknown"}])
            }

        await until(led, "every consumer to have a leader that reports")
        shown = await topology()
        assert {item["name"] for item in shown["servers"]} == {"node-0", "node-1", "node-2"}
        assert {item["name"] for item in shown["consumers"] if item["service"] == "approval"} == {
            item["name"] for item in shown["consumers"] if item["service"] == "approval" and item["workers_waiting"]
        }
        found = broker_findings(await system.broker(), datetime.now(UTC))
        assert {item.level for item in found if item.group in ("streams", "server node-0")} == {"ok"}, found
        cluster.kill("node-2")

        async def two_report() -> bool:
            return len((await topology()).get("servers", [])) == 2

        await until(two_report, "the others to report")

        async def behind() -> set[str]:
            status = await system.broker()
            return {item.what for item in broker_findings(status, datetime.now(UTC)) if item.level == "warning"}

        async def named() -> bool:
            return {"cluster", "server node-2"} <= await behind()

        await until(named, "the checks to name the server that is gone")
        await bus.close()
