"""A backup of a stack at work, put back into an empty one: nothing is lost or done twice, every chain holds."""

import json
import os
import stat
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from cli import backups
from cli.audit import verify_stored
from cli.backup import files, manifest
from cli.backup.make import Wanted, make
from cli.backup.manifest import MANIFEST, Manifest
from cli.backup.restore import Restored, Target, restore
from cli.backup.sealing import FRAME, TAG, open_seal
from cli.backup.vectors import FromBase
from cli.doctor.place import find_place
from cli.doctor.run import examine
from cli.errors import CommandError
from shared.contracts.failures import Failure
from shared.contracts.knowledge import Chunk
from shared.knowledge.base import Embedded
from shared.knowledge.edge import EdgeBase
from shared.messaging import snapshots
from shared.messaging.connection import Bus
from shared.messaging.topology import SERVICES
from tests.support.ehr import client, sandbox, stays
from tests.support.server import NatsServer
from tests.support.stack import Stack, running, until

pytestmark = pytest.mark.connected

COLLECTION = "knowledge-embedder"
Tell = Callable[[str, int, int | None], None]


def silent(_what: str, _done: int, _total: int | None) -> None: ...


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[NatsServer]:
    """Another server with another key, on which nothing has ever been."""
    directory = tmp_path / "empty"
    directory.mkdir()
    server = NatsServer(directory)
    server.start()
    yield server
    server.kill()


@asynccontextmanager
async def as_user(server: NatsServer, user: str) -> AsyncIterator[Bus]:
    bus = await server.connect(user)
    yield bus
    await bus.close()


async def knowledge(folder: Path) -> EdgeBase:
    base = EdgeBase(folder)
    await base.prepare(COLLECTION, 4)
    chunk = Chunk(id="c1", source="s", document="d.md", title="t", text="weigh every morning")
    await base.upsert(COLLECTION, [Embedded(chunk, (1.0, 0.0, 0.0, 0.0), 1)])
    return base


async def back_up(server: NatsServer, folder: Path, tell: Tell = silent, recipient: Path | None = None) -> Manifest:
    base = await knowledge(folder.parent / "vectors")
    async with as_user(server, "backup") as bus:
        wanted = Wanted(folder, bus, FromBase(base), f"backup-{folder.name}", datetime.now(UTC), recipient)
        made = await make(wanted, tell)
    await base.close()
    return made


async def put_back(server: NatsServer, folder: Path, tell: Tell = silent, *, replace: bool = False) -> Restored:
    found = manifest.read(folder)
    files.check(folder, found, tell)
    base = EdgeBase(server.directory / "qdrant")
    async with as_user(server, "admin") as bus:
        done = await restore(folder, found, None, Target(bus, base, None), tell, replace=replace)
    assert await base.count(COLLECTION, 1) == 1
    await base.close()
    return done


async def chains_hold(stack: Stack) -> bool:
    bus, journal = await stack.journal()
    report = await verify_stored(await journal.stored("discharge.>"), client(stack.ehr))
    await bus.close()
    return report.verified


async def timers(server: NatsServer, case_id: str) -> list[dict[str, str]]:
    async with as_user(server, "admin") as bus:
        found = await bus.direct_get(
            "TIMERS", {"seq": 1, "next_by_subj": f"timers.escalation.{case_id}.*", "batch": 10}
        )
        return [dict(message.headers or {}) for message in found]


