"""`make bench-telemetry`: what telemetry adds to a case, against the same stack that says nothing.

Countersign as in `bench/run.py`, each service a process, with a receiver of OTLP in this one; the ways take turns,
so that a machine that changes its speed does so for all of them.
"""

import asyncio
import json
import os
import statistics
import tempfile
from pathlib import Path
from typing import Annotated

import typer
import uvloop

from bench.result_files import keep
from bench.system import run_cases
from bench.systems.countersign import Countersign
from tests.support.otlp import receiver

AT_ONCE = 64
WAYS: dict[str, tuple[str, ...]] = {  # what is exported
    "nothing": (),
    "metrics": ("METRICS_",),
    "metrics and every trace": ("METRICS_", "TRACES_"),
}
PATHS = {"METRICS_": "/v1/metrics", "TRACES_": "/v1/traces"}


async def measure(signals: tuple[str, ...], url: str, cases: int) -> float:
    """CPU ms a case of services and server."""
    settings = {f"OTEL_EXPORTER_OTLP_{signal}ENDPOINT": url + PATHS[signal] for signal in signals}
    os.environ.update(settings)  # the services' processes inherit it
    try:
        with tempfile.TemporaryDirectory(prefix="countersign-bench-") as directory:
            system = Countersign(Path(directory), together=False)
            try:
                await system.start()
                await run_cases(system, "warm", 300, AT_ONCE)
                before = system.cpu()
                await run_cases(system, "case", cases, AT_ONCE)
                return (system.cpu() - before) / cases * 1000
            finally:
                await system.stop()
    finally:
        for name in settings:
            del os.environ[name]


def main(
    cases: Annotated[int, typer.Option(help="cases a run")] = 2000,
    rounds: Annotated[int, typer.Option(help="runs of each way, of which the median is told")] = 3,
) -> None:
    cpu_ms: dict[str, list[float]] = {way: [] for way in WAYS}
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner, receiver() as received:
        for _ in range(rounds):
            for way, signals in WAYS.items():
                cpu_ms[way].append(runner.run(measure(signals, received.url, cases)))
    nothing = statistics.median(cpu_ms["nothing"])
    results = {
        way: {
            "cpu_ms_per_case": round(statistics.median(runs), 2),
            "ratio": round(statistics.median(runs) / nothing, 3),
            "runs": [round(run, 2) for run in runs],
        }
        for way, runs in cpu_ms.items()
    }
    keep("telemetry", results)
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    typer.run(main)
