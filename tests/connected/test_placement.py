"""A backup and a cluster of three: there and back, on the servers that a stream may be on, killed in the middle."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from cli.audit import verify_stored
from cli.backup import run as backup_run
from shared.contracts.errors import PermanentError
from shared.messaging import snapshots
from shared.messaging.placement import read_placement
from shared.messaging.provision import StreamStorage, stream_configs
from shared.messaging.replica_status import ReplicaStatus, copies
from shared.messaging.topology import all_consumers
from tests.support.backup import as_user, back_up, restore_backup, set_environment, timers
from tests.support.cluster import NatsCluster
from tests.support.ehr import client, sandbox, stays
from tests.support.physician import approval_body
from tests.support.server import NatsServer
from tests.support.stack import Stack, running, until

pytestmark = [
    pytest.mark.connected,
    pytest.mark.cluster,
    pytest.mark.timeout(360),
    pytest.mark.xdist_group("processor"),
]

EVERY = {str(item.name) for item in stream_configs(StreamStorage())}
WORM = {"node-1", "node-2"}
MIXED = (("region:eu",), ("region:eu", "storage:worm"), ("storage:worm",))


@pytest.fixture
def three(tmp_path: Path) -> Iterator[Callable[..., NatsCluster]]:
    """Makes a cluster beside the other servers of the test."""
    made: list[NatsCluster] = []

    def make(tags: tuple[tuple[str, ...], ...] = ((), (), ())) -> NatsCluster:
        (tmp_path / "three").mkdir()
        made.append(NatsCluster(tmp_path / "three", tags))
        made[0].start()
        return made[0]

    yield make
    for cluster in made:
        cluster.stop()


async def look(server: NatsServer | NatsCluster) -> dict[str, ReplicaStatus]:
    async with as_user(server, "admin") as bus:
        return {item.stream: item for item in map(copies, await bus.jetstream.streams_info())}


async def position(server: NatsServer | NatsCluster) -> snapshots.Position | None:
    async with as_user(server, "admin") as bus:
        return await snapshots.position(bus, "EHR", "ingest-discharged")


async def chains_hold(stack: Stack) -> bool:
    bus, journal = await stack.journal()
    report = await verify_stored(await journal.stored("discharge.>"), client(stack.ehr))
    await bus.close()
    return report.verified


async def report(server: NatsServer, *encounters: str) -> None:
    """Discharges that come while no service runs."""
    async with as_user(server, "ingest") as bus:
        for id in encounters:
            body = f'{{"encounter_id": "{id}"}}'.encode()
            await bus.publish(f"ehr.encounter.discharged.internal-medicine.{id}", body, stream="EHR")


async def test_a_backup_goes_into_a_cluster_and_back_and_the_work_goes_on(
    nats: NatsServer,
    empty: NatsServer,
    three: Callable[..., NatsCluster],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    await nats.provision()
    ehr = sandbox()
    first, second, third = stays(ehr.style)[:3]
    async with running(nats, ehr) as stack:
        filed = await stack.discharge(first)
        await stack.reaches(filed, "awaiting-review")
        await stack.decide(filed, "approve")
        await stack.reaches(filed, "filed")
        waiting = await stack.discharge(second)
        await stack.reaches(waiting, "awaiting-review")
    async with as_user(nats, "drafter") as bus:
        await bus.publish("deadletter.drafter.drafter-draft", b"{}", stream="DEADLETTER")
    await report(nats, first, second, first, third)  # two are known already; one is new
    async with as_user(nats, "ingest") as bus:
        subscription = await bus.jetstream.pull_subscribe_bind("ingest-discharged", "EHR")
        known, _, again = await subscription.fetch(3)
        await known.ack_sync()
        await again.ack_sync()  # the one between them is being worked on; the last has not been delivered
    await back_up(nats, tmp_path / "backup")
    due, stood = await timers(nats, waiting), await position(nats)
    nats.kill()

    cluster = three()
    with monkeypatch.context() as patch:
        set_environment(patch, cluster, "admin")
        patch.setenv("COUNTERSIGN_NATS_REPLICAS", "3")
        done = await backup_run.restore(tmp_path / "backup", None, None, replace=False)
    assert (done.cases, done.events, done.points, done.timers, done.broken) == (2, 10, 1, 1, 0)
    found = await look(cluster)
    assert found.keys() == EVERY
    assert {(item.wanted, len(item.servers), item.behind) for item in found.values()} == {(3, 3, ())}
    assert await position(cluster) == stood
    assert [item["countersign-due"] for item in await timers(cluster, waiting)] == [
        item["countersign-due"] for item in due
    ]
    async with as_user(cluster, "admin") as bus:
        assert (await bus.jetstream.stream_info("DEADLETTER")).state.messages == 1
    async with running(cluster, ehr) as stack:
        assert await chains_hold(stack)
        await until(cluster.caught_up, "every server to have a copy of what was restored", patience=30)
        cluster.kill(found["DISCHARGE"].servers[0])  # its leader
        await sign_until_filed(stack, waiting)
        await until(lambda: others(stack, waiting), "the third discharge to be drafted")
        assert await chains_hold(stack)

    cluster.start()
    await back_up(cluster, tmp_path / "back")
    done = await restore_backup(empty, tmp_path / "back")
    assert (done.cases, done.timers) == (3, 1)
    assert {(item.wanted, item.servers) for item in (await look(empty)).values()} == {(1, ("",))}
    async with running(empty, ehr) as stack:
        assert (await stack.case(waiting))["state"] == "filed"
        assert await chains_hold(stack)


async def sign_until_filed(stack: Stack, case_id: str) -> None:
    """As a physician does whose page says "try again": an answer that was lost may have been a signature."""

    async def filed() -> bool:
        shown = await stack.call("physician", "GET", f"/v1/reviews/{case_id}")
        if shown.status_code == 200:
            draft = shown.json()["draft"]
            seen = {"If-Match": f'"{draft["digest"]}"'}
            path = f"/v1/reviews/{case_id}/approve"
            await stack.call("physician", "POST", path, headers=seen, json=approval_body(draft))
        case = await stack.call("auditor", "GET", f"/v1/cases/{case_id}")
        return case.status_code == 200 and case.json()["state"] == "filed"

    await until(filed, f"{case_id} to be signed and filed", patience=150)  # elections take their time


async def others(stack: Stack, case_id: str) -> list[str]:
    """Cases under review beside this one."""
    listed = (await stack.call("physician", "GET", "/v1/reviews")).json().get("items", ())
    return [item["case_id"] for item in listed if item["case_id"] != case_id]


class Killed(Exception):
    pass


async def test_a_restore_keeps_to_the_tagged_servers_however_often_it_is_killed(
    nats: NatsServer, three: Callable[..., NatsCluster], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "backup"
    await nats.provision()
    async with running(nats, sandbox()) as stack:
        await stack.reaches(await stack.discharge(), "awaiting-review")
    await report(nats, *stays()[1:4])
    await back_up(nats, folder)
    stood = await position(nats)
    nats.kill()
    cluster = three((("region:eu",), ("region:eu",), ("region:us",)))
    elsewhere = cluster.directory / "nats-2" / "jetstream"
    kill_at = "replicas"

    def tell(what: str, _done: int, _total: int | None) -> None:
        """Neither a stream nor the log of one, which has all of its messages too."""
        assert [path for path in elsewhere.glob("*/streams/*") if path.parent.parent.name != "$SYS"] == []
        assert {path.name for path in elsewhere.glob("$SYS/_js_/*")} <= {"_meta_"}
        if what.startswith(kill_at):
            raise Killed

    storage = StreamStorage(2, read_placement("region:eu"))
    for number, wrong in enumerate((StreamStorage(3, storage.tags), StreamStorage(1, read_placement("region:mars")))):
        with pytest.raises(PermanentError, match=r"no \d servers carry the tags region:"):
            await restore_backup(cluster, folder, tell, storage=wrong)
        assert await look(cluster) == {}, number
    with monkeypatch.context() as patch:
        patch.setattr(snapshots, "_send_chunk", after(snapshots._send_chunk, 8))
        with pytest.raises(Killed):
            await restore_backup(cluster, folder, tell, storage=storage)
    with pytest.raises(Killed):
        await restore_backup(cluster, folder, tell, storage=storage)
    kill_at = "nothing"
    assert (await restore_backup(cluster, folder, tell, storage=storage)).cases == 1
    found = await look(cluster)
    assert found.keys() == EVERY
    assert {frozenset(item.servers) for item in found.values()} == {frozenset({"node-0", "node-1"})}
    assert {item.behind for item in found.values()} == {()}
    assert await position(cluster) == stood


async def test_a_stream_is_back_when_its_consumers_are(nats: NatsServer, three: Callable[..., NatsCluster]) -> None:
    await nats.provision()
    chunks: list[bytes] = []
    async with as_user(nats, "backup") as bus:
        described = await snapshots.snapshot(bus, "EHR", chunks.append)
    async with as_user(three(), "admin") as bus:
        config = described.config | {"num_replicas": 3}
        await snapshots.restore(bus, snapshots.StreamSnapshot(config, described.state), chunks)
        names = (await snapshots.call(bus, "$JS.API.CONSUMER.NAMES.EHR", b""))["consumers"]
    assert set(names) == {item.name for item in all_consumers() if item.stream == "EHR"}


def after(call: Callable[..., object], times: int) -> Callable[..., object]:
    """`call`, which dies after a few: in the middle of a stream's chunks."""
    calls = iter(range(times))

    async def dying(*arguments: object) -> object:
        if next(calls, None) is None:
            raise Killed
        return await call(*arguments)  # type: ignore[misc]

    return dying


