"""`make bench-compare BENCH="REVISION"`: cases/s and CPU a case of a revision and of this checkout, in turns.

The revision is checked out into a worktree of its own, with an environment from its own lock. A revision whose
benchmark does not run cannot be compared: the failure is printed.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bench.run import ROOT, ROWS, medians

MODULES = ("bench.systems.countersign", "bench.legs.countersign")  # the second until 2026-11-29
KEYS = ("cases_per_second", "cpu_ms_per_case", "memory_at_rest_mb")
console = Console(stderr=True)


@dataclass(frozen=True)
class Side:
    """A checkout and the interpreter that runs it."""

    name: str
    directory: Path
    python: Path

    def measure(self, plan: dict[str, int]) -> dict[str, Any]:
        """Return the figures of one run. Exits with 1 where the benchmark of this side fails."""
        module = next(name for name in MODULES if (self.directory / f"{name.replace('.', '/')}.py").exists())
        command = [str(self.python), "-m", module, json.dumps(plan)]
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.directory)
        if done.returncode != 0:
            console.print(f"the benchmark of {self.name} failed:", done.stderr[-2000:], markup=False)
            raise typer.Exit(1)
        found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
        return found


@contextmanager
def checkout(revision: str) -> Iterator[Side]:
    """Check `revision` out, with its own environment; both are removed afterwards."""
    uv = str(Path(sys.executable).with_name("uv"))
    with tempfile.TemporaryDirectory(prefix="countersign-compare-") as place:
        directory = Path(place) / "checkout"
        subprocess.run(
            ["git", "worktree", "add", "--quiet", "--detach", str(directory), revision], check=True, cwd=ROOT
        )
        try:
            subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, ".venv"], check=True, cwd=directory)
            python = directory / ".venv" / "bin" / "python"
            install = [uv, "pip", "sync", "--quiet", "--require-hashes", "--python", str(python), "locks/dev.txt"]
            subprocess.run(install, check=True, cwd=directory)
            yield Side(revision, directory, python)
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", str(directory)], check=False, cwd=ROOT)


def cell(median: float, values: list[float]) -> str:
    return f"{median:g} ({min(values):g} to {max(values):g})"


def main(
    revision: Annotated[str, typer.Argument(help="what to compare this checkout with, for example HEAD~1")],
    cases: Annotated[int, typer.Option(help="cases of a run")] = 400,
    rounds: Annotated[int, typer.Option(help="runs of each side; the median counts")] = 6,
    as_json: Annotated[bool, typer.Option("--json", help="the result on stdout")] = False,
) -> None:
    """Run the case of the benchmark on both sides, `rounds` times each, the first one alternating."""
    plan = {"cases": cases, "warm_up": 100, "alone": 20, "parked": 20}
    with console.status(f"installing {revision} …"), checkout(revision) as before:
        sides = [before, Side("this checkout", ROOT, Path(sys.executable))]
        runs: dict[str, list[dict[str, Any]]] = {side.name: [] for side in sides}
        for number in range(rounds):
            for side in sides if number % 2 == 0 else reversed(sides):
                console.log(f"round {number + 1} of {rounds}: {side.name}")
                runs[side.name].append(side.measure(plan))
    result = {name: medians(items) for name, items in runs.items()}
    if as_json:
        print(json.dumps({"medians": result, "runs": runs}))
    table = Table("median (least to most)", *runs, "ratio")
    for key in KEYS:
        cells = [cell(result[name][key], [item[key] for item in items]) for name, items in runs.items()]
        table.add_row(ROWS[key], *cells, f"{result['this checkout'][key] / result[revision][key]:.3f}")
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
