"""Decide which backups of a folder to keep, and delete the others.

Only folders with a readable manifest count as backups, and only those marked as unfinished as leftovers of one.
Everything else in the folder is left alone.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cli.backup import manifest
from cli.backup.manifest import MANIFEST, UNFINISHED
from cli.errors import CommandError

NAME = "%Y-%m-%dT%H%M%SZ"
UNFINISHED_AGE = timedelta(hours=1)  # a backup in progress writes more often than that


@dataclass(frozen=True, slots=True)
class RetentionPolicy:
    """Keep the newest `last` backups, and the newest one of each of the `weekly` newest weeks."""

    last: int
    weekly: int = 0


@dataclass(frozen=True, slots=True)
class CompleteBackup:
    """A complete backup. `whole`: every digest chain was valid when it was made."""

    path: Path
    made_at: datetime
    whole: bool


@dataclass(frozen=True, slots=True)
class RotationResult:
    """Folders that were removed, and folders that look like backups but cannot be read."""

    removed: tuple[Path, ...] = ()
    unreadable: tuple[Path, ...] = ()


def expired_backups(found: Sequence[CompleteBackup], keep: RetentionPolicy) -> list[CompleteBackup]:
    """Return the backups to delete, oldest first. Pure.

    The newest one with valid chains is always kept, to restore from.
    """
    newest_first = sorted(found, key=lambda item: item.made_at, reverse=True)
    kept = {item.path for item in newest_first[: max(keep.last, 1)]}
    weeks: dict[tuple[int, int], Path] = {}
    for item in newest_first:
        weeks.setdefault(item.made_at.astimezone(UTC).isocalendar()[:2], item.path)
    kept |= set(list(weeks.values())[: keep.weekly])
    kept |= {item.path for item in [item for item in newest_first if item.whole][:1]}
    return [item for item in reversed(newest_first) if item.path not in kept]


def folder_name(now: datetime) -> str:
    """Return the name of a new backup's folder."""
    return now.astimezone(UTC).strftime(NAME)


def rotate(folder: Path, keep: RetentionPolicy) -> RotationResult:
    """Remove the expired backups of `folder`. Call it once a new one is complete and verified."""
    found, unreadable = [], []
    for path in _folders(folder):
        if not (path / MANIFEST).exists():
            continue
        try:
            item = manifest.read(path)
        except CommandError:
            unreadable.append(path)
        else:
            found.append(CompleteBackup(path, item.made_at, not item.trail.broken))
    gone = [item.path for item in expired_backups(found, keep)]
    for path in gone:
        remove(path)
    return RotationResult(tuple(gone), tuple(unreadable))


def remove_unfinished(folder: Path, now: datetime) -> tuple[Path, ...]:
    """Remove unfinished backups that are no longer written to, so that they do not fill the disk."""
    gone = []
    if not folder.exists():
        return ()
    for path in _folders(folder):
        if (
            (path / UNFINISHED).exists()
            and not (path / MANIFEST).exists()
            and now - _last_written(path) > UNFINISHED_AGE
        ):
            remove(path)
            gone.append(path)
    return tuple(gone)


def remove(path: Path) -> None:
    """Remove a backup. If killed, it leaves a folder that no restore accepts. Raises CommandError."""
    try:
        (path / UNFINISHED).touch(mode=0o600)
        (path / MANIFEST).unlink(missing_ok=True)
        shutil.rmtree(path)
    except OSError as error:
        raise CommandError(f"The old backup {path} cannot be removed: {error.strerror}.") from None


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(item for item in folder.iterdir() if item.is_dir() and not item.is_symlink())
    except OSError as error:
        raise CommandError(f"The folder {folder} cannot be read: {error.strerror}.") from None


def _last_written(path: Path) -> datetime:
    """Return when anything in the folder was last written."""
    return datetime.fromtimestamp(max(item.stat().st_mtime for item in (path, *path.rglob("*"))), UTC)