async def test_a_waiting_case_is_signed_and_filed_on_the_restored_stack(
    nats: NatsServer, empty: NatsServer, tmp_path: Path
) -> None:
    await nats.provision()
    ehr = sandbox()
    first, second = stays(ehr.style)[:2]
    async with running(nats, ehr) as stack:
        filed = await stack.discharge(first)
        await stack.reaches(filed, "awaiting-review")
        await stack.decide(filed, "approve")
        await stack.reaches(filed, "filed")
        waiting = await stack.discharge(second)
        before = await stack.reaches(waiting, "awaiting-review")
        made = await back_up(nats, tmp_path / "backup")
        due = await timers(nats, waiting)
    nats.kill()
    assert (made.trail.cases, made.trail.events, made.sealed) == (2, 10, None)
    done = await put_back(empty, tmp_path / "backup")
    assert (done.cases, done.events, done.points, done.timers) == (2, 10, 1, 1)
    assert [item["countersign-due"] for item in await timers(empty, waiting)] == [
        item["countersign-due"] for item in due
    ]
    async with running(empty, ehr) as stack:
        assert (await stack.case(waiting))["events"] == before["events"]
        assert (await stack.decide(waiting, "approve")).status_code == 200
        await stack.reaches(waiting, "filed")
        assert await chains_hold(stack)
        assert len(stack.in_chart("DocumentReference")) == 2
        later = await stack.discharge(stays(ehr.style)[2])
        await stack.reaches(later, "awaiting-review")


async def test_what_was_filed_after_the_backup_is_not_filed_twice_and_is_named(
    nats: NatsServer, empty: NatsServer, tmp_path: Path
) -> None:
    """The chart is ahead of the restored trail: it keeps its one document, and the audit says which case it is."""
    await nats.provision()
    ehr = sandbox()
    async with running(nats, ehr) as stack:
        case_id = await stack.discharge()
        await stack.reaches(case_id, "awaiting-review")
        await back_up(nats, tmp_path / "backup")
        await stack.decide(case_id, "approve")
        filed = await stack.reaches(case_id, "filed")
    nats.kill()
    await put_back(empty, tmp_path / "backup")
    async with running(empty, ehr) as stack:
        assert (await stack.case(case_id))["state"] == "awaiting-review"
        assert (await stack.decide(case_id, "approve")).status_code == 200
        again = await stack.reaches(case_id, "filed")
        assert again["document_reference"] == filed["document_reference"]
        assert len(stack.in_chart("DocumentReference")) == len(stack.in_chart("Provenance")) == 1
        assert not await chains_hold(stack)


async def test_a_chain_that_was_broken_before_is_backed_up_and_said(
    nats: NatsServer, empty: NatsServer, tmp_path: Path
) -> None:
    await nats.provision()
    async with running(nats, sandbox()) as stack:
        await stack.reaches(await stack.discharge(), "awaiting-review")
    async with as_user(nats, "admin") as bus:
        await bus.publish("discharge.x.forged.filed", b"{}", stream="DISCHARGE", headers={"ce-prevdigest": "made up"})
    made = await back_up(nats, tmp_path / "backup")
    assert (made.trail.cases, made.trail.broken) == (2, (5,))
    assert (await put_back(empty, tmp_path / "backup")).broken == 1


async def test_what_moves_while_the_backup_is_made_is_not_lost(
    nats: NatsServer, empty: NatsServer, tmp_path: Path
) -> None:
    """Taken up after the trail was read and before the consumers were: the snapshot alone would lose it."""
    await nats.provision()
    async with as_user(nats, "ingest") as bus:
        await bus.publish("ehr.encounter.discharged.x.e1", b"{}", stream="EHR")
        await bus.publish("ehr.encounter.discharged.x.e2", b"{}", stream="EHR")
    before = await position(nats)
    assert before is not None
    assert before.floor == 0

    async def answered() -> None:
        async with as_user(nats, "ingest") as bus:
            subscription = await bus.jetstream.pull_subscribe_bind("ingest-discharged", "EHR")
            for message in await subscription.fetch(2):
                await message.ack_sync()

    work: list[Any] = []
    taking = snapshots.take

    async def take(bus: Bus, stream: str, write: Callable[[bytes], object]) -> snapshots.Described:
        if stream == "EHR" and not work:
            work.append(await answered())
        return await taking(bus, stream, write)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshots, "take", take)
        made = await back_up(nats, tmp_path / "backup")
    assert ("ingest-discharged", 0) in {(item.consumer, item.floor) for item in made.rewinds}
    done = await put_back(empty, tmp_path / "backup")
    assert done.repeated == ("ingest-discharged",)
    again = await position(empty)
    assert again is not None
    assert (again.floor, again.unanswered) == (0, 0)


