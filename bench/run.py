"""`make bench`: the same case on Countersign, Temporal and Restate, one after the other in one run.

Figures are for comparing within a run; `bench/README.md` says how each system is tuned and what is counted.
"""

import asyncio
import json
import platform
import statistics
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
from rich.console import Console
from rich.table import Table

from bench.system import Plan
from cli.stack.ports import free_port

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"
OURS = sys.executable
PEERS = str(ROOT / ".venv-bench" / "bin" / "python")

console = Console(stderr=True, width=None if sys.stderr.isatty() else 170)


@dataclass(frozen=True)
class Entry:
    """One system as a process: its interpreter, module and options."""

    name: str
    python: str
    module: str
    options: tuple[str, ...] = ()
    share: float = 1.0  # of the plan's cases, for engines that would take minutes


SYSTEMS = (
    Entry("countersign", OURS, "bench.systems.countersign"),
    Entry("countersign-together", OURS, "bench.systems.countersign", ("--together",)),
    Entry("countersign-text", OURS, "bench.systems.countersign", ("--text-only",)),
    Entry("temporal", PEERS, "bench.systems.temporal", share=0.25),
    Entry("temporal-local-activities", PEERS, "bench.systems.temporal", ("--local",), share=0.5),
    Entry("restate", PEERS, "bench.systems.restate", ("--inactivity=20s",)),
    Entry("restate-suspending", PEERS, "bench.systems.restate", ("--inactivity=1s",)),
)
ALL_SYSTEMS = ",".join(item.name for item in SYSTEMS)
ROWS = {
    "cases_per_second": "cases/s",
    "cpu_ms_per_case": "CPU ms a case",
    "review_ms": "discharge → review, ms p50 / p99",
    "filed_ms": "approval → filed, ms p50 / p99",
    "review_ms_loaded": "the same under load",
    "filed_ms_loaded": "the same under load",
    "memory_at_rest_mb": "memory at rest, MB",
    "parked_memory_kb": "memory a parked case, KB",
    "parked_disk_kb": "disk a parked case, KB",
}


def run_system(entry: Entry, plan: Plan) -> dict[str, Any]:
    """The figures of one system."""
    scaled = {name: max(20, int(value * entry.share)) for name, value in asdict(plan).items() if name != "at_once"}
    command = [entry.python, "-m", entry.module, json.dumps(scaled | {"at_once": plan.at_once}), *entry.options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode != 0:
        console.print(f"[red]{entry.name} failed[/]\n{done.stderr[-2000:]}")
        raise typer.Exit(1)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def medians(rounds: list[dict[str, Any]]) -> dict[str, Any]:
    """The median of each figure over the rounds."""

    def of(values: list[Any]) -> Any:
        if isinstance(values[0], dict):
            return {name: of([value[name] for value in values]) for name in values[0]}
        return round(statistics.median(values), 2)

    return {name: of([item[name] for item in rounds]) for name in rounds[0]}


def ratios(systems: dict[str, dict[str, Any]]) -> dict[str, float]:
    """Countersign ÷ peer, in cases/s and in CPU a case."""
    ours, found = systems["countersign"], {}
    for peer, suffix in (("temporal", ""), ("temporal-local-activities", "_temporal_local"), ("restate", "_restate")):
        if peer in systems:
            found[f"throughput_ratio{suffix}"] = round(ours["cases_per_second"] / systems[peer]["cases_per_second"], 2)
            found[f"cpu_ratio{suffix}"] = round(ours["cpu_ms_per_case"] / systems[peer]["cpu_ms_per_case"], 3)
    return found


async def embedded_at_rest() -> float:
    """Resident MB of nats-server and all services of `countersign up`, without the model server."""
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as directory:
        command = [str(Path(OURS).with_name("countersign")), "up", "--data-dir", directory, "--port", str(free_port())]
        process = await asyncio.create_subprocess_exec(
            *command,
            *("--drafter-model", "drafter-scripted"),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdout is not None
        await process.stdout.readline()
        parent = psutil.Process(process.pid)
        counted = [parent, *(child for child in parent.children() if child.name() == "nats-server")]
        resident = sum(item.memory_info().rss for item in counted)
        process.terminate()
        await process.wait()
    return round(resident / 2**20, 1)


def show(result: dict[str, Any]) -> None:
    """The table, and the ratios under it."""
    table = Table(header_style="bold")
    table.add_column("")
    for name in result["systems"]:
        table.add_column(name, justify="right")
    for key, title in ROWS.items():
        values = [system[key] for system in result["systems"].values()]
        words = [f"{item['p50']:g} / {item['p99']:g}" if isinstance(item, dict) else f"{item:g}" for item in values]
        table.add_row(title, *words)
    console.print(table)
    for name, value in result["ratios"].items():
        console.print(f"{name:32}{value:g}")
    console.print(f"embedded stack at rest, without models: {result['embedded_rest_mb']:g} MB")


def main(
    cases: Annotated[int, typer.Option(help="cases of a round, of a quick system")] = 600,
    rounds: Annotated[int, typer.Option(help="rounds; the median of each figure counts")] = 2,
    at_once: Annotated[int, typer.Option(help="cases in flight while throughput is taken")] = 32,
    systems: Annotated[str, typer.Option(help="which systems, comma separated")] = ALL_SYSTEMS,
    as_json: Annotated[bool, typer.Option("--json", help="the result on stdout, too")] = False,
) -> None:
    """Measure, print, and keep the result in bench/results/."""
    plan = Plan(cases=cases, at_once=at_once)
    wanted = [entry for entry in SYSTEMS if entry.name in systems.split(",")]
    found: dict[str, list[dict[str, Any]]] = {entry.name: [] for entry in wanted}
    for number in range(1, rounds + 1):
        for entry in wanted:
            with console.status(f"round {number} of {rounds}: {entry.name} …"):
                found[entry.name].append(run_system(entry, plan))
    by_system = {name: medians(items) for name, items in found.items()}
    with console.status("the embedded stack at rest …"):
        resting = asyncio.run(embedded_at_rest())
    result: dict[str, Any] = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": {"cpus": psutil.cpu_count(), "python": platform.python_version(), "kernel": platform.release()},
        "plan": asdict(plan) | {"rounds": rounds},
        "systems": by_system,
        "ratios": ratios(by_system) if "countersign" in by_system else {},
        "embedded_rest_mb": resting,
    }
    result |= result["ratios"]
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.json"
    file.write_text(json.dumps(result, indent=1) + "\n")
    (RESULTS / "latest.json").write_text(file.read_text())
    show(result)
    console.print(f"kept in {file.relative_to(ROOT)}")
    if as_json:
        print(json.dumps(result))


if __name__ == "__main__":
    typer.run(main)
