"""`countersign cases reimport`: import signed documents from the EHR after a restore."""

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import typer
from pydantic import ValidationError
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cli.errors import CommandError
from cli.output import emit, make_table, print_table, stderr
from cli.reimport.run import CaseFindings, CheckpointFiles, ReimportResult, reimport
from shared.contracts.ehr import ReimportRequested


def run(
    data_dir: Path | None,
    cases: Sequence[str],
    by: str,
    reason: str | None,
    department: str | None,
    checkpoints: Path | None,
    key: Path | None,
    *,
    yes: bool,
    as_json: bool,
) -> None:
    """Exit with code 1 when something is left to do."""
    if yes and not (reason or "").strip():
        raise CommandError("Give the reason with --reason: it is recorded in the event.")
    if (checkpoints is None) != (key is None):
        raise CommandError("Checkpoints are verified with a key: give --checkpoints and --key, or neither.")
    files = CheckpointFiles(checkpoints, key) if checkpoints is not None and key is not None else None
    try:
        request = ReimportRequested(by=by, reason=reason or "dry run", department=department)
    except ValidationError as error:
        fields = ", ".join(str(item["loc"][0]) for item in error.errors(include_input=False))
        raise CommandError(f"These values cannot be recorded: {fields}.") from None
    columns = SpinnerColumn(), TextColumn("{task.completed} cases"), TimeElapsedColumn()
    with Progress(*columns, console=stderr, transient=True) as progress:
        task = progress.add_task("cases", total=None)

        def update(done: int) -> None:
            progress.update(task, completed=done)

        found = asyncio.run(reimport(data_dir, cases, request if yes else None, department, files, update))
    result = {
        "cases": [item.as_dict() for item in found.cases],
        "refused": [asdict(item) for item in found.refused],
        "unchecked": found.unchecked,
        "unreadable": [{"case_id": item.case, "state": item.state, "words": item.words} for item in found.unreadable],
    }
    emit(result, as_json, lambda: _print_result(found))
    if not found.done:
        raise typer.Exit(1)


def _print_result(found: ReimportResult) -> None:
    _print_cases(found.cases)
    for draft in found.refused:
        print(
            f"case {draft.case}: Task {draft.task} was completed as {draft.outcome} after the backup; "
            "its comment is lost, so the draft must be rejected again"
        )
    for reason in found.unchecked:
        print(f"not checked: {reason}")
    for item in found.unreadable:
        print(f"case {item.case} ({item.state}): {item.words}")
    if found.unreadable:
        print("The chart of these cases cannot be read back: see docs/how-to/backup-and-restore.md")
    elif not found.cases:
        print("The EHR has no document of ours that is missing from the event stream.")
    elif any(item.state == "to be taken over" for item in found.cases):
        print('Nothing was imported. To import it, add: --yes --reason "…"')


def _print_cases(cases: Sequence[CaseFindings]) -> None:
    table = make_table("case", "what", "signed by", "at", "document/version", "")
    for case in cases:
        for item in case.ready:
            document = f"{item.document}/{item.version or '-'}" if item.document else item.provenance
            time = f"{item.signed_at:%Y-%m-%d %H:%M} UTC"
            table.add_row(case.case, item.what, item.signer, time, document, case.state)
        for reason in case.stopped:
            table.add_row(case.case, "not imported", "", "", "", reason)
    if table.row_count:
        print_table(table)
