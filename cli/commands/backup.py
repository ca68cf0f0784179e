"""`countersign backup` and `restore`: everything that a stack knows, as files, and back."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from dataclasses import replace as replaced
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from nats import errors
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cli.backup import files, manifest
from cli.backup.create import BackupRequest, create_backup
from cli.backup.encryption import decrypt_key
from cli.backup.endpoints import is_in_data_dir, open_source, open_target, read_erasures
from cli.backup.files import ProgressCallback
from cli.backup.manifest import Manifest
from cli.backup.restore import RestoreResult
from cli.backup.restore import restore as put_back
from cli.backup.rotation import RetentionPolicy, RotationResult, folder_name, remove_unfinished, rotate
from cli.errors import CommandError

DataDir = Annotated[Path | None, typer.Option("--data-dir", help="the stack's data directory")]
AsJson = Annotated[bool, typer.Option("--json", help="one JSON object on stdout")]
console = Console(stderr=True)


@contextmanager
def _progress() -> Iterator[ProgressCallback]:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("connecting", total=None)

        def tell(what: str, done: int, total: int | None) -> None:
            progress.update(task, description=what, completed=done, total=total)

        yield tell


async def make_backup(
    to: Path | None,
    into: Path | None,
    keep: int | None,
    weekly: int,
    data_dir: Path | None,
    recipient: Path | None,
    *,
    as_json: bool,
) -> bool:
    """Make one in `to`, or a further one below `into`, and say so. Whether every chain holds."""
    if (to is None) == (into is None):
        raise CommandError("Name the new folder with --to, or a folder of backups with --into.")
    if into is None and (keep is not None or weekly):
        raise CommandError("--keep and --keep-weekly are about the backups of a folder: name it with --into.")
    if into is not None:
        turn = RetentionPolicy(keep, weekly) if keep is not None else None
        to, made, rotated = await back_up_in_turn(into, data_dir, recipient, turn, datetime.now(UTC))
        say_rotated(rotated)
    else:
        assert to is not None  # noqa: S101 - one of the two is
        made = await back_up(to, data_dir, recipient)
    say_backup(made, to, as_json=as_json)
    return not made.trail.broken


async def back_up(to: Path, data_dir: Path | None, recipient: Path | None) -> Manifest:
    """Make a backup in the folder `to`, with a bar on a terminal."""
    if is_in_data_dir(to, data_dir):
        raise CommandError("A backup must not lie in the data directory that it is of: name another folder with --to.")
    async with open_source(data_dir) as found:
        wanted = BackupRequest(to, found.bus, found.vectors, str(uuid4()), datetime.now(UTC), recipient, found.declared)
        with _progress() as tell:
            return await create_backup(wanted, tell)


async def back_up_in_turn(
    into: Path, data_dir: Path | None, recipient: Path | None, keep: RetentionPolicy | None, now: datetime
) -> tuple[Path, Manifest, RotationResult]:
    """Make a backup in a new folder below `into`, check what was written, then remove those that are not kept."""
    if is_in_data_dir(into, data_dir):
        raise CommandError(
            "A backup must not lie in the data directory that it is of: name another folder with --into."
        )
    rests = remove_unfinished(into, now)
    to = into / folder_name(now)
    made = await back_up(to, data_dir, recipient)
    with _progress() as tell:
        files.verify_files(to, made, tell)
    rotated = rotate(into, keep) if keep is not None else RotationResult()
    return to, made, RotationResult((*rests, *rotated.removed), rotated.unreadable)


async def restore(
    folder: Path, data_dir: Path | None, key: Path | None, *, replace: bool, erasures: Path | None = None
) -> RestoreResult:
    """Check the backup in `folder`, then put it back, and erase again what the folder `erasures` lists."""
    found = manifest.read(folder)
    seal = decrypt_key(found.sealed, key) if found.sealed is not None else None
    with _progress() as tell:
        files.verify_files(folder, found, tell)
    listed = read_erasures(data_dir, erasures)
    if listed is None:
        words = "There is no list of erasures: what was erased after the backup comes back. Name one with --erasures."
        console.print(words, style="yellow")
    async with open_target(data_dir) as place:
        place = replaced(place, erasures=tuple(listed or ()))
        with _progress() as tell:
            try:
                return await put_back(folder, found, seal, place, tell, replace=replace)
            except errors.Error as error:
                raise CommandError(
                    f"NATS did not answer in the middle of it ({type(error).__name__}): run it again."
                ) from None


def say_backup(made: Manifest, to: Path, *, as_json: bool) -> None:
    size = sum(part.bytes for part in made.files)
    points = sum(part.points for part in made.vectors)
    if as_json:
        facts = {"id": made.id, "made_at": made.made_at.isoformat(), "encrypted": made.sealed is not None}
        counts = {"cases": made.trail.cases, "events": made.trail.events, "points": points, "bytes": size}
        counts["broken"] = len(made.trail.broken)
        print(json.dumps({"to": str(to)} | facts | counts))
        return
    print(
        f"backup {made.id} in {to}: {made.trail.cases} cases, {made.trail.events} events, {points} vectors, "
        f"{size / 1e6:.1f} MB; {_chains(len(made.trail.broken))}"
    )
    if made.sealed is None:
        console.print("It is not encrypted and holds patient data: --encrypt-to PUBLIC_KEY seals it.", style="yellow")


def say_rotated(done: RotationResult) -> None:
    for path in done.removed:
        console.print(f"removed {path}")
    for path in done.unreadable:
        console.print(f"{path} looks like a backup and cannot be read: it was left there.", style="yellow")


def say_restored(done: RestoreResult, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(asdict(done)))
        return
    print(
        f"restored: {done.cases} cases, {done.events} events, {done.points} vectors, {done.timers} timers set, "
        f"{done.erased} erasures done again; {_chains(done.broken)}. "
        "Start the stack, then: countersign doctor && countersign audit verify"
    )
    console.print(
        "What was signed since the backup may be in the chart: countersign cases reimport, before anybody signs"
    )
    console.print(
        "What is decided in the EHR waits until somebody says that it counts: countersign ehr-decisions allow"
    )


def _chains(broken: int) -> str:
    return "every chain holds" if not broken else f"THE CHAIN BREAKS AT {broken} EVENTS: countersign audit verify"