async def position(server: NatsServer) -> snapshots.Position | None:
    async with as_user(server, "admin") as bus:
        return await snapshots.position(bus, "EHR", "ingest-discharged")


async def test_a_consumer_that_stood_still_is_exactly_where_it_was(
    nats: NatsServer, empty: NatsServer, tmp_path: Path
) -> None:
    await nats.provision()
    async with as_user(nats, "ingest") as bus:
        for number in range(3):
            await bus.publish(f"ehr.encounter.discharged.x.e{number}", b"{}", stream="EHR")
        subscription = await bus.jetstream.pull_subscribe_bind("ingest-discharged", "EHR")
        first, _, third = await subscription.fetch(3)
        await first.ack_sync()
        await third.ack_sync()  # the second is being worked on
    made = await back_up(nats, tmp_path / "backup")
    assert made.rewinds == ()
    await put_back(empty, tmp_path / "backup")
    assert await position(empty) == await position(nats)


async def test_a_timer_that_fell_between_two_snapshots_is_set_again(
    nats: NatsServer, empty: NatsServer, tmp_path: Path
) -> None:
    """One whose time has passed tells the supervisor at once, and once."""
    await nats.provision()
    short = (timedelta(seconds=1), timedelta(hours=1), timedelta(hours=2))
    ehr = sandbox()
    async with running(nats, ehr, escalate_after=(timedelta(hours=1), timedelta(hours=2), timedelta(hours=3))) as stack:
        plain = await stack.discharge()
        await stack.reaches(plain, "awaiting-review")
    async with running(nats, ehr, escalate_after=short) as stack:
        overdue = await stack.discharge(stays(ehr.style)[1])
        await stack.reaches(overdue, "awaiting-review")
        await until(lambda: escalated(stack, overdue), "the first escalation")
    async with as_user(nats, "admin") as bus:
        await bus.jetstream.purge_stream("TIMERS")
    await back_up(nats, tmp_path / "backup")
    assert (await put_back(empty, tmp_path / "backup")).timers == 2
    assert len(await timers(empty, plain)) == 1
    (second,) = await timers(empty, overdue)
    assert second["Nats-Subject"].endswith(".2")


async def escalated(stack: Stack, case_id: str) -> bool:
    return "escalated" in await stack.events(case_id)


async def test_large_streams_come_in_chunks_and_whole(nats: NatsServer, empty: NatsServer, tmp_path: Path) -> None:
    await nats.provision()
    async with as_user(nats, "drafter") as bus:
        for number in range(30):
            await bus.publish(f"$KV.artifacts.k{number}", os.urandom(500_000), stream="KV_artifacts")
        wanted = await bus.direct_get("KV_artifacts", {"last_by_subj": "$KV.artifacts.k29"})
    await back_up(nats, tmp_path / "backup")
    await put_back(empty, tmp_path / "backup")
    async with as_user(empty, "drafter") as bus:
        found = await bus.direct_get("KV_artifacts", {"last_by_subj": "$KV.artifacts.k29"})
    assert found[0].data == wanted[0].data
    assert dict(found[0].headers or {}) == dict(wanted[0].headers or {})  # its sequence and time too


