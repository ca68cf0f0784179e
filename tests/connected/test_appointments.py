"""An Appointment of the EHR plans a discharge: ingest and the sandbox EHR as processes, over HTTP."""

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.stack.ports import free_port
from cli.stack.secrets import write_tokens
from shared.contracts.subjects import case_id
from shared.messaging.event_store import EventStore
from tests.support.ehr import stays
from tests.support.processes import ServiceProcess
from tests.support.server import NatsServer
from tests.support.stack import until

pytestmark = [pytest.mark.connected, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[2]
STAY = stays()[0]
TYPE = {"coding": [{"system": "urn:site", "code": "discharge"}]}
SOON = (datetime.now(UTC) + timedelta(hours=20)).replace(microsecond=0)


class Hospital:
    """The sandbox EHR and ingest as others see them, and what ingest has made of it."""

    def __init__(self, ehr: httpx.AsyncClient, ingest: httpx.AsyncClient, nats: NatsServer) -> None:
        self.ehr, self.ingest, self._nats = ehr, ingest, nats
        self.finished: dict[str, Any] = {}

    async def admit(self, **more: Any) -> dict[str, Any]:
        """A stay of the seed goes on."""
        found = (await self.ehr.get(f"/Encounter/{STAY}")).json()
        ongoing = found | {"status": "in-progress", "period": {"start": found["period"]["start"]}} | more
        return await self.put(ongoing)

    async def put(self, resource: dict[str, Any]) -> dict[str, Any]:
        answer = await self.ehr.put(f"/{resource['resourceType']}/{resource['id']}", json=resource)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def book(self, patient: str, **more: Any) -> dict[str, Any]:
        resource = {"resourceType": "Appointment", "status": "booked", "serviceType": [TYPE], "start": SOON.isoformat()}
        actors = [{"actor": {"reference": patient}, "status": "accepted"}]
        answer = await self.ehr.post("/Appointment", json=resource | {"participant": actors} | more)
        assert answer.status_code == 201, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def events(self) -> list[Any]:
        bus = await self._nats.connect("auditor")
        try:
            return [item.body for item in await EventStore(bus, "auditor").find(case_id("test", STAY))]
        finally:
            await bus.close()

    async def has(self, *names: str) -> list[Any]:
        async def there() -> list[Any] | None:
            found = await self.events()
            return found if [item.event for item in found] == list(names) else None

        found: list[Any] = await until(there, f"the case to have {names}", patience=60)
        return found

    async def reports(self, number: int) -> list[dict[str, Any]]:
        """The stored reports of the pending discharge and its cancellation, once there are `number`."""

        async def there() -> list[dict[str, Any]] | None:
            bus = await self._nats.connect("ingest")
            query = {"seq": 1, "next_by_subj": f"ehr.encounter.*.*.{STAY}", "batch": 100}
            found = [json.loads(item.data) for item in await bus.direct_get("EHR", query)]
            await bus.close()
            return found if len(found) >= number else None

        found: list[dict[str, Any]] = await until(there, f"{number} reports", patience=60)
        return found

    async def dead_letters(self) -> list[Any]:
        bus = await self._nats.connect("ingest")
        found = await bus.direct_get("DEADLETTER", {"seq": 1, "next_by_subj": "deadletter.>", "batch": 10})
        await bus.close()
        return found


@asynccontextmanager
async def hospital(nats: NatsServer, directory: Path, *, notify: bool) -> AsyncIterator[Hospital]:
    """`notify`: the EHR notifies of Appointments, and is not polled; else it is polled each second."""
    await nats.provision()
    write_tokens(directory / "tokens.json", nats.secrets.tokens)
    at_ehr, at_ingest, token = free_port(), free_port(), nats.secrets.tokens["ingest"]
    ehr_url, ingest_url = f"http://127.0.0.1:{at_ehr}/fhir", f"http://127.0.0.1:{at_ingest}"
    told = ["--notify", f"{ingest_url}/v1/fhir/notifications", "--notify-appointments", "--notify-token", token]
    command = [sys.executable, "-m", "sandbox_ehr", "--port", str(at_ehr), *(told if notify else [])]
    environment = {
        "COUNTERSIGN_MODE": "demo",
        "COUNTERSIGN_ORGANIZATION": "test",
        "COUNTERSIGN_NATS_URL": nats.url,
        "COUNTERSIGN_NATS_SEED": nats.secrets.seeds["ingest"],
        "COUNTERSIGN_TOKENS_FILE": str(directory / "tokens.json"),
        "COUNTERSIGN_EHR_URL": ehr_url,
        "COUNTERSIGN_PORT": str(at_ingest),
        "COUNTERSIGN_FHIR_POLL_SECONDS": "0" if notify else "1",
        "COUNTERSIGN_APPOINTMENT_TYPES": '["urn:site|discharge"]',
        "PYTHONPATH": str(ROOT),
    }
    ingest = [sys.executable, "-m", "services.ingest.main"]
    parts = [
        ServiceProcess("ehr", command, f"{ehr_url}/metadata", directory / "ehr.log", cwd=ROOT),
        ServiceProcess("ingest", ingest, f"{ingest_url}/healthz", directory / "ingest.log", environment, cwd=ROOT),
    ]
    try:
        for part in parts:
            part.start()
        for part in parts:
            part.wait()
        headers = {"Authorization": f"Bearer {token}"}
        async with (
            httpx.AsyncClient(base_url=ehr_url) as ehr,
            httpx.AsyncClient(base_url=ingest_url, headers=headers) as client,
        ):
            yield Hospital(ehr, client, nats)
    finally:
        for part in parts:
            part.kill()


async def test_a_notified_appointment_prepares_a_stay_and_its_cancellation_ends_that(
    nats: NatsServer, tmp_path: Path
) -> None:
    async with hospital(nats, tmp_path, notify=True) as site:
        encounter = await site.admit()
        patient, named = encounter["subject"]["reference"], [{"reference": f"Encounter/{STAY}"}]
        await site.book(patient, serviceType=[{"text": "Follow-up"}], supportingInformation=named)
        booked = await site.book(patient, supportingInformation=named)
        (request,) = await site.has("preparation-requested")
        assert (request.trigger, request.expected_at) == ("planned-date", SOON)
        assert request.ends_at == SOON + timedelta(days=7)
        await site.put(booked | {"comment": "with a taxi"})  # nothing about the discharge
        later = SOON + timedelta(hours=3)
        await site.put(booked | {"start": later.isoformat()})
        reports = await site.reports(2)
        assert [datetime.fromisoformat(item["expected_at"]) for item in reports] == [SOON, later]
        await site.put(booked | {"status": "cancelled"})
        await site.has("preparation-requested", "preparation-ended")
        await site.put(booked)  # booked again, for the same time
        await site.has("preparation-requested", "preparation-ended", "preparation-requested")
        assert await site.dead_letters() == []


async def test_an_appointment_is_found_by_the_poll_and_by_the_encounter_that_names_it(
    nats: NatsServer, tmp_path: Path
) -> None:
    async with hospital(nats, tmp_path, notify=False) as site:
        encounter = await site.admit()
        booked = await site.book(encounter["subject"]["reference"])
        await site.admit(appointment=[{"reference": f"Appointment/{booked['id']}"}])
        (request,) = await site.has("preparation-requested")
        assert (request.trigger, request.expected_at) == ("planned-date", SOON)
        await site.put(booked | {"status": "noshow"})
        await site.has("preparation-requested", "preparation-ended")


async def test_its_cancellation_ends_no_preparation_that_somebody_else_requested(
    nats: NatsServer, tmp_path: Path
) -> None:
    async with hospital(nats, tmp_path, notify=True) as site:
        encounter = await site.admit()
        pending = await site.ingest.post("/v1/encounters/discharge-pending", json={"encounter_id": STAY})
        assert pending.status_code == 202
        await site.has("preparation-requested")
        named = [{"reference": f"Encounter/{STAY}"}]
        booked = await site.book(encounter["subject"]["reference"], supportingInformation=named)
        await site.reports(2)
        await site.put(booked | {"status": "cancelled"})
        await site.reports(3)
        other = await site.book("Patient/somebody-else", supportingInformation=named)
        assert other["id"] != booked["id"]

        async def refused() -> list[Any]:
            return await site.dead_letters()

        (letter,) = await until(refused, "a dead letter", patience=60)
        assert "different patients" in dict(letter.headers)["countersign-reason"]
        await site.has("preparation-requested")
