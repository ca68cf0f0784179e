"""Which backups stay, which go, and what a kill in the middle leaves."""

import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cli.backup import files, manifest, rotation
from cli.backup.manifest import UNFINISHED, ChainHeads, Manifest
from cli.backup.rotation import CompleteBackup, RetentionPolicy, expired_backups, remove_unfinished, rotate
from cli.errors import CommandError

TODAY = datetime(2026, 11, 27, 3, 30, tzinfo=UTC)  # a Friday


def found(days_ago: int, *, whole: bool = True) -> CompleteBackup:
    return CompleteBackup(Path(f"/backup/{days_ago}"), TODAY - timedelta(days=days_ago), whole)


def stay(items: list[CompleteBackup], keep: RetentionPolicy) -> list[int]:
    gone = {item.path for item in expired_backups(items, keep)}
    return [int(item.path.name) for item in items if item.path not in gone]


def test_the_newest_stay_and_one_of_each_week() -> None:
    nights = [found(days) for days in range(40)]
    assert stay(nights, RetentionPolicy(3)) == [0, 1, 2]
    assert stay(nights, RetentionPolicy(3, weekly=3)) == [0, 1, 2, 5, 12], "Friday, then the Sundays before it"


def test_the_newest_whose_chains_hold_stays_however_old() -> None:
    items = [found(0, whole=False), found(1, whole=False), found(2), found(3)]
    assert stay(items, RetentionPolicy(1)) == [0, 2]


@given(
    st.lists(st.tuples(st.integers(0, 400), st.booleans()), unique_by=lambda item: item[0], max_size=30),
    st.integers(1, 5),
    st.integers(0, 5),
)
def test_never_fewer_than_asked_for_and_never_without_a_whole_one(
    nights: list[tuple[int, bool]], last: int, weekly: int
) -> None:
    items = [found(days, whole=whole) for days, whole in nights]
    left = stay(items, RetentionPolicy(last, weekly))
    assert sorted(days for days, _ in nights)[:last] == sorted(left)[: min(last, len(nights))]
    if any(whole for _, whole in nights):
        assert min(days for days, whole in nights if whole) in left
    assert len(left) <= last + weekly + 1


def a_backup(folder: Path, name: str, made_at: datetime) -> Path:
    path = folder / name
    files.start_backup(path)
    made = files.BackupFolder(path, None)
    with made.file("streams/DISCHARGE.snapshot") as sink:
        sink.write(b"events")
    trail = ChainHeads(file="chains.jsonl", cases=0, events=0)
    manifest.write(
        path,
        Manifest(
            id=name,
            made_at=made_at,
            countersign="0",
            nats="0",
            streams=(),
            rewinds=(),
            vectors=(),
            trail=trail,
            files=tuple(made.parts),
        ),
    )
    files.finish_backup(path)
    return path


def test_only_what_is_a_backup_goes(tmp_path: Path) -> None:
    old, new = (a_backup(tmp_path, name, TODAY - timedelta(days=days)) for name, days in (("old", 2), ("new", 0)))
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "plan.txt").write_text("mine")
    torn = a_backup(tmp_path, "torn", TODAY - timedelta(days=9))
    (torn / "manifest.json").write_text("{")
    done = rotate(tmp_path, RetentionPolicy(1))
    assert (done.removed, done.unreadable) == ((old,), (torn,))
    assert sorted(item.name for item in tmp_path.iterdir()) == ["new", "notes", "torn"]
    assert new.exists()


def test_a_removal_that_is_killed_leaves_no_backup_and_is_ended_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = a_backup(tmp_path, "old", TODAY - timedelta(days=2))
    a_backup(tmp_path, "new", TODAY)

    def killed(_: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(rotation.shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            rotate(tmp_path, RetentionPolicy(1))
    with pytest.raises(CommandError, match="never finished"):
        manifest.read(old)
    later = datetime.now(UTC) + timedelta(hours=2)
    assert remove_unfinished(tmp_path, later) == (old,)
    assert [item.name for item in tmp_path.iterdir()] == ["new"]


def test_a_backup_that_is_being_made_is_not_swept(tmp_path: Path) -> None:
    files.start_backup(tmp_path / "now")
    with files.BackupFolder(tmp_path / "now", None).file("streams/EHR.snapshot") as sink:
        sink.write(b"half")
    now = datetime.now(UTC)
    assert remove_unfinished(tmp_path, now) == ()
    long_ago = (now - timedelta(hours=3)).timestamp()
    for path in (tmp_path / "now" / "streams", tmp_path / "now" / UNFINISHED, tmp_path / "now"):
        os.utime(path, (long_ago, long_ago))
    assert remove_unfinished(tmp_path, now) == (), "its newest file was written just now"
    shutil.rmtree(tmp_path / "now" / "streams")
    os.utime(tmp_path / "now", (long_ago, long_ago))
    assert remove_unfinished(tmp_path, now) == (tmp_path / "now",)
