"""Back up and restore a stack, with progress bars on a terminal."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace as replaced
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from nats import errors

from cli.backup import files, manifest
from cli.backup import restore as restoring
from cli.backup.create import BackupRequest, create_backup
from cli.backup.encryption import decrypt_key
from cli.backup.endpoints import is_in_data_dir, open_source, open_target, read_erasures
from cli.backup.files import ProgressCallback
from cli.backup.manifest import Manifest
from cli.backup.restore import RestoreResult
from cli.backup.rotation import RetentionPolicy, RotationResult, folder_name, remove_unfinished, rotate
from cli.errors import CommandError
from cli.output import progress_bar, stderr

IN_DATA_DIR = "A backup must not lie in the data directory that it is of: name another folder."


@contextmanager
def _progress() -> Iterator[ProgressCallback]:
    with progress_bar("connecting") as (progress, task):

        def update(what: str, done: int, total: int | None) -> None:
            progress.update(task, description=what, completed=done, total=total)

        yield update


async def back_up(to: Path, data_dir: Path | None, recipient: Path | None) -> Manifest:
    """Make a backup in the new folder `to`; `recipient` is the file of the public key to encrypt it to."""
    if is_in_data_dir(to, data_dir):
        raise CommandError(IN_DATA_DIR)
    async with open_source(data_dir) as found:
        request = BackupRequest(
            to, found.bus, found.vectors, str(uuid4()), datetime.now(UTC), recipient, found.declared
        )
        with _progress() as update:
            return await create_backup(request, update)


async def back_up_and_rotate(
    into: Path, data_dir: Path | None, recipient: Path | None, policy: RetentionPolicy | None, now: datetime
) -> tuple[Path, Manifest, RotationResult]:
    """Make a backup in a new folder below `into`, verify its files, then remove the expired backups."""
    if is_in_data_dir(into, data_dir):
        raise CommandError(IN_DATA_DIR)
    unfinished = remove_unfinished(into, now)
    to = into / folder_name(now)
    made = await back_up(to, data_dir, recipient)
    with _progress() as update:
        files.verify_files(to, made, update)
    rotated = rotate(into, policy) if policy is not None else RotationResult()
    return to, made, RotationResult((*unfinished, *rotated.removed), rotated.unreadable)


async def restore(
    folder: Path, data_dir: Path | None, key_file: Path | None, *, replace: bool, erasures: Path | None = None
) -> RestoreResult:
    """Verify the backup in `folder`, restore it, and repeat the erasures that the folder `erasures` lists."""
    found = manifest.read(folder)
    key = decrypt_key(found.sealed, key_file) if found.sealed is not None else None
    with _progress() as update:
        files.verify_files(folder, found, update)
    listed = read_erasures(data_dir, erasures)
    if listed is None:
        message = "There is no list of erasures: texts erased after the backup come back. Name one with --erasures."
        stderr.print(message, style="yellow")
    async with open_target(data_dir) as target:
        target = replaced(target, erasures=tuple(listed or ()))
        with _progress() as update:
            try:
                return await restoring.restore(folder, found, key, target, update, replace=replace)
            except errors.Error as error:
                message = f"NATS stopped answering during the restore ({type(error).__name__}): run it again."
                raise CommandError(message) from None
