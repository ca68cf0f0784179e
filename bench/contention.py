"""`make bench-contention`: what a refresh of the knowledge base costs those who wait for drafts, and what they cost it.

Discharges (discharge → draft, the real small model) and queries (their embedding alone) arrive at fixed times, whether
or not the ones before have been answered: waiting counts. Alone, beside a refresh that lasts the whole window, and
beside one that peak hours hold; then the refresh without them. In turns, within one run, over the same stays.
"""

import asyncio
import json
import math
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

import psutil
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from bench.contention_data import NIGHT, declare, load_patients, write_documents
from bench.result_files import keep
from bench.stack import Running, running
from cli.client import Api
from cli.connections import open_embedded_bus
from cli.stack.access import read_access
from sandbox_ehr.seed import DemoEncounter, demo_encounters
from shared.contracts.knowledge import BATCH_SIZE
from shared.inference.embeddings import TritonEmbedder
from shared.inference.triton import INTERACTIVE_PRIORITY
from shared.messaging.connection import NatsConnection
from shared.messaging.topology import EMBED

Arm = Literal["alone", "beside", "paused", "refresh"]
ARMS: tuple[Arm, ...] = ("alone", "beside", "paused", "refresh")
QUERY = "which medicine is given for pain after a fracture of the hip, and for how long"
TIMEOUT_S = 300.0

app = typer.Typer(add_completion=False)


@dataclass(frozen=True)
class Plan:
    """Seconds of a window, between two discharges, between two queries; documents that a refresh embeds."""

    window: float
    discharges: float
    queries: float
    documents: int


@dataclass
class Samples:
    """Seconds from the fixed arrival to the answer, and chunks a second of the refresh, over all windows of an arm."""

    drafts: list[float] = field(default_factory=list)
    queries: list[float] = field(default_factory=list)
    chunks: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, plural, values in (("draft", "drafts", self.drafts), ("query", "queries", self.queries)):
            if values:
                found |= {
                    plural: len(values),
                    f"{name}_p50_ms": round(statistics.median(values) * 1000, 1),
                    f"{name}_p95_ms": round(percentile(values, 95) * 1000, 1),
                }
        if any(self.chunks):
            found["chunks_per_second"] = round(statistics.mean(self.chunks), 1)
        return found


def percentile(values: list[float], share: int) -> float:
    """Nearest rank."""
    return sorted(values)[max(0, math.ceil(len(values) * share / 100) - 1)]


async def at_fixed_times(every: float, window: float, one: Callable[[int], Coroutine[Any, Any, float]]) -> list[float]:
    """Start `one` at its time, whatever became of those before. It returns the moment of its answer."""
    begin = time.time()

    async def arrive(index: int) -> float:
        due = begin + index * every
        await asyncio.sleep(max(0.0, due - time.time()))
        return await one(index) - due

    return list(await asyncio.gather(*(arrive(index) for index in range(int(window / every)))))


