"""`countersign audit`: what is said on a terminal, and checkpoints by hand."""

import json
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from cli.audit import proof, run
from cli.audit.report import Report
from cli.reach import open_bus
from shared.contracts.checkpoint import Checkpoint
from shared.messaging.checkpoints import Checkpoints, Folder, public_key, signing_key

console = Console(stderr=True)


async def verify(data_dir: Path | None, case: str | None, checkpoints: Path | None, key: Path | None) -> Report:
    """With a bar on a terminal."""
    columns = (SpinnerColumn(), TextColumn("events"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("events", total=None)

        def tell(done: int, all: int) -> None:
            progress.update(task, completed=done, total=all)

        return await run.verify(data_dir, case, tell, checkpoints, key)


def say(report: Report, *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(report.as_dict()))
        return
    for fault in report.faults:
        print(fault)
    for words in report.unchecked:
        print(f"not checked: {words}")
    for case in report.reimported:
        print(f"case {case}: re-imported from the chart after a restore (countersign cases history {case})")
    counts = f"{report.cases} cases, {report.events} events, {report.checkpoints} checkpoints"
    if report.erased:
        print(
            f"erased: the texts of {report.erased} cases; their events, and what the chart has of them, were verified"
        )
    print(f"{'verified' if report.verified else 'NOT VERIFIED'}: {counts}")


async def checkpoint(data_dir: Path | None, folder: Path, key: Path) -> list[Checkpoint]:
    """As many as there is something to cover for."""
    made: list[Checkpoint] = []
    signs = signing_key(key)
    async with open_bus(data_dir, "auditor") as connection:
        maker = Checkpoints(connection, Folder(folder), signs, lambda: datetime.now(UTC))
        while (found := await maker.make()) is not None:
            made.append(found)
    return made


def say_made(made: list[Checkpoint], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps([item.model_dump(mode="json") for item in made]))
        return
    for item in made:
        print(f"checkpoint {item.number}: trail up to {item.last}, looks up to {item.access_last}, root {item.root}")
    if not made:
        print("Nothing has happened since the last checkpoint.")


def prove(case: str, folder: Path, *, as_json: bool) -> None:
    found = proof.prove(Folder(folder), case)
    if as_json:
        print(found.model_dump_json())
    else:
        print(f"case {case}: event at sequence {found.sequence}, digest {found.digest}; --json writes the proof")


def check_proof(file: Path, key: Path, *, as_json: bool) -> None:
    found, checkpoint = proof.check(file.read_bytes(), public_key(key))
    if as_json:
        facts = {"case": found.case, "sequence": found.sequence, "digest": found.digest}
        print(json.dumps(facts | {"checkpoint": checkpoint.number, "time": checkpoint.time.isoformat()}))
        return
    print(
        f"proven: on {checkpoint.time:%Y-%m-%d %H:%M} UTC (checkpoint {checkpoint.number}) case {found.case} "
        f"ended with the event at sequence {found.sequence}, whose digest is {found.digest}"
    )
