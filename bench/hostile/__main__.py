"""`make bench-hostile`: the inbox alone, then while it is attacked; memory of each process; what became of the attacks.

Services, EHR, model server and nats-server are processes on loopback (tests/support/processes.py). It ends by itself.
"""

import asyncio
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
import uvloop
import yaml

from bench.hostile.workload import Measurements, Workload
from bench.result_files import keep
from shared.runtime.authentication import token_digest
from tests.support.patients import write_stays
from tests.support.processes import ProcessStack

ROOT = Path(__file__).parents[2]
SERVICES = ("ingest", "drafter", "approval")
MB = 2**20
SETTLE_S = 5.0  # seconds
STOP_TIMEOUT_S = 60.0  # seconds for the attackers to end


def limit() -> int:
    """MB of memory that the manifest gives a pod of a service."""
    patch = yaml.safe_load((ROOT / "deploy/k8s/base/service-patch.yaml").read_text())
    (container,) = patch["spec"]["template"]["spec"]["containers"]
    return int(container["resources"]["limits"]["memory"].removesuffix("Mi"))


def declare_knowledge(fleet: ProcessStack) -> None:
    """Ingest takes uploads, so that they can be attacked."""
    folder = fleet.directory / "knowledge"
    (folder / "uploads").mkdir(parents=True)
    file = folder / "knowledge.yaml"
    source = {"name": "uploads", "kind": "guideline", "folder": "uploads"}
    file.write_text(yaml.safe_dump({"version": 1, "embedder": "embedder", "sources": [source]}))
    fleet.parts["ingest"].environment |= {
        "COUNTERSIGN_KNOWLEDGE_FILE": str(file),
        "COUNTERSIGN_KNOWLEDGE_UPLOADS": str(folder / "uploads"),
    }


def add_physicians(fleet: ProcessStack, number: int) -> list[str]:
    """Physicians with tokens of their own: what one person may take is counted by person."""
    file = fleet.directory / "tokens.json"
    grants, tokens = json.loads(file.read_text()), [f"physician-{index}" for index in range(number)]
    for token in tokens:
        grants["tokens"].append({"sha256": token_digest(token), "subject": token, "role": "physician"})
    file.write_text(json.dumps(grants))
    return tokens


async def start(fleet: ProcessStack) -> None:
    """Start all processes; approval has a processor of its own: attackers and clients have machines of theirs."""
    own, *others = sorted(os.sched_getaffinity(0))
    if others:
        os.sched_setaffinity(0, others)  # what is started from here on stays there
    await fleet.start()
    process = fleet.parts["approval"].process
    if others and process is not None:
        for thread in psutil.Process(process.pid).threads():
            os.sched_setaffinity(thread.id, {own})


