"""A health system on paper: what `bench/scale.py` measured of one case, times as many as there are. Pure."""

import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DAY = 86_400
YEAR = 365


@dataclass(frozen=True, slots=True)
class Measured:
    """What one case costs. Milliseconds of one core; messages and kilobytes."""

    services_ms: float
    server_ms: float
    disk_kb: float
    synced_writes: float
    waiting_kb: float  # of memory, while it waits for its physician


@dataclass(frozen=True, slots=True)
class Assumed:
    """What the hospitals are like, and what is not ours. Change it: it is an assumption."""

    peak: float = 6.0  # the busiest hour's share of the mean hour
    waiting_days: float = 1.0  # how long a draft waits for its signature
    tokens_read: int = 1500
    tokens_written: int = 350
    gpu_tokens_per_second: float = 1500.0  # written; one GPU, an 8B model, batches: a guess in the middle
    fhir_calls: int = 60  # a case: some 40 to read the stay where every type is known, the rest to write and look again
    artifacts_kb: float = 135.0  # context, draft, signed text of a real stay, 60; its renditions, 75
    renditions_ms: float = 14.0  # processor time: mean over the stays of tests/stays
    replicas: int = 3
    usable: float = 0.5  # of a core or a GPU, so that queues stay short
    core_hour: float = 0.045  # USD, a list price of a general-purpose cloud core
    gpu_hour: float = 1.8  # USD, a 24 GB data-centre GPU
    gb_month: float = 0.10  # USD, block storage


@dataclass(frozen=True, slots=True)
class Need:
    """What a health system needs at its busiest hour, and keeps in a year."""

    hospitals: int
    discharges: int  # a day
    cases_per_second: float
    service_cores: int
    server_cores: int
    synced_writes: float  # a second, on each server
    gpus: int
    fhir_calls: float  # a second
    waiting_gb: float
    stored_tb: float  # a year, all replicas
    dollars: float  # an hour


def read(file: Path) -> Measured:
    """From what `bench/scale.py` kept: the run with one process of each service."""
    run: dict[str, Any] = json.loads(file.read_text())["runs"][0]
    cpu = run["cpu_ms_per_case"]
    return Measured(
        services_ms=sum(value for name, value in cpu.items() if name != "nats-server"),
        server_ms=cpu["nats-server"],
        disk_kb=run["disk_kb_per_case"],
        synced_writes=16,  # appends, artifacts, timer: bench/README.md, 10; the key; four renditions and their list
        waiting_kb=6.5,  # 1.3 in approval, the rest in nats-server: bench/README.md, "Waiting"
    )


def need(hospitals: int, discharges: int, measured: Measured, assumed: Assumed) -> Need:
    peak = discharges / DAY * assumed.peak

    def cores(milliseconds: float) -> int:
        return max(1, math.ceil(peak * milliseconds / 1000 / assumed.usable))

    gpus = max(1, math.ceil(peak * assumed.tokens_written / assumed.gpu_tokens_per_second / assumed.usable))
    stored = discharges * YEAR * (measured.disk_kb + assumed.artifacts_kb) * assumed.replicas / 1e9
    service, server = cores(measured.services_ms + assumed.renditions_ms), cores(measured.server_ms)
    hourly = (
        (service + server * assumed.replicas) * assumed.core_hour
        + gpus * assumed.gpu_hour
        + stored * 1000 * assumed.gb_month / 730
    )
    return Need(
        hospitals=hospitals,
        discharges=discharges,
        cases_per_second=round(peak, 2),
        service_cores=service,
        server_cores=server,
        synced_writes=round(peak * measured.synced_writes, 1),
        gpus=gpus,
        fhir_calls=round(peak * assumed.fhir_calls, 1),
        waiting_gb=round(discharges * assumed.waiting_days * measured.waiting_kb / 1e6, 2),
        stored_tb=round(stored, 2),
        dollars=round(hourly, 2),
    )


SYSTEMS = ((1, 100), (10, 1_000), (50, 5_000), (500, 50_000))
HEADS = (
    ("hospitals", "hospitals"),
    ("discharges", "discharges a day"),
    ("cases_per_second", "cases/s at the peak"),
    ("service_cores", "cores, services"),
    ("server_cores", "cores, each NATS server"),
    ("synced_writes", "synced writes/s"),
    ("fhir_calls", "FHIR calls/s"),
    ("gpus", "GPUs"),
    ("waiting_gb", "memory for what waits, GB"),
    ("stored_tb", "stored in a year, TB"),
    ("dollars", "USD an hour"),
)


def table(measured: Measured, assumed: Assumed) -> str:
    """The systems as a Markdown table."""
    rows = [need(hospitals, discharges, measured, assumed) for hospitals, discharges in SYSTEMS]
    lines = [f"| {' | '.join(head for _, head in HEADS)} |", f"|{'---|' * len(HEADS)}"]
    lines += [f"| {' | '.join(f'{getattr(row, name):,}' for name, _ in HEADS)} |" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table(read(Path(sys.argv[1])), Assumed()))
