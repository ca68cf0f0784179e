"""`python -m tests.proof`, which is `make proof`."""

import json
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated

import typer
import uvloop
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from tests.proof.run import Options, Outcome, Tell, prove
from tests.support.clock import LIBRARY

DEFAULT = Options()
EVERY = 15.0  # seconds between two lines where there is no terminal
console = Console(stderr=True)


def run(
    cases: Annotated[int, typer.Option(min=1, help="stays that are discharged")] = DEFAULT.cases,
    kills: Annotated[int, typer.Option(min=0, help="times that a process is killed with -9")] = DEFAULT.kills,
    restores: Annotated[int, typer.Option(min=0, help="backups that are put back meanwhile")] = DEFAULT.restores,
    minutes: Annotated[float, typer.Option(help="after which no further case is begun")] = DEFAULT.minutes,
    seed: Annotated[int, typer.Option(help="the same seed: the same plans and faults")] = DEFAULT.seed,
    at_once: Annotated[int, typer.Option(min=1, help="cases whose people are at work at once")] = DEFAULT.at_once,
    patience: Annotated[float, typer.Option(help="seconds of quiet at the end, at most")] = DEFAULT.patience,
    triton: Annotated[bool, typer.Option("--triton", help="the real Triton as the model server")] = False,
    upgrade_from: Annotated[str, typer.Option(help="commit whose services run until an upgrade under load")] = "",
    keep: Annotated[Path | None, typer.Option(help="folder for everything that the run leaves behind")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Run cases on every path under faults, then let the independent checker decide which rules hold.

    The exit code is 1 if one is violated; the evidence is kept then (docs/explanation/fault-testing.md).
    """
    options = Options(
        cases=cases,
        kills=kills,
        restores=restores,
        minutes=minutes,
        seed=seed,
        at_once=at_once,
        patience=patience,
        triton=triton,
        upgrade_from=upgrade_from,
    )
    if LIBRARY is None:
        raise typer.BadParameter("libfaketime is missing: run tools/fetch.sh libfaketime")
    directory = keep or Path(tempfile.mkdtemp(prefix="countersign-proof-"))
    directory.mkdir(parents=True, exist_ok=True)
    if any(directory.iterdir()):
        raise typer.BadParameter(f"{directory} is not empty", param_hint="--keep")
    outcome = uvloop.run(_shown(options, directory))
    report = {"seed": seed, "holds": outcome.holds, "violations": [str(item) for item in outcome.violations]}
    report |= {"options": {name: getattr(options, name) for name in options.__slots__}, "figures": outcome.figures}
    (directory / "report.json").write_text(json.dumps(report, indent=1))
    print(json.dumps(report)) if as_json else _say(outcome, directory)
    if outcome.holds and keep is None:
        shutil.rmtree(directory)
    if not outcome.holds:
        raise typer.Exit(1)


async def _shown(options: Options, directory: Path) -> Outcome:
    """With a bar on a terminal, else with a line now and then."""
    if not console.is_terminal:
        return await prove(options, directory, _lines())
    shown = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*shown, console=console, transient=True) as progress:
        task = progress.add_task("starting", total=options.cases)

        def tell(what: str, done: int, total: int) -> None:
            progress.update(task, description=what, completed=done, total=total)

        return await prove(options, directory, tell)


def _lines() -> Tell:
    last = time.monotonic()

    def tell(what: str, done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last > EVERY:
            last = time.monotonic()
            print(f"{what}: {done} of {total}", file=sys.stderr, flush=True)

    return tell


def _say(outcome: Outcome, directory: Path) -> None:
    for name, value in outcome.figures.items():
        shown = ", ".join(f"{part} {count}" for part, count in value.items()) if isinstance(value, dict) else value
        print(f"{name.replace('_', ' ')}: {shown}")
    for violation in outcome.violations:
        print(f"DOES NOT HOLD: {violation}")
    print("everything holds" if outcome.holds else f"NOT PROVEN: the evidence is in {directory}")


if __name__ == "__main__":
    typer.run(run)
