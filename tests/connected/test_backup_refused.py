"""A backup or restore that was killed, damaged, sealed, or is not wanted: refused, or run again."""

import os
import stat
from pathlib import Path

import pytest

from cli.backup import files, manifest
from cli.backup.encryption import FRAME, TAG, decrypt_key
from cli.backup.manifest import MANIFEST
from cli.backup.restore import RestoreTarget, restore
from cli.errors import CommandError
from shared.contracts.errors import CountersignError
from shared.knowledge.embedded_qdrant import EmbeddedQdrant
from shared.messaging import snapshots
from tests.support.backup import as_user, back_up, no_progress, restore_backup
from tests.support.ehr import sandbox
from tests.support.keys import pair
from tests.support.server import NatsServer
from tests.support.stack import Stack, running

pytestmark = [pytest.mark.connected, pytest.mark.system]


async def test_a_stack_that_is_not_empty_or_in_use_is_left_alone(
    nats: NatsServer, stack: Stack, empty: NatsServer, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    await stack.reaches(await stack.discharge(), "awaiting-review")
    await back_up(nats, folder)
    with pytest.raises(CommandError, match=r"Services are at work on this stack \(approval, drafter, ingest\)"):
        await restore_backup(nats, folder)
    await restore_backup(empty, folder)
    with pytest.raises(CommandError, match=r"not empty \(DISCHARGE, EHR"):
        await restore_backup(empty, folder)
    assert (await restore_backup(empty, folder, replace=True)).cases == 1


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
        await restore_backup(empty, folder, kill)
    with pytest.raises(CommandError, match="another backup was begun"):
        await restore_backup(empty, other)
    assert (await restore_backup(empty, folder)).cases == 1
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
        files.verify_files(folder, made, no_progress)
    file.unlink()
    with pytest.raises(CommandError, match=r"streams/DISCHARGE\.snapshot is missing"):
        files.verify_files(folder, made, no_progress)
    (folder / MANIFEST).write_text("{")
    with pytest.raises(CommandError, match="cannot be read"):
        manifest.read(folder)


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
        decrypt_key(made.sealed, None)
    with pytest.raises(CommandError, match="does not open this backup"):
        decrypt_key(made.sealed, pair(tmp_path, "theirs")[0])
    with pytest.raises(CommandError, match="not an X25519 public key"):
        await back_up(nats, tmp_path / "other", recipient=key)
    seal = decrypt_key(made.sealed, key)
    base = EmbeddedQdrant(tmp_path / "qdrant")
    async with as_user(empty, "admin") as bus:
        await restore(folder, made, seal, RestoreTarget(bus, base, None), no_progress, replace=False)
        (found,) = await bus.direct_get("KV_artifacts", {"last_by_subj": "$KV.artifacts.k4"})
    assert found.data.startswith(text)
    await base.close()
    cut = folder / "streams" / "KV_artifacts.snapshot"
    cut.write_bytes(cut.read_bytes()[: 2 * (FRAME + TAG)])  # at the end of a frame
    with pytest.raises(CommandError, match="not what was sealed"):
        list(files.read_blocks(folder, "streams/KV_artifacts.snapshot", seal))
    swapped = folder / "streams" / "EHR.snapshot"
    swapped.write_bytes((folder / "streams" / "DISCHARGE.snapshot").read_bytes())
    with pytest.raises(CommandError, match="not what was sealed"):
        list(files.read_blocks(folder, "streams/EHR.snapshot", seal))


async def test_the_user_who_makes_backups_can_change_nothing_and_nobody_else_makes_them(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await nats.provision()
    monkeypatch.setattr(snapshots, "CHUNK_TIMEOUT", 0.3)
    monkeypatch.setattr("shared.messaging.connection.REQUEST_TIMEOUT", 0.3)
    async with as_user(nats, "backup") as bus:
        for call in (
            "STREAM.DELETE.EHR",
            "STREAM.RESTORE.X",
            "STREAM.PURGE.TIMERS",
            "CONSUMER.RESET.EHR.ingest-discharged",
        ):
            with pytest.raises(CountersignError):
                await snapshots.call(bus, f"$JS.API.{call}", b"")
        with pytest.raises(CountersignError):
            await bus.publish("deadletter.x.y", b"", stream="DEADLETTER")
    for user in ("operator", "auditor", "approval"):
        async with as_user(nats, user) as bus:
            with pytest.raises(CountersignError):
                await snapshots.snapshot(bus, "KV_artifacts", lambda _: None)
    async with as_user(nats, "admin") as bus:
        assert (await bus.jetstream.stream_info("DEADLETTER")).state.messages == 0