class Memory:
    """The largest resident memory of each service with its children, as a pod would be charged for it; its CPU."""

    def __init__(self, fleet: ProcessStack) -> None:
        running = {name: fleet.parts[name].process for name in SERVICES}
        self._processes = {name: psutil.Process(item.pid) for name, item in running.items() if item is not None}
        self.largest: dict[str, int] = {}

    async def watch(self) -> None:
        """Look again and again, beside the event loop: looking through all processes takes longer than a request."""
        while True:
            await asyncio.to_thread(self._look)
            await asyncio.sleep(0.25)

    def _look(self) -> None:
        for name, process in self._processes.items():
            with suppress(psutil.NoSuchProcess):
                used = sum(item.memory_info().rss for item in (process, *process.children(recursive=True)))
                self.largest[name] = max(self.largest.get(name, 0), used // MB)

    def begin(self) -> dict[str, int]:
        before, self.largest = self.largest, {}
        return before

    def cpu(self) -> dict[str, float]:
        """Seconds so far of each service itself."""
        return {name: sum(process.cpu_times()[:2]) for name, process in self._processes.items()}

    def alive(self) -> dict[str, bool]:
        return {
            name: item.is_running() and item.status() != psutil.STATUS_ZOMBIE for name, item in self._processes.items()
        }


async def attacked(sent: dict[str, Any]) -> dict[str, int]:
    """What the attackers' process says when its time is over."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bench.hostile.attackers"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        async with asyncio.timeout(sent["seconds"] + STOP_TIMEOUT_S):
            out, _ = await process.communicate(json.dumps(sent).encode())
    finally:
        with suppress(ProcessLookupError):
            process.kill()
    if process.returncode:
        raise RuntimeError("the attackers' process failed")
    found: dict[str, int] = json.loads(out)
    return found


async def report(workload: Workload, encounters: list[str], every: float) -> None:
    for encounter in encounters:
        await workload.discharge(encounter)
        await asyncio.sleep(every)


async def until_waiting(workload: Workload, token: str, number: int) -> list[str]:
    deadline = time.monotonic() + 120
    while len(found := await workload.waiting(token)) < number:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{len(found)} of {number} drafts wait for a physician")
        await asyncio.sleep(0.2)
    return found


async def measure(fleet: ProcessStack, encounters: list[str], plan: dict[str, Any]) -> dict[str, Any]:
    staff = add_physicians(fleet, plan["physicians"])
    await start(fleet)
    chance = random.Random(plan["seed"])
    approval, ingest = (f"http://127.0.0.1:{fleet.ports[name]}" for name in ("approval", "ingest"))
    async with Workload(approval, ingest, fleet.tokens["ingest"], staff, chance) as workload:
        stolen = fleet.tokens["physician"]
        cookie = await workload.sign_in(stolen)
        begun = encounters[: plan["waiting"]]
        await report(workload, begun, 0)
        waiting = await until_waiting(workload, stolen, min(len(begun), 200))
        drafts = {case: await workload.draft(stolen, case) for case in waiting[-5:]}
        sent = {name: plan[name] for name in ("seed", "connections", "seconds", "only")} | {
            "approval": fleet.ports["approval"],
            "ingest": fleet.ports["ingest"],
            "tokens": fleet.tokens,
            "cookie": cookie,
            "cases": [(case, draft["digest"]) for case, draft in drafts.items() if draft],
        }
        memory = Memory(fleet)
        work = [asyncio.create_task(workload.physician(token)) for token in staff]
        work += [
            asyncio.create_task(report(workload, encounters[plan["waiting"] :], 1.0)),
            asyncio.create_task(memory.watch()),
        ]
        try:
            return await _phases(workload, memory, sent, plan["seconds"], plan["rounds"])
        finally:
            for task in work:
                task.cancel()
            await asyncio.gather(*work, return_exceptions=True)


async def _phases(
    workload: Workload, memory: Memory, sent: dict[str, Any], seconds: float, rounds: int
) -> dict[str, Any]:
    """Alone and attacked by turns, so that what else the machine does meets both."""
    alone, under, outcomes = Measurements(), Measurements(), Counter[str]()
    before: dict[str, int] = {}
    used: dict[str, list[float]] = {name: [0.0, 0.0] for name in SERVICES}
    await asyncio.sleep(SETTLE_S)
    for _ in range(rounds):
        workload.begin()
        at = [memory.cpu()]
        await asyncio.sleep(seconds)
        at.append(memory.cpu())
        alone.add(workload.begin())
        before = before or memory.begin()
        outcomes.update(await attacked(sent))
        under.add(workload.begin())
        at.append(memory.cpu())
        for name in SERVICES:
            used[name] = [used[name][part] + at[part + 1][name] - at[part][name] for part in (0, 1)]
        await asyncio.sleep(SETTLE_S)
    first, second = (item.figures["inbox"] for item in (alone, under))
    return {
        "inbox_p95_ratio": round(second["p95_ms"] / first["p95_ms"], 2),
        "inbox_p50_ratio": round(second["p50_ms"] / first["p50_ms"], 2),
        "alone": alone.figures | {"memory_mb": before},
        "attacked": under.figures | {"memory_mb": memory.largest},
        "cpu_seconds": {name: [round(item, 1) for item in both] for name, both in used.items()},
        "manifest_mb": limit(),
        "alive": memory.alive(),
        "signed": len(workload.signed),
        "attacks": dict(sorted(outcomes.items())),
    }


def main(
    connections: Annotated[int, typer.Option(help="of the attackers, all together")] = 1000,
    seconds: Annotated[float, typer.Option(help="alone, and as long attacked")] = 20,
    rounds: Annotated[int, typer.Option(help="of both, by turns")] = 3,
    physicians: int = 30,
    waiting: Annotated[int, typer.Option(help="drafts that wait at the start")] = 200,
    only: Annotated[str, typer.Option(help="these attacks, with commas")] = "",
    seed: int = 1,
    logs: Annotated[Path | None, typer.Option(help="where to write what the processes said")] = None,
) -> None:
    plan: dict[str, Any] = {
        "connections": connections,
        "seconds": seconds,
        "physicians": physicians,
        "waiting": waiting,
        "seed": seed,
        "rounds": rounds,
    }
    sys.setswitchinterval(0.0005)  # seconds: a thread that looks at memory delays no measurement
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # its processes end with it
    plan["only"] = [name for name in only.split(",") if name]
    with tempfile.TemporaryDirectory(prefix="countersign-hostile-") as name:
        directory = Path(name)
        (directory / "seed").mkdir()
        encounters = write_stays(directory / "seed", waiting + int(rounds * (seconds * 2 + SETTLE_S)) + 60)
        fleet = ProcessStack(directory, directory / "seed")
        declare_knowledge(fleet)
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                found = runner.run(measure(fleet, encounters, plan))
        finally:
            fleet.stop()
            if logs is not None:
                logs.write_text(fleet.logs())
    keep("hostile", found)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    typer.run(main)
