"""A backup of a stack at work, put back into an empty one: nothing is lost or done twice, every chain holds."""

import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.audit import verify_stored
from cli.backup import create
from cli.backup import run as backup_run
from cli.doctor.run import run_checks
from cli.doctor.target import find_target
from shared.contracts.subjects import CaseRef
from shared.messaging import snapshots
from shared.messaging.connection import NatsConnection
from shared.messaging.provision import provision
from shared.messaging.timers import Timers
from shared.messaging.topology import SERVICES
from tests.support.backup import as_user, back_up, restore_backup, set_environment, timers
from tests.support.earlier_versions import installed_before
from tests.support.ehr import client, sandbox, stays
from tests.support.server import NatsServer
from tests.support.stack import Stack, running, until

pytestmark = [pytest.mark.connected, pytest.mark.system]


async def chains_hold(stack: Stack) -> bool:
    bus, journal = await stack.journal()
    report = await verify_stored(await journal.stored("discharge.>"), client(stack.ehr))
    await bus.close()
    return report.verified


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
    done = await restore_backup(empty, tmp_path / "backup")
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


async def test_a_chain_that_was_broken_before_is_backed_up_and_said(
    nats: NatsServer, empty: NatsServer, tmp_path: Path
) -> None:
    await nats.provision()
    async with running(nats, sandbox()) as stack:
        await stack.reaches(await stack.discharge(), "awaiting-review")
    async with as_user(nats, "admin") as bus:
        for name in ("review-requested", "filed"):
            forged = {"ce-prevdigest": "made up"}
            await bus.publish(f"discharge.x.forged.{name}", b"{}", stream="DISCHARGE", headers=forged)
    made = await back_up(nats, tmp_path / "backup")
    assert (made.trail.cases, made.trail.broken) == (2, (5, 6))
    done = await restore_backup(empty, tmp_path / "backup")
    assert (done.broken, done.timers) == (2, 1)


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
    taking = snapshots.snapshot

    async def take(bus: NatsConnection, stream: str, write: Callable[[bytes], object]) -> snapshots.StreamSnapshot:
        if stream == "EHR" and not work:
            work.append(await answered())
        return await taking(bus, stream, write)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(snapshots, "snapshot", take)
        made = await back_up(nats, tmp_path / "backup")
    assert ("ingest-discharged", 0) in {(item.consumer, item.floor) for item in made.rewinds}
    done = await restore_backup(empty, tmp_path / "backup")
    assert done.repeated == ("ingest-discharged",)
    again = await position(empty)
    assert again is not None
    assert (again.floor, again.ack_pending) == (0, 0)


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
    await restore_backup(empty, tmp_path / "backup")
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
    assert (await restore_backup(empty, tmp_path / "backup")).timers == 2
    assert len(await timers(empty, plain)) == 1
    (second,) = await timers(empty, overdue)
    assert second["Nats-Subject"].endswith(".2")


async def test_a_backup_of_before_streams_were_split_comes_back(
    nats: NatsServer, empty: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Into a stack that has the later streams already."""
    await nats.provision()
    async with as_user(nats, "admin") as bus:
        for name in ("TIMERS", "REFRESH_TIMERS", "KV_artifacts"):
            await bus.jetstream.delete_stream(name)
        await installed_before(bus)
        await Timers(bus).schedule(CaseRef("cardiology", "c1"), "clock", 1, datetime.now(UTC) + timedelta(hours=1))
    with monkeypatch.context() as earlier:
        streams = tuple(name for name in create.BACKED_UP_STREAMS if name != "REFRESH_TIMERS")
        earlier.setattr(create, "BACKED_UP_STREAMS", streams)
        await back_up(nats, tmp_path / "backup")
    await empty.provision()
    await restore_backup(empty, tmp_path / "backup", replace=True)
    async with as_user(empty, "admin") as bus:
        assert {change.action for change in await provision(bus)} == {"unchanged"}


async def escalated(stack: Stack, case_id: str) -> bool:
    return "escalated" in await stack.events(case_id)


async def test_large_streams_come_in_chunks_and_whole(nats: NatsServer, empty: NatsServer, tmp_path: Path) -> None:
    await nats.provision()
    async with as_user(nats, "drafter") as bus:
        for number in range(30):
            await bus.publish(f"$KV.artifacts.k{number}", os.urandom(500_000), stream="KV_artifacts")
        wanted = await bus.direct_get("KV_artifacts", {"last_by_subj": "$KV.artifacts.k29"})
    await back_up(nats, tmp_path / "backup")
    await restore_backup(empty, tmp_path / "backup")
    async with as_user(empty, "drafter") as bus:
        found = await bus.direct_get("KV_artifacts", {"last_by_subj": "$KV.artifacts.k29"})
    assert found[0].data == wanted[0].data
    assert dict(found[0].headers or {}) == dict(wanted[0].headers or {})  # its sequence and time too


async def test_a_stack_on_several_machines_is_reached_by_its_addresses(
    nats: NatsServer, empty: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await nats.provision()
    async with running(nats, sandbox()) as stack:
        await stack.reaches(await stack.discharge(), "awaiting-review")
        set_environment(monkeypatch, nats, "backup")
        assert (await backup_run.back_up(tmp_path / "backup", None, None)).trail.cases == 1
    set_environment(monkeypatch, empty, "admin")
    assert (await backup_run.restore(tmp_path / "backup", None, None, replace=False)).cases == 1
    seeds = tmp_path / "seeds.json"
    seeds.write_text(json.dumps(empty.secrets.seeds))
    monkeypatch.setenv("COUNTERSIGN_SEEDS_FILE", str(seeds))
    monkeypatch.setenv("COUNTERSIGN_EHR_URL", "http://127.0.0.1:1/fhir")
    monkeypatch.setenv("COUNTERSIGN_TRITON_URL", "127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    found = [item async for item in run_checks(find_target(None), lambda _: None)]
    assert {item.what for item in found if item.level == "fault"} == {
        *(f"service {name}" for name in SERVICES),
        *("EHR", "model drafter", "model embedder"),
    }
    assert {item.what for item in found if item.level == "warning"} == {
        "checkpoints",
        "decisions in the EHR",
        "knowledge",
        "telemetry",
    }
    assert all(item.do for item in found if item.level != "ok")
