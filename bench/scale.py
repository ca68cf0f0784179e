"""`make bench-scale`: one, two and four processes of each service on this machine, and what one case costs by part.

Countersign as in `bench/run.py`: no-op model and EHR, every write synced. What it measures goes into
`bench/results/scale.json`; `bench/scale_model.py` makes a health system of it, and adds the renditions of real stays:
none are made here.
"""

import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
import uvloop

from bench.result_files import keep
from bench.system import run_cases
from bench.systems.countersign import Countersign

AT_ONCE = 64
COPIES = (1, 2, 4)


def cpu(parts: dict[str, list[psutil.Process]]) -> dict[str, float]:
    """CPU seconds so far, by part."""
    return {name: sum(sum(item.cpu_times()[:2]) for item in processes) for name, processes in parts.items()}


async def traffic(system: Countersign) -> dict[str, int]:
    """What the server has seen so far: messages and bytes, from and to clients."""
    async with system.session.get(f"{system.monitor}/varz") as answer:
        varz = await answer.json()
    return {name: varz[name] for name in ("in_msgs", "out_msgs", "in_bytes", "out_bytes")}


async def measure(copies: int, cases: int, *, tls: bool = False) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as directory:
        system = Countersign(Path(directory), together=False, copies=copies, tls=tls, text_only=True)
        try:
            await system.start()
            await run_cases(system, "warm", 300, AT_ONCE)
            before, seen, disk = cpu(system.parts), await traffic(system), system.stored()
            begun = time.perf_counter()
            await run_cases(system, "case", cases, AT_ONCE)
            seconds = time.perf_counter() - begun
            after, then = cpu(system.parts), await traffic(system)
            return {
                "processes_of_each_service": copies,
                "cases_per_second": round(cases / seconds, 1),
                "cpu_ms_per_case": {name: round((after[name] - before[name]) / cases * 1000, 2) for name in after},
                "nats_per_case": {name: round((then[name] - seen[name]) / cases, 1) for name in then},
                "disk_kb_per_case": round((system.stored() - disk) / cases / 1024, 1),
            }
        finally:
            await system.stop()


def main(
    cases: Annotated[int, typer.Option(help="cases a run")] = 3000,
    tls: Annotated[bool, typer.Option(help="one process each, by TLS and plain in turns, twice")] = False,
) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        if tls:
            runs = [runner.run(measure(1, cases, tls=way)) | {"tls": way} for way in (True, False) * 2]
        else:
            runs = [runner.run(measure(copies, cases)) for copies in COPIES]
    found = {"cores": psutil.cpu_count(), "runs": runs}
    keep("scale-tls" if tls else "scale", found)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    typer.run(main)
