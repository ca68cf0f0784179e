"""SIGTERM ends every service within ten seconds, whatever it is doing: orchestrators kill what takes longer."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import psutil
import pytest
import yaml

from cli.stack.ports import free_port
from tests.support.patients import write_stays
from tests.support.processes import ProcessStack, ServiceProcess
from tests.support.stack import until

pytestmark = [pytest.mark.connected, pytest.mark.system, pytest.mark.timeout(180)]

ENDS_WITHIN = 10.0
SERVICES = ("ingest", "drafter", "approval", "embedder", "evaluator")
ENDLESS = b"# x\n\n" + b"[" * 400_000  # Markdown that takes its reader minutes


@asynccontextmanager
async def silent_server() -> AsyncIterator[tuple[int, list[asyncio.StreamWriter]]]:
    """A port that takes connections and never says a word, as a model server that hangs; and who has connected."""
    known: list[asyncio.StreamWriter] = []

    async def taken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        known.append(writer)
        await reader.read()

    server = await asyncio.start_server(taken, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], known
    finally:
        server.close()
        for writer in known:
            writer.close()


@pytest.fixture
async def fleet(tmp_path: Path) -> AsyncIterator[ProcessStack]:
    """All five services; their model server hangs."""
    (tmp_path / "stays").mkdir()
    write_stays(tmp_path / "stays", 3)
    (tmp_path / "uploads").mkdir()
    source = {"name": "uploads", "kind": "guideline", "folder": "uploads"}
    knowledge = tmp_path / "knowledge.yaml"
    knowledge.write_text(yaml.safe_dump({"version": 1, "embedder": "embedder", "sources": [source]}))
    async with silent_server() as (port, connected):
        found = ProcessStack(tmp_path, tmp_path / "stays")
        del found.parts["triton"]
        for name in SERVICES:
            found.ports[name] = free_port()
            part = found.parts[name] = found.service(name, found.ports[name])
            part.environment |= {
                "COUNTERSIGN_TRITON_URL": f"127.0.0.1:{port}",
                "COUNTERSIGN_QDRANT_DIRECTORY": str(tmp_path / f"vectors-{name}"),
                "COUNTERSIGN_KNOWLEDGE_FILE": str(knowledge),
                "COUNTERSIGN_KNOWLEDGE_UPLOADS": str(tmp_path / "uploads"),
            }
        try:
            await found.start()
            found.connected = connected  # type: ignore[attr-defined]
            yield found
        finally:
            found.stop()


async def test_every_service_ends_in_time_whatever_it_is_doing(fleet: ProcessStack) -> None:
    physician = {"Authorization": f"Bearer {fleet.tokens['physician']}"}
    operator = {"Authorization": f"Bearer {fleet.tokens['operator']}"}
    async with httpx.AsyncClient(timeout=60) as http:
        reported = await http.post(
            f"http://127.0.0.1:{fleet.ports['ingest']}/v1/encounters/discharged",
            json={"encounter_id": "enc-0", "department": "ward"},
            headers={"Authorization": f"Bearer {fleet.tokens['ingest']}"},
        )
        assert reported.status_code == 202
        pages = http.stream("GET", f"http://127.0.0.1:{fleet.ports['approval']}/events", headers=physician)
        events = http.stream("GET", f"http://127.0.0.1:{fleet.ports['approval']}/v1/events", headers=operator)
        async with pages as page, events as feed:
            assert (page.status_code, feed.status_code) == (200, 200)
            for name in SERVICES:
                await half_a_request(fleet.ports[name])
            upload = asyncio.create_task(
                http.post(
                    f"http://127.0.0.1:{fleet.ports['ingest']}/v1/knowledge/documents",
                    files={"file": ("x.md", ENDLESS)},
                    headers=operator,
                )
            )
            await until(lambda: asyncio.sleep(0, _children(fleet.parts["ingest"]) >= 2), "the document to be read", 60)
            await until(lambda: asyncio.sleep(0, fleet.connected), "the model to be asked", 60)  # type: ignore[attr-defined]
            children = {name: _tree(fleet.parts[name]) for name in SERVICES}
            took = await asyncio.gather(*(asyncio.to_thread(end, fleet.parts[name]) for name in SERVICES))
            await asyncio.gather(upload, return_exceptions=True)
    assert all(seconds < ENDS_WITHIN for seconds in took), dict(zip(SERVICES, took, strict=True))
    left = [item for items in children.values() for item in items if item.is_running()]
    _, alive = psutil.wait_procs(left, timeout=5)
    assert not alive, "processes of a service outlive it"


async def half_a_request(port: int) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\nx")
    await writer.drain()


def end(part: ServiceProcess) -> float:
    """Seconds from SIGTERM to the end."""
    assert part.process is not None
    began = time.monotonic()
    part.process.terminate()
    part.process.wait(3 * ENDS_WITHIN)
    return time.monotonic() - began


def _tree(part: ServiceProcess) -> list[psutil.Process]:
    assert part.process is not None
    return psutil.Process(part.process.pid).children(recursive=True)


def _children(part: ServiceProcess) -> int:
    """The reader of documents, and the process that it has for this one."""
    return len(_tree(part))
