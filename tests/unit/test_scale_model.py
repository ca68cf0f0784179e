"""The model on paper: that it grows as it should, and that the page shows what it says."""

import json
from dataclasses import replace
from pathlib import Path

from bench.scale_model import SYSTEMS, Assumed, Measured, need, read, table

PAGE = Path(__file__).parents[2] / "docs/explanation/scaling.md"
MEASURED = Measured(services_ms=5, server_ms=2.5, disk_kb=12, synced_writes=10, waiting_kb=6.5)


def test_ten_times_the_discharges_need_ten_times_as_much() -> None:
    small, large = (need(50, discharges, MEASURED, Assumed()) for discharges in (5_000, 50_000))
    assert round(large.cases_per_second / small.cases_per_second) == 10
    assert round(large.stored_tb / small.stored_tb) == 10
    assert large.gpus > small.gpus
    assert large.dollars > small.dollars


def test_a_case_that_costs_twice_as_much_needs_twice_the_cores() -> None:
    costly = replace(MEASURED, services_ms=4000)
    assert need(1, 50_000, costly, Assumed()).service_cores == 28  # 3.47 cases/s, 4 s each, half of a core used


def test_what_was_measured_is_read_from_the_run_with_one_process_each(tmp_path: Path) -> None:
    run = {"cpu_ms_per_case": {"nats-server": 2.0, "drafter": 1.5, "approval": 2.5}, "disk_kb_per_case": 12.5}
    file = tmp_path / "scale.json"
    file.write_text(json.dumps({"runs": [run, {}]}))
    assert read(file) == Measured(services_ms=4.0, server_ms=2.0, disk_kb=12.5, synced_writes=16, waiting_kb=6.5)


def test_the_page_shows_what_the_model_says_of_the_inputs_it_names() -> None:
    text = PAGE.read_text()
    line = next(line for line in text.splitlines() if line.startswith("Inputs: `"))
    inputs = Measured(**json.loads(line.split("`")[1]))
    assert table(inputs, Assumed()) in text
    assert SYSTEMS[-1] == (500, 50_000)