async def test_a_stack_that_is_not_empty_or_in_use_is_left_alone(
    nats: NatsServer, stack: Stack, empty: NatsServer, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    await stack.reaches(await stack.discharge(), "awaiting-review")
    await back_up(nats, folder)
    with pytest.raises(CommandError, match=r"Services are at work on this stack \(approval, drafter, ingest\)"):
        await put_back(nats, folder)
    await put_back(empty, folder)
    with pytest.raises(CommandError, match=r"not empty \(DISCHARGE, EHR"):
        await put_back(empty, folder)
    assert (await put_back(empty, folder, replace=True)).cases == 1


class Killed(Exception):
    pass


@pytest.mark.parametrize("at", ["stream EHR", "stream KV_working", "vectors", "verifying"])
async def test_a_restore_that_was_killed_is_run_again(
    nats: NatsServer, empty: NatsServer, tmp_path: Path, at: str
) -> None:
    folder, other = tmp_path / "backup", tmp_path / "other"
    await nats.provision()
    async with as_user(nats, "drafter") as bus:
        await bus.publish("$KV.artifacts.k", b"text", stream="KV_artifacts")
    async with running(nats, sandbox()) as stack:
        await stack.reaches(await stack.discharge(), "awaiting-review")
    await back_up(nats, folder)
    await back_up(nats, other)

    def kill(what: str, _done: int, _total: int | None) -> None:
        if what.startswith(at):
            raise Killed

    with pytest.raises(Killed):
        await put_back(empty, folder, kill)
    with pytest.raises(CommandError, match="another backup was begun"):
        await put_back(empty, other)
    assert (await put_back(empty, folder)).cases == 1
    async with as_user(empty, "admin") as bus:
        names = {item.config.name for item in await bus.jetstream.streams_info()}
    assert snapshots.UNFINISHED not in names


async def test_a_backup_that_is_damaged_or_unfinished_is_refused(nats: NatsServer, tmp_path: Path) -> None:
    await nats.provision()
    folder = tmp_path / "backup"

    def kill(what: str, _done: int, _total: int | None) -> None:
        if what == "stream DEADLETTER":
            raise Killed

    with pytest.raises(Killed):
        await back_up(nats, folder, kill)
    with pytest.raises(CommandError, match="was never finished"):
        manifest.read(folder)
    made = await back_up(nats, folder)  # begun again in the same folder
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.rglob("*") if file.is_file()} == {0o600}
    with pytest.raises(CommandError, match="holds a backup already"):
        await back_up(nats, folder)
    file = folder / "streams" / "DISCHARGE.snapshot"
    data = file.read_bytes()
    file.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(CommandError, match=r"streams/DISCHARGE\.snapshot is not as it was written"):
        files.check(folder, made, silent)
    file.unlink()
    with pytest.raises(CommandError, match=r"streams/DISCHARGE\.snapshot is missing"):
        files.check(folder, made, silent)
    (folder / MANIFEST).write_text("{")
    with pytest.raises(CommandError, match="cannot be read"):
        manifest.read(folder)


