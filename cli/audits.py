"""`countersign audit`: what is said on a terminal."""

import json
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cli.audit import run
from cli.audit.report import Report

console = Console(stderr=True)


async def verify(data_dir: Path, case: str | None) -> Report:
    """With a bar on a terminal."""
    columns = (SpinnerColumn(), TextColumn("events"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("events", total=None)
        return await run.verify(data_dir, case, lambda done, all: progress.update(task, completed=done, total=all))


def say(report: Report, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(report.as_dict()))
        return
    for fault in report.faults:
        print(fault)
    for words in report.unchecked:
        print(f"not checked: {words}")
    counts = f"{report.cases} cases, {report.events} events, {report.checkpoints} checkpoints"
    print(f"{'verified' if report.verified else 'NOT VERIFIED'}: {counts}")
