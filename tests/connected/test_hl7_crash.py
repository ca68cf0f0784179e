"""Ingest and NATS are killed while a sender repeats what was not answered: no AA without a stored fact.

COUNTERSIGN_THOROUGH=20 sends 20 times as many discharges, with as many more kills.
"""

import asyncio
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.stack.ports import free_port
from shared.contracts.subjects import visit_subject
from shared.contracts.visits import visit_token
from shared.hl7.mllp import FS
from shared.messaging.stream_pages import read_stream_pages
from tests.support.effort import THOROUGH
from tests.support.hl7 import framed
from tests.support.processes import ServiceProcess
from tests.support.server import NatsServer
from tests.support.stack import until

pytestmark = [pytest.mark.connected, pytest.mark.system, pytest.mark.timeout(240 * THOROUGH)]
CONNECTIONS, MESSAGES, KILLS = 4, 40 * THOROUGH, 3 * THOROUGH
ROOT = Path(__file__).parents[2]
SENDER = {"name": "engine", "zone": "UTC", "peers": ["127.0.0.1"]}


def ingest(
    nats: NatsServer, directory: Path, mllp: int, *, ehr: str | None = None, sender: dict[str, Any] | None = None
) -> ServiceProcess:
    """Ingest with an MLLP listener and without the poll. Without `ehr`, its EHR is down."""
    (directory / "senders.yaml").write_text(yaml.safe_dump({"senders": [sender or SENDER]}))
    (directory / "tokens.json").write_text('{"tokens": []}')
    port = free_port()
    environment = {
        "COUNTERSIGN_MODE": "demo",
        "COUNTERSIGN_NATS_URL": nats.url,
        "COUNTERSIGN_NATS_SEED": nats.secrets.seeds["ingest"],
        "COUNTERSIGN_TOKENS_FILE": str(directory / "tokens.json"),
        "COUNTERSIGN_EHR_URL": ehr or f"http://127.0.0.1:{free_port()}/fhir",  # one that is down delays no answer
        "COUNTERSIGN_FHIR_POLL_SECONDS": "0",
        "COUNTERSIGN_PORT": str(port),
        "COUNTERSIGN_HL7_PORT": str(mllp),
        "COUNTERSIGN_HL7_SENDERS": str(directory / "senders.yaml"),
        "PYTHONPATH": str(ROOT),
    }
    health, log = f"http://127.0.0.1:{port}/healthz", directory / "ingest.log"
    return ServiceProcess("ingest", [sys.executable, "-m", "services.ingest.main"], health, log, environment)


class Sender:
    """Sends each visit's discharge until it is answered AA, as an interface engine does."""

    def __init__(self, port: int) -> None:
        self._port = port
        self.acknowledged: list[str] = []
        self._moved = asyncio.Event()

    async def send(self, visits: list[str]) -> None:
        for visit in visits:
            await until(partial(self._acknowledged, visit), "an answer", patience=100)
            self.acknowledged.append(visit)
            self._moved.set()

    async def reached(self, count: int) -> None:
        while len(self.acknowledged) < count:
            self._moved.clear()
            await self._moved.wait()

    async def _acknowledged(self, visit: str) -> bool:
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
            async with asyncio.timeout(10):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    writer.write(framed(PV1_19=visit, MSH_10=visit))
                    said = await reader.readuntil(FS)
                finally:
                    writer.close()
            return f"\rMSA|AA|{visit}\r".encode() in said
        return False


async def stored_tokens(nats: NatsServer) -> list[str]:
    bus = await nats.connect("ingest")
    try:
        return [
            (item.headers or {})["Nats-Subject"].rpartition(".")[2]
            async for page in read_stream_pages(bus, "EHR", visit_subject("a03", "*"))
            for item in page
        ]
    finally:
        await bus.close()


async def test_no_answer_without_a_stored_fact_whatever_dies(nats: NatsServer, tmp_path: Path) -> None:
    await nats.provision()
    port = free_port()
    service = ingest(nats, tmp_path, port)
    service.start()
    sender = Sender(port)
    visits = [f"V-{number}" for number in range(MESSAGES)]
    sending = [asyncio.create_task(sender.send(visits[first::CONNECTIONS])) for first in range(CONNECTIONS)]
    try:
        for kill in range(KILLS):
            await asyncio.wait_for(sender.reached((kill + 1) * MESSAGES // (KILLS + 2)), 100)
            if kill % 3 == 1:
                nats.kill()
                nats.start()
            else:
                service.kill()
                service.start()
            acknowledged = {visit_token(visit) for visit in sender.acknowledged}
            assert acknowledged <= set(await stored_tokens(nats))
        await asyncio.wait_for(asyncio.gather(*sending), 100)
    finally:
        for task in sending:
            task.cancel()
        service.kill()

    stored = await stored_tokens(nats)
    assert sorted(stored) == sorted(visit_token(visit) for visit in visits)  # none lost, and each once
    assert sorted(sender.acknowledged) == sorted(visits)
    log = (tmp_path / "ingest.log").read_text()
    assert not [visit for visit in (*visits, "MRN-1", "Nobody") if visit in log]