def pair(folder: Path, name: str) -> tuple[Path, Path]:
    """A private and a public key, as `openssl genpkey -algorithm X25519` writes them."""
    private = X25519PrivateKey.generate()
    key, public = folder / f"{name}.key", folder / f"{name}.pub"
    plain = serialization.NoEncryption()
    key.write_bytes(private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    public.write_bytes(private.public_key().public_bytes(serialization.Encoding.PEM, form))
    return key, public


async def test_an_encrypted_backup_opens_for_the_holder_of_the_key_only(
    nats: NatsServer, empty: NatsServer, tmp_path: Path
) -> None:
    await nats.provision()
    text = b"the patient weighs every morning"
    async with as_user(nats, "drafter") as bus:
        for number in range(5):
            await bus.publish(f"$KV.artifacts.k{number}", text + os.urandom(60_000), stream="KV_artifacts")
    key, public = pair(tmp_path, "ours")
    folder = tmp_path / "backup"
    made = await back_up(nats, folder, recipient=public)
    assert made.sealed is not None
    assert not [file for file in folder.rglob("*") if file.is_file() and text in file.read_bytes()]
    with pytest.raises(CommandError, match="name the private key"):
        open_seal(made.sealed, None)
    with pytest.raises(CommandError, match="does not open this backup"):
        open_seal(made.sealed, pair(tmp_path, "theirs")[0])
    with pytest.raises(CommandError, match="not an X25519 public key"):
        await back_up(nats, tmp_path / "other", recipient=key)
    seal = open_seal(made.sealed, key)
    base = EdgeBase(tmp_path / "qdrant")
    async with as_user(empty, "admin") as bus:
        await restore(folder, made, seal, Target(bus, base, None), silent, replace=False)
        (found,) = await bus.direct_get("KV_artifacts", {"last_by_subj": "$KV.artifacts.k4"})
    assert found.data.startswith(text)
    await base.close()
    cut = folder / "streams" / "KV_artifacts.snapshot"
    cut.write_bytes(cut.read_bytes()[: 2 * (FRAME + TAG)])  # at the end of a frame
    with pytest.raises(CommandError, match="not what was sealed"):
        list(files.contents(folder, "streams/KV_artifacts.snapshot", seal))
    swapped = folder / "streams" / "EHR.snapshot"
    swapped.write_bytes((folder / "streams" / "DISCHARGE.snapshot").read_bytes())
    with pytest.raises(CommandError, match="not what was sealed"):
        list(files.contents(folder, "streams/EHR.snapshot", seal))


async def test_the_user_who_makes_backups_can_change_nothing_and_nobody_else_makes_them(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await nats.provision()
    monkeypatch.setattr(snapshots, "PATIENCE", 0.3)
    monkeypatch.setattr("shared.messaging.connection.REQUEST_TIMEOUT", 0.3)
    async with as_user(nats, "backup") as bus:
        for call in (
            "STREAM.DELETE.EHR",
            "STREAM.RESTORE.X",
            "STREAM.PURGE.TIMERS",
            "CONSUMER.RESET.EHR.ingest-discharged",
        ):
            with pytest.raises(Failure):
                await snapshots.call(bus, f"$JS.API.{call}", b"")
        with pytest.raises(Failure):
            await bus.publish("deadletter.x.y", b"", stream="DEADLETTER")
    for user in ("operator", "auditor", "approval"):
        async with as_user(nats, user) as bus:
            with pytest.raises(Failure):
                await snapshots.take(bus, "KV_artifacts", lambda _: None)
    async with as_user(nats, "admin") as bus:
        assert (await bus.jetstream.stream_info("DEADLETTER")).state.messages == 0


def reach(patch: pytest.MonkeyPatch, server: NatsServer, user: str) -> None:
    """The environment of a stack that is spread over machines."""
    seed = server.directory / f"{user}.seed"
    seed.write_text(server.secrets.seeds[user])
    patch.setenv("COUNTERSIGN_NATS_URL", server.url)
    patch.setenv("COUNTERSIGN_NATS_SEED_FILE", str(seed))
    patch.setenv("COUNTERSIGN_NATS_MONITOR_URL", f"http://127.0.0.1:{server.ports.monitor}")
    patch.setenv("COUNTERSIGN_QDRANT_URL", ":memory:")


async def test_a_stack_on_several_machines_is_reached_by_its_addresses(
    nats: NatsServer, empty: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await nats.provision()
    async with running(nats, sandbox()) as stack:
        await stack.reaches(await stack.discharge(), "awaiting-review")
        reach(monkeypatch, nats, "backup")
        assert (await backups.back_up(tmp_path / "backup", None, None)).trail.cases == 1
    reach(monkeypatch, empty, "admin")
    assert (await backups.restore(tmp_path / "backup", None, None, replace=False)).cases == 1
    seeds = tmp_path / "seeds.json"
    seeds.write_text(json.dumps(empty.secrets.seeds))
    monkeypatch.setenv("COUNTERSIGN_SEEDS_FILE", str(seeds))
    monkeypatch.setenv("COUNTERSIGN_EHR_URL", "http://127.0.0.1:1/fhir")
    monkeypatch.setenv("COUNTERSIGN_TRITON_URL", "127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    found = [item async for item in examine(find_place(None), lambda _: None)]
    assert {item.what for item in found if item.level == "fault"} == {
        *(f"service {name}" for name in SERVICES),
        *("EHR", "model drafter", "model embedder"),
    }
    assert {item.what for item in found if item.level == "warning"} == {"knowledge", "telemetry"}
    assert all(item.do for item in found if item.level != "ok")
