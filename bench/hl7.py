"""`make bench-hl7`: how long an ADT message waits for its AA at a steady rate, with an EHR that answers and a slow one.

nats-server (every write synced) and ingest are processes on loopback. Messages are sent at fixed times over ten
connections, one at a time on each, as interface engines do. The time counts from when a message was due, so one that
has to wait for the message before it counts as slow.
"""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import psutil
import typer
import uvloop
from aiohttp import web

from bench.result_files import keep
from bench.system import percentiles
from cli.stack.ports import free_port
from shared.contracts.subjects import visit_subject
from shared.messaging.stream_pages import read_stream_pages
from tests.support.hl7 import framed
from tests.support.processes import ServiceProcess
from tests.support.server import NatsServer

CONNECTIONS = 10
LIMIT_MS = 50.0  # of the 99th percentile
SLOW_EHR_S = 5.0
FS = b"\x1c"
EHRS = {"answers": 0.0, "slow": SLOW_EHR_S}


@asynccontextmanager
async def ehr(delay: float) -> AsyncIterator[str]:
    """Serve searches that find nothing after `delay` seconds: no visit is ever known. Yields the base URL."""

    async def search(_: web.Request) -> web.Response:
        await asyncio.sleep(delay)
        return web.json_response({"resourceType": "Bundle", "type": "searchset", "total": 0})

    app = web.Application()
    app.router.add_get("/fhir/{path:.*}", search)
    runner, port = web.AppRunner(app, access_log=None), free_port()
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield f"http://127.0.0.1:{port}/fhir"
    finally:
        await runner.cleanup()


def ingest(nats: NatsServer, directory: Path, ehr_url: str, mllp: int) -> ServiceProcess:
    sender = {"name": "engine", "zone": "UTC", "visit_system": "urn:visits"}
    (directory / "senders.json").write_text(json.dumps({"senders": [sender]}))
    (directory / "tokens.json").write_text('{"tokens": []}')
    port = free_port()
    environment = {
        "COUNTERSIGN_MODE": "demo",
        "COUNTERSIGN_NATS_URL": nats.url,
        "COUNTERSIGN_NATS_SEED": nats.secrets.seeds["ingest"],
        "COUNTERSIGN_TOKENS_FILE": str(directory / "tokens.json"),
        "COUNTERSIGN_EHR_URL": ehr_url,
        "COUNTERSIGN_PORT": str(port),
        "COUNTERSIGN_HL7_PORT": str(mllp),
        "COUNTERSIGN_HL7_SENDERS": str(directory / "senders.json"),
    }
    command, log = [sys.executable, "-m", "services.ingest.main"], directory / "ingest.log"
    return ServiceProcess("ingest", command, f"http://127.0.0.1:{port}/healthz", log, environment)


async def send(port: int, numbers: range, begin: float, interval: float) -> list[float]:
    """Send each message when its time has come; return the seconds from then to its AA."""
    took = []
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        for number in numbers:
            due = begin + number * interval
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            writer.write(framed(PV1_19=f"V{number}", MSH_10=str(number)))
            answer = await reader.readuntil(FS)
            if f"\rMSA|AA|{number}\r".encode() not in answer:
                raise RuntimeError(f"message {number} was not acknowledged")
            took.append(time.perf_counter() - due)
    finally:
        writer.close()
    return took


async def stored(nats: NatsServer) -> int:
    bus = await nats.connect("ingest")
    try:
        return len([item async for page in read_stream_pages(bus, "EHR", visit_subject("a03", "*")) for item in page])
    finally:
        await bus.close()


async def measure(delay: float, rate: float, seconds: float) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as name:
        directory, port = Path(name), free_port()
        (directory / "bus").mkdir()
        nats = NatsServer(directory / "bus")
        nats.start()
        try:
            await nats.provision()
            async with ehr(delay) as url:
                service = ingest(nats, directory, url, port)
                service.start()
                try:
                    await asyncio.to_thread(service.wait)
                    return await _at_rate(nats, service, port, rate, seconds)
                finally:
                    service.kill()
        finally:
            nats.kill()


async def _at_rate(nats: NatsServer, service: ServiceProcess, port: int, rate: float, seconds: float) -> dict[str, Any]:
    assert service.process is not None
    messages, process = round(rate * seconds), psutil.Process(service.process.pid)
    cpu, begin = sum(process.cpu_times()[:2]), time.perf_counter() + 0.5
    senders = [send(port, range(first, messages, CONNECTIONS), begin, 1 / rate) for first in range(CONNECTIONS)]
    took = [item for found in await asyncio.gather(*senders) for item in found]
    elapsed, found = time.perf_counter() - begin, percentiles(took)
    return {
        "messages": messages,
        "messages_per_second": round(messages / elapsed, 1),
        "aa_ms": {"p50": found.p50, "p99": found.p99, "max": round(max(took) * 1000, 1)},
        "ingest_cpu_ms_a_message": round((sum(process.cpu_times()[:2]) - cpu) / messages * 1000, 2),
        "stored": await stored(nats),
    }


def main(
    rate: Annotated[float, typer.Option(min=1, help="messages per second, over all connections")] = 200,
    seconds: Annotated[float, typer.Option(min=1, help="how long messages are sent")] = 30,
) -> None:
    """Print the time to AA with an EHR that answers at once and with a slow one. Exit code 1: over the limit."""
    found = {name: uvloop.run(measure(delay, rate, seconds)) for name, delay in EHRS.items()}
    keep("hl7", found)
    print(json.dumps(found, indent=1))
    if any(item["aa_ms"]["p99"] > LIMIT_MS or item["stored"] != item["messages"] for item in found.values()):
        raise typer.Exit(1)


if __name__ == "__main__":
    typer.run(main)
