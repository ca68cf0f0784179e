"""`make bench-idle`: what ten thousand reviews that nobody decides cost, and how fast the inbox is among them.

Countersign as in `bench/run.py`, each service a process. CPU is user + system of the server and the services.
"""

import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import typer
import uvloop

from bench.result_files import keep
from bench.system import percentiles
from bench.systems.countersign import SERVICES, Countersign

CONCURRENCY = 32
PAGES = 200
PER_SECOND = 50
DECISIONS = 500


async def create_reviews(system: Countersign, cases: list[str]) -> None:
    limit = asyncio.Semaphore(CONCURRENCY)

    async def one(case: str) -> None:
        async with limit:
            system.expect(case)
            await system.begin(case)
            await system.reviews[case]

    await asyncio.gather(*(one(case) for case in cases))


def by_process(system: Countersign) -> dict[str, int]:
    """Bytes that are each process's own."""
    names = ("nats-server", *SERVICES)
    own = [process.memory_full_info().uss for process in system.processes]
    return dict(zip(names, own, strict=True)) | {"all": sum(own)}


async def idle_cpu(system: Countersign, seconds: float) -> float:
    """CPU seconds a minute while nothing happens."""
    before = system.cpu()
    await asyncio.sleep(seconds)
    return round((system.cpu() - before) * 60 / seconds, 2)


async def inbox(system: Countersign) -> dict[str, float]:
    """Milliseconds of the inbox page for a physician who is signed in: the first, the middle and the 95th of them."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as browser:
        form, origin = {"token": system.token("physician")}, {"Origin": system.api}
        async with browser.post(f"{system.api}/sign-in", data=form, headers=origin, raise_for_status=True):
            pass
        address, took = f"{system.api}/", []
        for number in range(PAGES):
            started = time.perf_counter()
            async with browser.get(address, raise_for_status=True) as answer:
                page = await answer.text()
            took.append(time.perf_counter() - started)
            following = page.partition('rel="next" href="')[2].partition('"')[0].replace("&amp;", "&")
            address = f"{system.api}{following}" if following and number % 2 else f"{system.api}/"
    ordered = sorted(took)
    return {
        "first": round(took[0] * 1000, 1),
        "p50": round(statistics.median(ordered) * 1000, 1),
        "p95": round(ordered[int(len(ordered) * 0.95)] * 1000, 1),
    }


async def decide(system: Countersign, cases: list[str]) -> dict[str, float]:
    """Milliseconds from the approval to `filed` at a steady rate."""

    async def one(case: str, at: float) -> float:
        await asyncio.sleep(max(0.0, at - time.perf_counter()))
        started = time.perf_counter()
        await system.approve(case)
        return await system.filings[case] - started

    begin = time.perf_counter()
    took = await asyncio.gather(*(one(case, begin + index / PER_SECOND) for index, case in enumerate(cases)))
    found = percentiles(list(took))
    return {"p50": found.p50, "p99": found.p99}


async def measure(parked: int, minute: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as directory:
        system = Countersign(Path(directory), together=False)
        try:
            await system.start()
            await create_reviews(system, [f"warm-{index}" for index in range(200)])
            none_waiting = await idle_cpu(system, minute)
            memory, disk = by_process(system), system.stored()
            cases = [f"case-{index}" for index in range(parked)]
            await create_reviews(system, cases)
            parked_cpu = await idle_cpu(system, minute)  # and what the last writes left behind is given back
            found = {
                "parked": parked,
                "memory_kb_each": {
                    name: round((now - memory[name]) / parked / 1024, 2) for name, now in by_process(system).items()
                },
                "disk_kb_each": round((system.stored() - disk) / parked / 1024, 1),
                "cpu_s_a_minute_none_parked": none_waiting,
                "cpu_s_a_minute_parked": parked_cpu,
                "inbox_ms": await inbox(system),
                "approval_to_filed_ms_at_50_a_second": await decide(system, cases[:DECISIONS]),
            }
        finally:
            await system.stop()
    return found


def main(
    parked: int = 10_000, minute: Annotated[float, typer.Option(help="seconds of idling that are measured")] = 60
) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(measure(parked, minute))
    keep("waiting", found)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    typer.run(main)
