"""`countersign backup` and `countersign restore`.

Modules that connect to NATS are imported when a command runs, so that `--help` stays fast.
"""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import CommandError
from cli.options import AsJson, DataDir
from cli.output import emit, stderr
from cli.runtime import run_async

if TYPE_CHECKING:
    from cli.backup.manifest import Manifest
    from cli.backup.restore import RestoreResult
    from cli.backup.rotation import RotationResult


def backup(
    to: Annotated[Path | None, typer.Option("--to", help="new folder for the backup")] = None,
    into: Annotated[Path | None, typer.Option("--into", help="folder of backups; adds a new one below it")] = None,
    keep: Annotated[
        int | None, typer.Option("--keep", min=1, help="with --into: keep this many of the newest backups")
    ] = None,
    keep_weekly: Annotated[
        int, typer.Option("--keep-weekly", min=0, help="with --keep: also keep the newest backup of this many weeks")
    ] = 0,
    encrypt_to: Annotated[
        Path | None, typer.Option("--encrypt-to", help="X25519 public key to encrypt the backup to, PEM file")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Back up a stack while it runs. Leaves out the EHR, keys and tokens."""
    if (to is None) == (into is None):
        raise CommandError("Name the new folder with --to, or a folder of backups with --into.")
    if into is None and (keep is not None or keep_weekly):
        raise CommandError("--keep and --keep-weekly apply to a folder of backups: name it with --into.")
    made, folder = run_async(_back_up(to, into, keep, keep_weekly, data_dir, encrypt_to))
    _print_backup(made, folder, as_json=as_json)
    if made.trail.broken:
        raise typer.Exit(1)


async def _back_up(
    to: Path | None,
    into: Path | None,
    keep: int | None,
    keep_weekly: int,
    data_dir: Path | None,
    encrypt_to: Path | None,
) -> "tuple[Manifest, Path]":
    from cli.backup.rotation import RetentionPolicy
    from cli.backup.run import back_up, back_up_and_rotate

    if into is not None:
        policy = RetentionPolicy(keep, keep_weekly) if keep is not None else None
        folder, made, rotated = await back_up_and_rotate(into, data_dir, encrypt_to, policy, datetime.now(UTC))
        _print_rotation(rotated)
        return made, folder
    assert to is not None  # noqa: S101 - checked by the caller
    return await back_up(to, data_dir, encrypt_to), to


def restore(
    source: Annotated[Path, typer.Option("--from", help="folder of the backup")],
    key: Annotated[
        Path | None, typer.Option("--key", help="X25519 private key of an encrypted backup, PEM file")
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="restore even if the stack is not empty; its data is lost")
    ] = False,
    erasures: Annotated[
        Path | None, typer.Option("--erasures", help="folder with the list of erasures made since the backup")
    ] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Restore a backup into an empty, stopped stack, and verify every chain."""
    from cli.backup import run

    done = run_async(run.restore(source, data_dir, key, replace=replace, erasures=erasures))
    emit(asdict(done), as_json, lambda: _print_restored(done))


def _print_backup(made: "Manifest", to: Path, *, as_json: bool) -> None:
    size = sum(part.bytes for part in made.files)
    points = sum(part.points for part in made.vectors)
    result = {"to": str(to), "id": made.id, "made_at": made.made_at.isoformat(), "encrypted": made.sealed is not None}
    counts = {"cases": made.trail.cases, "events": made.trail.events, "points": points, "bytes": size}
    text = (
        f"backup {made.id} in {to}: {made.trail.cases} cases, {made.trail.events} events, {points} vectors, "
        f"{size / 1e6:.1f} MB; {_chain_status(len(made.trail.broken))}"
    )
    emit(result | counts | {"broken": len(made.trail.broken)}, as_json, text)
    if made.sealed is None and not as_json:
        message = "The backup holds patient data and is not encrypted: use --encrypt-to PUBLIC_KEY."
        stderr.print(message, style="yellow")


def _print_rotation(done: "RotationResult") -> None:
    for path in done.removed:
        stderr.print(f"removed {path}")
    for path in done.unreadable:
        stderr.print(f"{path} looks like a backup but cannot be read; it was not removed.", style="yellow")


def _print_restored(done: "RestoreResult") -> None:
    print(
        f"restored: {done.cases} cases, {done.events} events, {done.points} vectors, {done.timers} timers, "
        f"{done.erased} repeated erasures; {_chain_status(done.broken)}. "
        "Start the stack, then run: countersign doctor && countersign audit verify"
    )
    stderr.print(
        "Documents signed after the backup may be in the EHR. Before anyone signs, run: countersign cases reimport"
    )
    stderr.print("Decisions taken in the EHR are held. To allow them, run: countersign ehr-decisions allow")


def _chain_status(broken: int) -> str:
    if not broken:
        return "every chain is valid"
    return f"THE CHAIN IS BROKEN AT {broken} EVENTS: countersign audit verify"
