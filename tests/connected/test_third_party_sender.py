"""Ingest and NATS are killed while a third-party sender repeats what was not answered: one case for each discharge.

`COUNTERSIGN_THOROUGH=34 pytest tests/connected/test_third_party_sender.py`: 2,040 discharges and 136 kills.
"""

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cli.stack.ports import free_port
from shared.contracts.subjects import CASE_EVENTS, DEAD_LETTERS, case_id
from shared.contracts.visits import visit_token
from shared.messaging.connection import NatsConnection
from shared.messaging.stream_pages import read_stream_pages
from shared.messaging.topology import Consumer
from tests.connected.test_hl7_crash import ingest, stored_tokens
from tests.support.effort import THOROUGH
from tests.support.hl7 import adt
from tests.support.processes import ServiceProcess
from tests.support.server import NatsServer
from tests.support.stack import until
from tests.support.third_party import Printed, sending

pytestmark = [pytest.mark.connected, pytest.mark.system, pytest.mark.timeout(240 * THOROUGH)]
DISCHARGES, KILLS, CONNECTIONS = 60 * THOROUGH, 4 * THOROUGH, 4
PATIENCE_S = 120.0
PATIENT = {"resourceType": "Patient", "id": "p1", "identifier": [{"system": "urn:mrns", "value": "MRN-1"}]}
SENDER = {
    "name": "engine",
    "zone": "UTC",
    "peers": ["127.0.0.1"],
    "visit_system": "urn:visits",
    "mrn_system": "urn:mrns",
    "mrn_authority": "HOSP",
    "departments": {"MED": "internal-medicine"},
}


def stay(visit: str) -> dict[str, Any]:
    return {
        "resourceType": "Encounter",
        "id": f"enc-{visit}",
        "status": "finished",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "IMP"},
        "subject": {"reference": "Patient/p1"},
        "identifier": [{"system": "urn:visits", "value": visit}],
        "period": {"start": "2026-06-20T08:00:00Z", "end": "2026-06-26T04:12:00Z"},
    }


def ehr(directory: Path, visits: list[str]) -> tuple[ServiceProcess, str]:
    """The sandbox EHR with a stay for each visit, and its base URL."""
    seed, port = directory / "seed", free_port()
    seed.mkdir()
    entries = [{"resource": item} for item in (PATIENT, *map(stay, visits))]
    (seed / "stays.json").write_text(json.dumps({"resourceType": "Bundle", "entry": entries}))
    command = [sys.executable, "-m", "sandbox_ehr", "--port", str(port), "--seed", str(seed)]
    url = f"http://127.0.0.1:{port}/fhir"
    return ServiceProcess("ehr", command, f"{url}/metadata", directory / "ehr.log"), url


def acknowledged(answers: Printed) -> list[str]:
    return [item["id"] for item in list(answers.messages) if item["code"] == "AA"]


async def subjects(nats: NatsServer, user: str, stream: str, filter: str) -> list[str]:
    bus = await nats.connect(user)
    try:
        return [subject async for subject in _subjects(bus, stream, filter)]
    finally:
        await bus.close()


async def _subjects(bus: NatsConnection, stream: str, filter: str) -> Any:
    async for page in read_stream_pages(bus, stream, filter):
        for item in page:
            yield (item.headers or {})["Nats-Subject"]


def kill(number: int, service: ServiceProcess, nats: NatsServer) -> None:
    """Kill ingest, NATS or both, in turn, and start them again."""
    whole = ("ingest", "nats", "both")[number % 3]
    if whole != "nats":
        service.kill()
    if whole != "ingest":
        nats.kill()
        nats.start()
    if whole != "nats":
        service.start()


async def test_of_discharges_by_a_third_party_sender_none_is_lost_whatever_dies(
    nats: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if THOROUGH == 1:
        monkeypatch.setattr(Consumer, "ack_wait", 3.0)  # messages of the dead come back soon
    await nats.provision()
    visits = [f"v-{number}" for number in range(DISCHARGES)]
    messages = [adt(PV1_19=visit, MSH_10=visit) for visit in visits]
    server, url = ehr(tmp_path, visits)
    mllp = free_port()
    service = ingest(nats, tmp_path, mllp, ehr=url, sender=SENDER)
    server.start()
    service.start()
    try:
        with sending(messages, mllp, CONNECTIONS, tmp_path) as answers:
            # The last kill comes after the last answer, while cases are still being opened.
            for number in range(KILLS):
                await asyncio.to_thread(answers.wait_for, (number + 1) * DISCHARGES // KILLS, PATIENCE_S)
                await asyncio.to_thread(kill, number, service, nats)
                said = {visit_token(visit) for visit in acknowledged(answers)}
                assert said <= set(await stored_tokens(nats)), "a message was answered AA and is not stored"

        async def all_opened() -> bool:
            return len(await subjects(nats, "auditor", "DISCHARGE", CASE_EVENTS)) >= DISCHARGES

        await until(all_opened, "a case for each discharge", PATIENCE_S)
        await until(lambda: settled(nats), "ingest to settle", PATIENCE_S)
    finally:
        service.kill()
        server.kill()

    assert {item["code"] for item in answers.messages} == {"AA"}
    assert all(item["id"] == item["answered"] for item in answers.messages)
    assert sorted(acknowledged(answers)) == sorted(visits)
    assert sum(item["attempts"] for item in answers.messages) > DISCHARGES, "no kill has hit a message"
    assert Counter(await stored_tokens(nats)) == Counter(map(visit_token, visits)), "each is stored, and once"
    opened = await subjects(nats, "auditor", "DISCHARGE", CASE_EVENTS)
    cases = [case_id("countersign", f"enc-{visit}") for visit in visits]
    assert Counter(opened) == Counter(f"discharge.internal-medicine.{case}.discharged" for case in cases)
    assert await subjects(nats, "operator", "DEADLETTER", DEAD_LETTERS) == []
    log = (tmp_path / "ingest.log").read_text()
    assert not [word for word in (*visits, "MRN-1", "Nobody") if word in log]


async def settled(nats: NatsServer) -> bool:
    """Whether everything that was stored has been worked on."""
    bus = await nats.connect("ingest")
    try:
        infos = [await bus.consumer_info("EHR", name) for name in ("ingest-visits", "ingest-discharged")]
        return all(info["num_pending"] == info["num_ack_pending"] == 0 for info in infos)
    finally:
        await bus.close()
