"""What each system under test has to do, and how each is driven and measured: the same for all of them.

A case has five steps: the discharge is taken in, the context extracted (no-op), drafted (no-op), the review requested
(no-op; timers of 24 h, 72 h and 7 d) and, once the driver has approved, filed (no-op). A system reports `review` when
the review of a case is requested and `filed` when it is filed. No polling anywhere.
"""

import asyncio
import json
import os
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil

TIMEOUT_S = 300.0
STOP_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Plan:
    """How much is measured. `at_once` cases are in flight while throughput is taken, one while latency is."""

    cases: int = 400
    at_once: int = 32
    alone: int = 100
    warm_up: int = 40
    parked: int = 400


class SystemUnderTest(ABC):
    """One engine with its workers, on `directory`. Processes that count are in `processes`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.processes: list[psutil.Process] = []
        self._children: list[asyncio.subprocess.Process] = []
        self.reviews: dict[str, asyncio.Future[float]] = {}
        self.filings: dict[str, asyncio.Future[float]] = {}

    @abstractmethod
    async def start(self) -> None:
        """Start everything; returns when a case can be started."""

    @abstractmethod
    async def begin(self, case: str) -> None:
        """Report the discharge of `case`."""

    @abstractmethod
    async def approve(self, case: str) -> None:
        """Approve `case`, whose review was requested."""

    @abstractmethod
    async def stop(self) -> None:
        """Stop everything."""

    async def spawn(self, command: list[str], environment: dict[str, str] | None = None) -> asyncio.subprocess.Process:
        """Start a process that counts."""
        env = dict(os.environ) | (environment or {})
        with (self.directory / "log").open("ab") as log:
            child = await asyncio.create_subprocess_exec(*command, env=env, stdout=log, stderr=log)
        self._children.append(child)
        self.processes.append(psutil.Process(child.pid))
        return child

    async def end_all(self) -> None:
        """Stop what was started, the last first; what does not end is ended."""
        for child in reversed(self._children):
            child.terminate()
            try:
                await asyncio.wait_for(child.wait(), STOP_TIMEOUT_S)
            except TimeoutError:
                child.kill()
                await child.wait()

    @abstractmethod
    def stored(self) -> int:
        """Bytes on disk."""

    def expect(self, case: str) -> None:
        loop = asyncio.get_running_loop()
        self.reviews[case], self.filings[case] = loop.create_future(), loop.create_future()

    def happened(self, what: str, case: str) -> None:
        """A report of the workers."""
        future = (self.reviews if what == "review" else self.filings).get(case)
        if future is not None and not future.done():
            future.set_result(time.perf_counter())

    def cpu(self) -> float:
        """CPU seconds of all processes so far, user and system."""
        return sum(sum(process.cpu_times()[:2]) for process in self.processes)

    def memory(self) -> int:
        """Resident bytes of all processes."""
        return sum(process.memory_info().rss for process in self.processes)


class ReportListener(asyncio.DatagramProtocol):
    """Where workers of a system report what happened: `review <case>` or `filed <case>` in one datagram."""

    def __init__(self, system: SystemUnderTest) -> None:
        self._leg = system

    def datagram_received(self, data: bytes, addr: object) -> None:
        what, _, case = data.decode().partition(" ")
        self._leg.happened(what, case)


async def listen(system: SystemUnderTest) -> int:
    """Open the reports socket; returns its port."""
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: ReportListener(system), local_addr=("127.0.0.1", 0)
    )
    return int(transport.get_extra_info("sockname")[1])


@dataclass(frozen=True)
class Percentiles:
    """Milliseconds."""

    p50: float
    p99: float


def percentiles(seconds: list[float]) -> Percentiles:
    """Median and 99th percentile (nearest rank)."""
    ordered = sorted(seconds)
    at = [ordered[min(len(ordered) - 1, max(0, -(-len(ordered) * share // 100) - 1))] for share in (50, 99)]
    return Percentiles(*(round(value * 1000, 2) for value in at))


async def one_case(system: SystemUnderTest, case: str) -> tuple[float, float]:
    """Seconds from discharge to review requested, and from approval to filed."""
    system.expect(case)
    begun = time.perf_counter()
    await system.begin(case)
    asked = await system.reviews[case]
    decided = time.perf_counter()
    await system.approve(case)
    return asked - begun, await system.filings[case] - decided


async def run_cases(system: SystemUnderTest, prefix: str, number: int, at_once: int) -> list[tuple[float, float]]:
    """`number` cases, `at_once` in flight."""
    limit = asyncio.Semaphore(at_once)

    async def limited(index: int) -> tuple[float, float]:
        async with limit:
            return await one_case(system, f"{prefix}-{index}")

    return list(await asyncio.gather(*(limited(index) for index in range(number))))


async def measure(system: SystemUnderTest, plan: Plan) -> dict[str, Any]:
    """The figures of one system."""
    await run_cases(system, "warm", plan.warm_up, plan.at_once)
    at_rest = system.memory()
    cpu, begun = system.cpu(), time.perf_counter()
    loaded = await run_cases(system, "case", plan.cases, plan.at_once)
    seconds, used = time.perf_counter() - begun, system.cpu() - cpu
    alone = await run_cases(system, "alone", plan.alone, 1)
    return {
        "cases_per_second": round(plan.cases / seconds, 1),
        "cpu_ms_per_case": round(used / plan.cases * 1000, 2),
        "review_ms": asdict(percentiles([item[0] for item in alone])),
        "filed_ms": asdict(percentiles([item[1] for item in alone])),
        "review_ms_loaded": asdict(percentiles([item[0] for item in loaded])),
        "filed_ms_loaded": asdict(percentiles([item[1] for item in loaded])),
        "memory_at_rest_mb": round(at_rest / 2**20, 1),
        **await idle_cost(system, plan),
    }


async def idle_cost(system: SystemUnderTest, plan: Plan) -> dict[str, Any]:
    """What a case costs that waits for its physician."""
    memory, disk = system.memory(), system.stored()
    limit = asyncio.Semaphore(plan.at_once)

    async def park(case: str) -> None:
        async with limit:
            system.expect(case)
            await system.begin(case)
            await system.reviews[case]

    await asyncio.gather(*(park(f"parked-{index}") for index in range(plan.parked)))
    return {
        "parked_memory_kb": round((system.memory() - memory) / plan.parked / 1024, 1),
        "parked_disk_kb": round((system.stored() - disk) / plan.parked / 1024, 1),
    }


async def run(make: Callable[[Path], SystemUnderTest], plan: Plan) -> dict[str, Any]:
    """Start, measure, stop."""
    with TemporaryDirectory(prefix="countersign-bench-") as directory:
        system = make(Path(directory))
        try:
            await system.start()
            return await asyncio.wait_for(measure(system, plan), TIMEOUT_S)
        finally:
            await system.stop()


def main(make: Callable[[Path], SystemUnderTest]) -> None:
    """Entry point of a system's process: the plan as JSON in argv, the figures as JSON on stdout."""
    import uvloop

    plan = Plan(**json.loads(sys.argv[1])) if len(sys.argv) > 1 else Plan()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(run(make, plan))))


def bytes_in(directory: Path) -> int:
    """Bytes that the files below `directory` take on the disk."""
    return sum(file.stat().st_blocks * 512 for file in directory.rglob("*") if file.is_file())


async def until(ready: Callable[[], Awaitable[bool]], what: str) -> None:
    """Wait for something to start."""
    deadline = time.monotonic() + 60
    while not await ready():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        await asyncio.sleep(0.1)
