"""`make bench-airflow`: a refresh beside the same pipeline as an Airflow DAG of four tasks that do nothing.

Ours does its work: one document has changed, is read, cut, embedded, stored, compared, and the version promoted.
Airflow runs as `airflow standalone` does (scheduler, DAG processor, triggerer, API server, LocalExecutor, sqlite).
"""

import asyncio
import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from bench.documents import declare, write_pages
from bench.result_files import ROOT, keep
from bench.stack import running
from cli.stack.ports import free_port

AIRFLOW = ROOT / ".venv-airflow" / "bin"
RUNS = 5
TIMEOUT_S = 180.0


def cpu_seconds(root: psutil.Process) -> float:
    """User and system time of a process, of everything below it, and of those below it that have ended."""
    return sum(sum(process.cpu_times()[:4]) for process in (root, *root.children(recursive=True)))


def memory_mb(root: psutil.Process) -> float:
    """Proportional set size of the whole tree: shared pages count once."""
    return sum(process.memory_full_info().pss for process in (root, *root.children(recursive=True))) / 2**20


@contextmanager
def standalone(home: Path) -> Iterator[tuple[psutil.Process, dict[str, str]]]:
    (home / "dags").mkdir()
    shutil.copy(ROOT / "bench" / "airflow_dag.py", home / "dags" / "refresh.py")
    environment = os.environ | {
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(free_port()),
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__TRIGGERER__DEFAULT_CAPACITY": "10",
        "PATH": f"{AIRFLOW}:{os.environ['PATH']}",
    }
    environment["AIRFLOW__CORE__EXECUTION_API_SERVER_URL"] = (
        f"http://127.0.0.1:{environment['AIRFLOW__API__PORT']}/execution/"
    )
    with (home / "log").open("w") as log:
        process = psutil.Popen([str(AIRFLOW / "airflow"), "standalone"], env=environment, stdout=log, stderr=log)
    try:
        yield process, environment
    finally:
        for child in (*process.children(recursive=True), process):
            child.kill()
        process.wait()


def run_dag(home: Path, environment: dict[str, str], name: str) -> float:
    """Trigger and wait; seconds from the request as Airflow noted it to the end of the run."""
    until = time.monotonic() + TIMEOUT_S
    command = [str(AIRFLOW / "airflow"), "dags", "trigger", "refresh", "--run-id", name]
    while subprocess.run(command, env=environment, capture_output=True).returncode:  # it may not have read the DAG yet
        if time.monotonic() > until:
            raise SystemExit(f"Airflow takes no run: see {home / 'log'}")
        time.sleep(1)
    while time.monotonic() < until:
        with closing(sqlite3.connect(f"file:{home / 'airflow.db'}?mode=ro", uri=True)) as database:
            query = "select state, queued_at, end_date from dag_run where run_id = ?"
            state, queued, ended = database.execute(query, (name,)).fetchone()
        if state == "success":
            return (datetime.fromisoformat(ended) - datetime.fromisoformat(queued)).total_seconds()
        if state == "failed":
            break
        time.sleep(0.2)
    raise SystemExit(f"the run did not succeed: see {home / 'log'}")


def airflow() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as directory:
        home = Path(directory)
        with standalone(home) as (process, environment):
            run_dag(home, environment, "warm-up")
            before, seconds, started = cpu_seconds(process), [], time.monotonic()
            for number in range(RUNS):
                seconds.append(run_dag(home, environment, f"run-{number}"))
            used, busy = cpu_seconds(process) - before, time.monotonic() - started
            before = cpu_seconds(process)
            time.sleep(20)
            idle = (cpu_seconds(process) - before) / 20
            return {
                "seconds": round(statistics.median(seconds), 2),
                "cpu_seconds": round((used - idle * busy) / RUNS, 2),
                "idle_cpu_percent": round(idle * 100, 1),
                "memory_mb": round(memory_mb(process)),
            }


async def ours() -> dict[str, float]:
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        write_pages(folder / "pages", 200, 60)
        async with running(declare(folder)) as stack:
            await stack.refresh()
            before, seconds = cpu_seconds(stack.process), []
            for number in range(RUNS):
                (folder / "pages" / "page-00000.md").write_text(f"# Page 0\n\nNow it says {number}.\n")
                ended, took = await stack.refresh()
                assert ended["chunks"]["embedded"] == 1, ended
                seconds.append(took)
            used = cpu_seconds(stack.process) - before
            before = cpu_seconds(stack.process)
            await asyncio.sleep(20)
            return {
                "seconds": round(statistics.median(seconds), 3),
                "cpu_seconds": round(used / RUNS, 3),
                "idle_cpu_percent": round((cpu_seconds(stack.process) - before) / 20 * 100, 1),
                "memory_mb": round(memory_mb(stack.process)),
            }


def main() -> None:
    found: dict[str, Any] = {"countersign": asyncio.run(ours()), "airflow": airflow()}
    found["seconds_ratio"] = round(found["airflow"]["seconds"] / found["countersign"]["seconds"], 1)
    found["cpu_ratio"] = round(found["airflow"]["cpu_seconds"] / found["countersign"]["cpu_seconds"], 1)
    keep("airflow", found)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
