"""What `countersign cases reimport` says on a terminal."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import typer
from pydantic import ValidationError
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from cli.errors import CommandError
from cli.reimport.run import Looked, Outcome, reimport
from shared.contracts.ehr import ReimportRequested


def run(
    data_dir: Path | None,
    cases: Sequence[str],
    by: str,
    reason: str | None,
    department: str | None,
    *,
    yes: bool,
    as_json: bool,
) -> None:
    """Exit code 1 where something is left to be done."""
    if yes and not (reason or "").strip():
        raise CommandError("Say why with --reason: it is kept on the trail.")
    try:
        checked = ReimportRequested(by=by, reason=reason or "to see", department=department)
    except ValidationError as error:
        fields = ", ".join(str(item["loc"][0]) for item in error.errors(include_input=False))
        raise CommandError(f"This cannot be kept on the trail: {fields}.") from None
    columns = SpinnerColumn(), TextColumn("{task.completed} cases"), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("cases", total=None)

        def tell(done: int) -> None:
            progress.update(task, completed=done)

        found = asyncio.run(reimport(data_dir, cases, checked if yes else None, department, tell))
    _say(found, as_json=as_json)
    if not found.done:
        raise typer.Exit(1)


def _say(found: Outcome, *, as_json: bool) -> None:
    if as_json:
        refused = [asdict(item) for item in found.refused]
        cases = [item.as_dict() for item in found.cases]
        print(json.dumps({"cases": cases, "refused": refused, "unchecked": found.unchecked}))
        return
    _table(found.cases)
    for refusal in found.refused:
        says = f"Task {refusal.task} says {refusal.outcome}, and the trail has it as waiting"
        print(f"case {refusal.case}: {says}: its words are lost, and somebody has to refuse it again")
    for words in found.unchecked:
        print(f"not looked for: {words}")
    if not found.cases:
        print("The chart has nothing of ours that the trail does not know.")
    elif any(item.state == "to be taken over" for item in found.cases):
        print('Nothing was done. To take it over: --yes --reason "…"')


def _table(cases: Sequence[Looked]) -> None:
    table = Table(box=None, header_style="bold")
    for column in ("case", "what", "signed by", "at", "document/version", ""):
        table.add_column(column, overflow="fold")
    for case in cases:
        for item in case.ready:
            document = f"{item.document}/{item.version or '-'}" if item.document else item.provenance
            time = f"{item.signed_at:%Y-%m-%d %H:%M} UTC"
            table.add_row(case.case, item.what, item.signer, time, document, case.state)
        for words in case.stopped:
            table.add_row(case.case, "not taken over", "", "", "", words)
    if table.row_count:
        Console().print(table)
