"""Two hospitals on one server, an account each: neither sees the other, nor can take its room or its time."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cli.stack.nats_config import Tenant, TenantLimits
from cli.stack.secrets import load_or_create
from shared.contracts.errors import CountersignError
from shared.messaging.declared_buckets import BUCKETS
from shared.messaging.topology import STREAMS
from tests.support.command import run
from tests.support.ehr import sandbox, stays
from tests.support.server import NatsServer, Neighbour
from tests.support.stack import running, until

pytestmark = pytest.mark.connected

ROOM = 2 * 1024 * 1024  # bytes of storage for the hospital that is too loud
FLOOD = 400
BIG = b"x" * 16_384


@dataclass
class Hospitals:
    quiet: NatsServer
    loud: Neighbour


@pytest.fixture
def hospitals(tmp_path: Path) -> Iterator[Hospitals]:
    for name in ("quiet", "loud"):
        (tmp_path / name).mkdir()
    loud = load_or_create(tmp_path / "loud")
    server = NatsServer(tmp_path / "quiet", {"LOUD": Tenant(loud, TenantLimits(storage=ROOM))})
    server.start()
    yield Hospitals(server, Neighbour(server, tmp_path / "loud"))
    server.kill()


async def test_neither_sees_the_other(hospitals: Hospitals) -> None:
    await hospitals.quiet.provision()
    await hospitals.loud.provision()
    spy = await hospitals.loud.connect("admin")  # may do everything, in its own account
    heard: list[str] = []

    async def hear(message: object) -> None:
        heard.append(str(getattr(message, "subject", "")))

    await spy.client.subscribe("discharge.>", cb=hear)
    await spy.client.subscribe("$JS.EVENT.ADVISORY.>", cb=hear)
    async with running(hospitals.quiet, sandbox()) as stack:
        case_id = await stack.discharge()
        await stack.reaches(case_id, "awaiting-review")
        await stack.decide(case_id, "approve")
        await stack.reaches(case_id, "filed")
    for name in [item.name for item in STREAMS] + [f"KV_{name}" for name in BUCKETS]:
        assert await spy.direct_get(name, {"seq": 1, "next_by_subj": ">", "batch": 5}) == [], name
    assert not [subject for subject in heard if case_id in subject]
    await spy.jetstream.delete_stream("ALERTS")  # its own, whatever it is called
    await spy.close()
    own = await hospitals.quiet.connect("admin")
    assert (await own.jetstream.stream_info("ALERTS")).config.name == "ALERTS"
    assert (await own.jetstream.stream_info("DISCHARGE")).state.messages >= 6
    await own.close()


async def test_one_more_is_taken_in_by_servers_that_run(hospitals: Hospitals, tmp_path: Path) -> None:
    await hospitals.quiet.provision()
    watching = await hospitals.quiet.connect("auditor")
    third = tmp_path / "third"
    made = run("secrets", "init", str(third), "--account", "THIRD", "--storage-gb", "1")
    assert made.returncode == 0, made.stderr
    hospitals.quiet.reload(lambda text: text.replace('"accounts": {', '"accounts": { include "../third/account.conf"'))
    seed = ("--seed-file", str(third / "admin.seed"))

    async def provisioned() -> bool:
        return (await asyncio.to_thread(run, "provision", "--nats-url", hospitals.quiet.url, *seed)).returncode == 0

    await until(provisioned, "the account to be there")
    new = Neighbour(hospitals.quiet, third)
    approval = await new.connect("approval")
    room = await approval.storage_usage()
    assert room.limit == 2**30
    assert 0 <= room.stored < 2**20
    await approval.close()
    async with running(new, sandbox()) as stack:
        await stack.reaches(await stack.discharge(), "awaiting-review")
    assert watching.connected, "the reload has cut nobody off"
    await watching.close()
    assert "in capitals" in run("secrets", "init", str(third), "--account", "x.y").stderr


async def test_one_that_fills_its_room_takes_none_of_the_others(hospitals: Hospitals) -> None:
    await hospitals.quiet.provision()
    await hospitals.loud.provision()
    flooding = await hospitals.loud.connect("admin")
    refused: list[str] = []

    async def flood() -> None:
        for number in range(FLOOD):
            try:
                await flooding.publish(f"alert.info.n{number}", BIG, stream="ALERTS")
            except CountersignError as failure:
                refused.append(failure.reason)

    async with running(hospitals.quiet, sandbox()) as stack:
        storm = asyncio.create_task(flood())
        case_id = await stack.discharge()
        await stack.reaches(case_id, "awaiting-review")
        await stack.decide(case_id, "approve")
        await stack.reaches(case_id, "filed")
        await storm
        later = await stack.discharge(stays()[1])
        await stack.reaches(later, "awaiting-review")  # also when the neighbour's room is full
    assert refused, "the flood must have met its limit"
    await flooding.close()
