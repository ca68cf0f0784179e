"""`make bench-pages`: how long each role's pages take with 100,000 cases on the trail, and what approval needs for it.

The events are in a real nats-server; pages are asked of the services in this process, without a socket.
"""

import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
import uvloop

from bench.case_list import DEPARTMENTS, messages
from bench.knowledge import keep
from shared.messaging.connection import NatsConnection
from tests.support.ehr import sandbox
from tests.support.server import NatsServer
from tests.support.stack import Stack, running, until

TIMES = 7  # each page, in turns with the others
BATCH = 2_000  # messages between two flushes
CATCH_UP_S = 900.0
PAGES = {
    "physician": ("/", "/?q=e5"),
    "supervisor": ("/department", "/department/absences"),
    "operator": (
        "/cases",
        "/cases?state=failed",
        "/cases?state=failed&state=awaiting-review&longer=24",
        "/cases?unfiled=1",
        "/cases/{case}",
        "/dead-letters",
        "/system",
    ),
    "auditor": ("/access", "/access?case={case}", "/access/signatures", "/verification"),
}


async def publish(bus: NatsConnection, cases: int) -> int:
    """Publish the events of the cases, unacknowledged; return how many there are, once the stream has them."""
    events = 0
    for message in messages(cases):
        await bus.client.publish(message.subject, message.data, headers=message.headers)
        events += 1
        if events % BATCH == 0:
            await bus.client.flush()
    await bus.client.flush()

    async def stored() -> bool:
        return (await bus.jetstream.stream_info("DISCHARGE")).state.messages >= events

    await until(stored, "every event in the stream", patience=CATCH_UP_S)
    return events


async def caught_up(stack: Stack) -> None:
    async def complete() -> bool:
        found: bool = (await stack.call("operator", "GET", "/v1/cases?limit=1")).json()["complete"]
        return found

    await until(complete, "the list of all cases", patience=CATCH_UP_S)


async def times(stack: Stack, case: str) -> dict[str, Any]:
    """Return median and longest time of each page in milliseconds."""
    found: dict[str, list[float]] = {}
    for _ in range(TIMES):
        for role, paths in PAGES.items():
            for path in paths:
                begun = time.perf_counter()
                answer = await stack.call(role, "GET", path.format(case=case))
                if answer.status_code != 200:
                    raise RuntimeError(f"{role} {path}: HTTP {answer.status_code}")
                found.setdefault(f"{role} {path}", []).append((time.perf_counter() - begun) * 1000)
    return {
        page: {"median_ms": round(statistics.median(taken), 1), "max_ms": round(max(taken), 1)}
        for page, taken in found.items()
    }


async def measure(cases: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as directory:
        server = NatsServer(Path(directory))
        server.start()
        try:
            await server.provision()
            bus = await server.connect("admin")
            events = await publish(bus, cases)
            first = next(iter(messages(1)))
            await bus.close()
            before, begun = psutil.Process().memory_info().rss, time.perf_counter()
            async with running(server, sandbox()) as stack:
                await caught_up(stack)
                seconds = time.perf_counter() - begun
                memory = psutil.Process().memory_info().rss - before
                pages = await times(stack, first.subject.split(".")[2])
        finally:
            server.kill()
    return {
        "cases": cases,
        "events": events,
        "departments": DEPARTMENTS,
        "read_s": round(seconds, 1),
        "memory_mb": memory // 2**20,
        "slowest_median_ms": max(page["median_ms"] for page in pages.values()),
        "pages": pages,
    }


def main(cases: Annotated[int, typer.Option(help="cases on the trail")] = 100_000) -> None:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(measure(cases))
    keep("pages", found)
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    typer.run(main)
