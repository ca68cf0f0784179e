"""Approval is killed while it sends documents to an MLLP receiver that others wrote: each is there, and filed once.

COUNTERSIGN_THOROUGH=20 sends 20 times as many documents, with as many more kills.
"""

import asyncio
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from cli.stack.ports import free_port
from shared.contracts.envelope import CHAIN_START, sha256_hex
from shared.contracts.events import Approved, Filed
from shared.contracts.subjects import CaseRef, case_id
from shared.messaging.artifacts import Artifacts
from shared.messaging.event_store import EventStore
from tests.support import third_party
from tests.support.examples import STAY, T0, event
from tests.support.processes import ServiceProcess
from tests.support.server import NatsServer
from tests.support.stack import until

THOROUGH = int(os.environ.get("COUNTERSIGN_THOROUGH", "1"))
pytestmark = [pytest.mark.connected, pytest.mark.system, pytest.mark.timeout(240 * THOROUGH)]
DOCUMENTS, KILLS = 8 * THOROUGH, 2 * THOROUGH
ROOT = Path(__file__).parents[2]
TEXT = "DISCHARGE SUMMARY\n\nPatient: Łukasz | O'Neil & Sons\n\n  - 4\\5 re. ^~\n"
CHART: list[dict[str, Any]] = [
    {"resourceType": "Patient", "id": "p1", "identifier": [{"system": "urn:mrn", "value": "MRN-1"}]},
    {
        "resourceType": "Encounter",
        "id": "e1",
        "status": "finished",
        "class": {"code": "IMP"},
        "subject": {"reference": "Patient/p1"},
        "identifier": [{"system": "urn:visit", "value": "V-1"}],
    },
]
WRITERS = {
    "discharged": "ingest",
    "context-extracted": "drafter",
    "drafted": "drafter",
    "review-requested": "approval",
    "approved": "approval",
}


def approval(nats: NatsServer, directory: Path, ehr: str, mllp: int) -> ServiceProcess:
    (directory / "tokens.json").write_text('{"tokens": []}')
    port = free_port()
    environment = {
        "COUNTERSIGN_MODE": "demo",
        "COUNTERSIGN_NATS_URL": nats.url,
        "COUNTERSIGN_NATS_SEED": nats.secrets.seeds["approval"],
        "COUNTERSIGN_TOKENS_FILE": str(directory / "tokens.json"),
        "COUNTERSIGN_EHR_URL": ehr,
        "COUNTERSIGN_PORT": str(port),
        "COUNTERSIGN_WRITE_BACK": "mdm",
        "COUNTERSIGN_MDM_HOST": "127.0.0.1",
        "COUNTERSIGN_MDM_PORT": str(mllp),
        "COUNTERSIGN_MDM_TIMEOUT": "1",  # the lease of a process that was killed lasts as long, and seven seconds
        "PYTHONPATH": str(ROOT),
    }
    health, log = f"http://127.0.0.1:{port}/healthz", directory / "approval.log"
    return ServiceProcess("approval", [sys.executable, "-m", "services.approval.main"], health, log, environment)


async def sign(nats: NatsServer, patient: str, encounter: str) -> list[CaseRef]:
    """Cases whose documents are signed and not filed."""
    buses = {name: await nats.connect(name) for name in set(WRITERS.values())}
    stay = STAY.model_copy(update={"patient": patient, "encounter": encounter})
    cases = [CaseRef("cardiology", case_id("test", f"e{number}")) for number in range(DOCUMENTS)]
    try:
        for number, case in enumerate(cases):
            text = f"{TEXT}{number}\n".encode()
            head = CHAIN_START
            for name, writer in WRITERS.items():
                body = event(name)
                if isinstance(body, Approved):
                    await Artifacts(buses[writer]).of(case.id, head.sequence).put(text)
                    signed = {"stay": stay, "signed": sha256_hex(text), "edited": True, "task": None}
                    body = body.model_copy(update=signed)
                journal = EventStore(buses[writer], writer)
                head = await journal.append(case, body, after=head, id=f"{case.id}/{name}", time=T0)
    finally:
        for bus in buses.values():
            await bus.close()
    return cases


async def test_each_document_arrives_and_is_filed_once_whatever_is_killed(nats: NatsServer, tmp_path: Path) -> None:
    await nats.provision()
    with third_party.serving(CHART, tmp_path) as ehr, third_party.receiving() as receiver:
        patient, encounter = await _references(ehr)
        cases = await sign(nats, patient, encounter)
        service = approval(nats, tmp_path, ehr, receiver.port)
        bus = await nats.connect("auditor")
        journal = EventStore(bus, "auditor")
        service.start()
        try:
            for _ in range(KILLS):
                await asyncio.to_thread(receiver.wait_for, len(receiver.messages) + 1)
                service.kill()
                service.start()

            async def all_filed() -> bool:
                histories = [await journal.history(case) for case in cases]
                return all(any(isinstance(item.body, Filed) for item in history) for history in histories)

            await until(all_filed, "every document to be filed", patience=150)
            filed = [[item.body for item in await journal.history(case) if item.name == "filed"] for case in cases]
        finally:
            service.kill()
            await bus.close()

    documents = {message["document"]: message for message in receiver.messages}
    assert sorted(documents) == sorted(f"{case.id}/final/1" for case in cases), "none is lost"
    assert len({message["content"] for message in receiver.messages}) == len(cases), "what came twice is the same bytes"
    assert len({message["id"] for message in receiver.messages}) == len(cases)
    assert [len(bodies) for bodies in filed] == [1] * len(cases)
    for number, case in enumerate(cases):
        (body,) = filed[number]
        assert isinstance(body, Filed)
        message = documents[f"{case.id}/final/1"]
        escaped = f"{TEXT}{number}".replace("\\", "\\E\\")
        for mark, name in (("|", "F"), ("^", "S"), ("~", "R"), ("&", "T")):
            escaped = escaped.replace(mark, f"\\{name}\\")
        assert message["lines"] == escaped.split("\n")
        assert body.renditions == {"text/plain": sha256_hex(f"{TEXT}{number}\n".encode())}
    log = (tmp_path / "approval.log").read_text()
    assert not [word for word in ("MRN-1", "Łukasz", "O'Neil") if word in log]


async def _references(ehr: str) -> tuple[str, str]:
    """Return the references of the patient and the stay, whose ids the server has chosen."""
    import httpx

    async with httpx.AsyncClient() as http:
        (found,) = (await http.get(f"{ehr}/Encounter")).json()["entry"]
    encounter = found["resource"]
    return encounter["subject"]["reference"], f"Encounter/{encounter['id']}"
