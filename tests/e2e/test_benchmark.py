"""The benchmark of the case drives the services as they are: each of its figures is measured."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from bench.run import ROWS

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
PLAN = {"cases": 4, "at_once": 2, "alone": 2, "warm_up": 1, "parked": 2}


@pytest.mark.parametrize("options", [["--text-only"], ["--together"]], ids=["a process each", "one process"])
def test_the_benchmark_measures_cases_from_discharge_to_filed(options: list[str]) -> None:
    command = [sys.executable, "-m", "bench.systems.countersign", json.dumps(PLAN), *options]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=100)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout.splitlines()[-1])
    assert figures.keys() == ROWS.keys()
    assert figures["cases_per_second"] > 0
    assert figures["filed_ms"]["p50"] > 0
