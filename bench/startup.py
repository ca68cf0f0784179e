"""`make bench-startup`: how long approval reads until its inbox is there, by how long the trail is.

A trail of many ended cases and a few that wait, on a real server that syncs every write; read from its start, and from
the beginning that the inbox stored on the way.
"""

import asyncio
import json
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import psutil
import typer
import uvloop

from bench.result_files import keep
from services.approval.projections.catch_up import BUCKET
from services.approval.projections.open_reviews import OpenReviewsProjection
from shared.contracts.envelope import CHAIN_START
from shared.contracts.subjects import CaseRef
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import EventStore
from tests.support.examples import T0, event
from tests.support.server import NatsServer

CONCURRENCY = 128


async def publish_cases(bus: NatsConnection, cases: int, waiting: int) -> None:
    """Append the two events of each case that the inbox follows; the first `waiting` have only one."""
    journal, limit = EventStore(bus, "approval"), asyncio.Semaphore(CONCURRENCY)

    async def one(number: int) -> None:
        ref, head = CaseRef("surgery", str(UUID(int=number))), CHAIN_START
        async with limit:
            for step, name in enumerate(["review-requested", "approved"][: 1 if number < waiting else 2]):
                id = str(UUID(int=number * 2 + step))
                head = await journal.append(ref, event(name), after=head, id=id, time=T0)

    await asyncio.gather(*(one(number) for number in range(cases)))


async def start(bus: NatsConnection) -> tuple[dict[str, float], int]:
    """What a start costs this process, and how many reviews it found."""
    cpu, begun, reviews = psutil.Process().cpu_times(), time.perf_counter(), OpenReviewsProjection()
    await reviews.start(bus)
    seconds, after = time.perf_counter() - begun, psutil.Process().cpu_times()
    used = after.user + after.system - cpu.user - cpu.system
    return {"seconds": round(seconds, 2), "cpu_seconds": round(used, 2)}, sum(reviews.counts().values())


async def measure(cases: int, waiting: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as directory:
        server = NatsServer(Path(directory))
        server.start()
        try:
            await server.provision()
            bus = await server.connect("approval")
            await publish_cases(bus, cases, waiting)
            whole, found = await start(bus)
            begun, again = await start(bus)
            assert found == again == waiting
            entry = await Bucket(bus, BUCKET).get("inbox")
            stored = len(entry.value) if entry else 0
            await bus.close()
        finally:
            server.kill()
    return {"cases": cases, "waiting": waiting, "whole": whole, "begun": begun, "stored_bytes": stored}


def main(
    cases: Annotated[int, typer.Option(help="cases on the trail")] = 50_000,
    waiting: Annotated[int, typer.Option(help="of them, without a decision")] = 1_000,
) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(measure(cases, waiting))
    keep("beginning", found)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    typer.run(main)
