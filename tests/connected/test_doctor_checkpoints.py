"""The doctor tells when nobody signs where the cases stand, and when the last one who did was too long ago."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cli.doctor import checkpoints
from services.approval.audit.checkpoints import JOB
from shared.contracts.envelope import CHAIN_START
from shared.contracts.subjects import reconcile_subjects
from shared.messaging.checkpoints import Checkpoints, Folder
from shared.messaging.event_store import EventStore
from shared.messaging.recurring_timer import INTERVAL_HEADER
from shared.messaging.timers import Timers
from shared.runtime.checks.findings import Group
from tests.support.backup import as_user
from tests.support.examples import CASE, event
from tests.support.server import NatsServer

pytestmark = pytest.mark.connected


async def found(server: NatsServer, now: datetime | None = None) -> tuple[str, str]:
    group = Group("work")
    async with as_user(server, "admin") as bus:
        await checkpoints.check(bus, group, now or datetime.now(UTC))
    (finding,) = group.found
    return finding.level, f"{finding.says} {finding.do}"


async def test_without_the_folder_approvals_timer_tells(nats: NatsServer) -> None:
    await nats.provision()
    level, words = await found(nats)
    assert (level, "COUNTERSIGN_CHECKPOINT_DIR" in words) == ("warning", True)
    now = datetime.now(UTC)
    async with as_user(nats, "approval") as bus:
        await Timers(bus).set(*reconcile_subjects(JOB), now + timedelta(minutes=10), {INTERVAL_HEADER: "0:10:00"})
    assert await found(nats) == (
        "ok",
        f"approval makes one every 0:10:00; the next is due at {now + timedelta(minutes=10):%Y-%m-%d %H:%M} UTC ",
    )
    level, words = await found(nats, now + timedelta(minutes=12))
    assert (level, "was not made" in words) == ("warning", True)


async def test_with_the_folder_its_last_one_is_held_against_the_trail(
    nats: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await nats.provision()
    now = datetime.now(UTC)
    monkeypatch.setenv("COUNTERSIGN_CHECKPOINT_DIR", str(tmp_path / "none"))
    assert (await found(nats))[0] == "fault"
    folder = tmp_path / "checkpoints"
    folder.mkdir()
    monkeypatch.setenv("COUNTERSIGN_CHECKPOINT_DIR", str(folder))
    assert (await found(nats))[0] == "ok"
    async with as_user(nats, "ingest") as bus:
        head = await EventStore(bus, "ingest").append(CASE, event("discharged"), after=CHAIN_START, id="1", time=now)
        assert (await found(nats))[0] == "warning", "there is none, and something has happened"
        async with as_user(nats, "auditor") as auditor:
            made = await Checkpoints(auditor, Folder(folder), Ed25519PrivateKey.generate(), lambda: now).make()
        assert made is not None
        assert (await found(nats, now + timedelta(days=3)))[0] == "ok", "nothing has happened since"
        await EventStore(bus, "ingest").append(CASE, event("withdrawn"), after=head, id="2", time=now)
    assert (await found(nats, now + timedelta(minutes=29)))[0] == "ok"
    level, words = await found(nats, now + timedelta(minutes=31))
    assert (level, "1 later events are not covered" in words) == ("warning", True)
    monkeypatch.setenv("COUNTERSIGN_CHECKPOINT_EVERY", "PT1H")
    assert (await found(nats, now + timedelta(minutes=31)))[0] == "ok"
    async with as_user(nats, "admin") as bus:
        await bus.jetstream.delete_stream("DISCHARGE")
    await nats.provision()
    level, words = await found(nats)
    assert (level, "start a new folder" in words) == ("fault", True)