class InteractiveLoad:
    """Those who wait: discharges, and queries."""

    def __init__(self, stack: Running, rows: list[list[DemoEncounter]], embedder: TritonEmbedder) -> None:
        access = read_access(stack.data_dir)
        self._ingest = Api(access.base_url, access.tokens["ingest"])
        self._auditor = Api(access.base_url, access.tokens["auditor"])
        self._rows = rows
        self._embedder = embedder

    async def close(self) -> None:
        await self._ingest.close()
        await self._auditor.close()

    async def work(self, plan: Plan, samples: Samples) -> None:
        stays = self._stays(int(plan.window / plan.discharges))

        async def discharge(index: int) -> float:
            stay = stays[index]
            sent = {"encounter_id": stay.encounter, "department": stay.department}
            case = await self._ingest("POST", "/v1/encounters/discharged", json=sent)
            return await self._drafted(case["case_id"])

        async def query(_: int) -> float:
            await self._embedder.embed("embedder", [QUERY], priority=INTERACTIVE_PRIORITY, deadline=30)
            return time.time()

        drafts, queries = await asyncio.gather(
            at_fixed_times(plan.discharges, plan.window, discharge), at_fixed_times(plan.queries, plan.window, query)
        )
        samples.drafts += drafts
        samples.queries += queries

    def _stays(self, number: int) -> list[DemoEncounter]:
        """The next patients: the same stays in the same order for every window."""
        rows = -(-number // len(self._rows[0]))
        samples, self._rows = self._rows[:rows], self._rows[rows:]
        return [stay for row in samples for stay in row][:number]

    async def _drafted(self, case: str) -> float:
        """When the draft of `case` was appended to the trail."""
        deadline = time.monotonic() + TIMEOUT_S
        while time.monotonic() < deadline:
            with suppress(Exception):  # the case may not be there yet
                found = await self._auditor("GET", f"/v1/cases/{case}")
                for event in found["events"]:
                    if event["event"] == "drafted":
                        return datetime.fromisoformat(event["time"]).timestamp()
            await asyncio.sleep(0.25)
        raise TimeoutError(case)


class RefreshLoad:
    """Refreshes that follow each other until they are told to end."""

    def __init__(self, stack: Running, connection: NatsConnection, folder: Path, documents: int) -> None:
        self._stack, self._connection, self._folder, self._documents = stack, connection, folder, documents
        self._chance = random.Random(11)

    async def indexed(self) -> int:
        """Chunks that were embedded and put into the base so far."""
        stream = await self._connection.jetstream.stream_info(
            "KNOWLEDGE", subjects_filter="knowledge.*.*.batch-indexed.*"
        )
        return len(stream.state.subjects or {}) * BATCH_SIZE

    async def pause(self, until: datetime) -> None:
        """As the embedder does it for peak hours. A moment that has passed resumes."""
        request = json.dumps({"pause_until": until.isoformat().replace("+00:00", "Z")}).encode()
        await self._connection.client.request(f"$JS.API.CONSUMER.PAUSE.KNOWLEDGE.{EMBED}", request, timeout=5)

    async def one(self) -> None:
        write_documents(self._folder, self._documents, self._chance)
        ended, _ = await self._stack.refresh()
        assert ended["state"] in ("promoted", "held-back"), ended

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Entered when batches are being embedded. What runs at the end is let run out."""
        before = await self.indexed()
        ending = asyncio.Event()

        async def nights() -> None:
            while not ending.is_set():
                await self.one()

        task = asyncio.create_task(nights())
        while await self.indexed() < before + 2 * BATCH_SIZE:  # noqa: ASYNC110 - the bus is asked
            await asyncio.sleep(0.05)
        try:
            yield
        finally:
            ending.set()
            await task


async def window(arm: Arm, plan: Plan, workload: InteractiveLoad, refresh_load: RefreshLoad, samples: Samples) -> None:
    """One window of one arm."""
    if arm == "alone":
        await workload.work(plan, samples)
        return
    if arm == "paused":
        await refresh_load.pause(datetime.now(UTC) + timedelta(hours=1))
        task = asyncio.create_task(refresh_load.one())
        await workload.work(plan, samples)
        await refresh_load.pause(datetime.now(UTC) - timedelta(days=1))
        await task
        return
    async with refresh_load.running():
        before, begun = await refresh_load.indexed(), time.perf_counter()
        await (workload.work(plan, samples) if arm == "beside" else asyncio.sleep(plan.window / 2))
        samples.chunks.append((await refresh_load.indexed() - before) / (time.perf_counter() - begun))


def grpc_of(process: psutil.Process) -> str:
    """host:port of the model server that `process` has started."""
    for child in process.children():
        for argument in child.cmdline():
            if argument.startswith("--grpc-port="):
                return f"127.0.0.1:{argument.partition('=')[2]}"
    raise RuntimeError("the stack runs no model server")


async def measure(plan: Plan, rounds: int, arms: tuple[Arm, ...], say: Callable[[str], None]) -> dict[str, Samples]:
    found: dict[str, Samples] = {arm: Samples() for arm in arms}
    each = -(-int(plan.window / plan.discharges) // len(demo_encounters()))
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as directory:
        folder = Path(directory)
        rows = load_patients(folder / "data", each * rounds * len(arms) + 1)
        file = declare(folder / "knowledge")
        async with (
            running(file, model="drafter", data_dir=folder / "data") as stack,
            open_embedded_bus(folder / "data", "admin") as connection,
        ):
            embedder = TritonEmbedder(grpc_of(stack.process), "embedder")
            workload = InteractiveLoad(stack, rows, embedder)
            refresh_load = RefreshLoad(stack, connection, folder / "knowledge" / NIGHT, plan.documents)
            say("warming up")
            await RefreshLoad(stack, connection, folder / "knowledge" / NIGHT, 40).one()
            await workload.work(Plan(16, 8, 1, 0), Samples())
            for number in range(rounds):
                for arm in arms:
                    say(f"round {number + 1}: {arm}")
                    await window(arm, plan, workload, refresh_load, found[arm])
            await workload.close()
            await embedder.close()
    return found


def ratios(found: dict[str, Samples]) -> dict[str, float]:
    """p95 of each arm to p95 alone; the refresh's pace beside others to its pace without."""
    made: dict[str, float] = {}
    for arm in ("beside", "paused"):
        for name in ("drafts", "queries"):
            one, other = (getattr(found[key], name) if key in found else [] for key in (arm, "alone"))
            if one and other:
                made[f"{name}_{arm}"] = round(percentile(one, 95) / percentile(other, 95), 3)
    if "beside" in found and "refresh" in found:
        made["refresh"] = round(statistics.mean(found["beside"].chunks) / statistics.mean(found["refresh"].chunks), 3)
    return made


@app.command()
def main(
    window: Annotated[float, typer.Option(help="seconds of one window")] = 96,
    rounds: Annotated[int, typer.Option(help="how often the arms take turns")] = 2,
    discharges: Annotated[float, typer.Option(help="seconds between two discharges")] = 6,
    queries: Annotated[float, typer.Option(help="seconds between two queries")] = 0.25,
    documents: Annotated[int, typer.Option(help="documents of one refresh; another follows")] = 2000,
    arms: Annotated[str, typer.Option(help="of alone, beside, paused, refresh")] = ",".join(ARMS),
    as_json: Annotated[bool, typer.Option("--json", help="one JSON object on stdout")] = False,
) -> None:
    """Interactive p95 with and without a refresh, in one run."""
    console = Console(stderr=True)
    wanted = tuple(arm for arm in ARMS if arm in arms.split(","))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(measure(Plan(window, discharges, queries, documents), rounds, wanted, console.print))
    summary: dict[str, Any] = {
        "arms": {arm: samples.summary() for arm, samples in found.items()},
        "ratios": ratios(found),
    }
    keep("sharing", summary)
    if as_json:
        print(json.dumps(summary))
        return
    columns = ("draft_p50_ms", "draft_p95_ms", "query_p50_ms", "query_p95_ms", "chunks_per_second")
    table = Table("", *(name.replace("_", " ") for name in columns))
    for arm, row in summary["arms"].items():
        table.add_row(arm, *(str(row.get(name, "")) for name in columns))
    Console().print(table, summary["ratios"])


if __name__ == "__main__":
    app()