async def test_streams_move_to_other_servers_while_cases_go_on(three: Callable[..., NatsCluster]) -> None:
    cluster = three(MIXED)
    at_home = StreamStorage(2, read_placement("region:eu"))
    apart = StreamStorage(
        2, read_placement("region:eu DISCHARGE=* DISCHARGE=storage:worm KV_artifacts=* KV_artifacts=storage:worm")
    )
    await cluster.provision(at_home)
    ehr = sandbox()
    async with running(cluster, ehr) as stack:

        async def accepted(encounter: str) -> str:
            # While a stream moves, or has a new leader, a message may not be stored yet: 503 asks to send it again.
            sent = {"encounter_id": encounter, "department": "internal-medicine"}
            response = await stack.call("ingest", "POST", "/v1/encounters/discharged", json=sent)
            assert response.status_code in (202, 503), response.text
            return str(response.json().get("case_id", ""))

        first, second = stays(ehr.style)[:2]
        waiting = await until(lambda: accepted(first), "the first discharge to be accepted")
        await stack.reaches(waiting, "awaiting-review")
        with pytest.raises(
            PermanentError, match="no 2 servers carry the tags region:eu, storage:worm: stream DISCHARGE"
        ):
            await cluster.provision(StreamStorage(2, read_placement("region:eu,DISCHARGE=storage:worm")))
        changed = {item.what for item in await cluster.provision(apart) if item.action == "updated"}
        assert changed == {"stream DISCHARGE", "stream KV_artifacts"}
        later = await until(lambda: accepted(second), "the discharge to be accepted")

        async def arrived() -> bool:
            found = await look(cluster)
            if found.keys() != EVERY:  # one that has no leader just now is not listed
                return False
            servers = {name: set(item.servers) for name, item in found.items()}
            moved = servers.pop("DISCHARGE"), servers.pop("KV_artifacts")
            assert all(where <= {"node-0", "node-1"} for where in servers.values())
            return moved == (WORM, WORM) and all(item.whole for item in found.values())

        await until(arrived, "the streams to be where they are to be")

        async def gone() -> bool:  # the server that it left removes its files a moment later
            return not list((cluster.directory / "nats-0" / "jetstream").glob("*/streams/DISCHARGE"))

        await until(gone, "the files of the stream to go from where it was")
        await sign_until_filed(stack, waiting)
        await stack.reaches(later, "awaiting-review")
        assert await chains_hold(stack)
