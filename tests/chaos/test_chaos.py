"""200 cases in flight while everything is killed -9 at random: each is filed exactly once, each chain holds.

A case may use up its attempts while the model server is dead: then it waits for an operator, who is here, too. What
waits for the EHR alone recovers by itself.

The drafter's model here is `drafter-scripted`: deterministic, in the same repository with the same tensors.
"""

import asyncio
import os
import random
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.audit import verify_stored
from cli.redrive import Said, redrive
from shared.clinical.fhir import FhirClient
from shared.contracts.case import fold
from shared.contracts.envelope import decode
from shared.contracts.failures import Failure
from shared.contracts.subjects import encounter_subject
from shared.messaging.journal import Journal
from shared.messaging.letters import read_all
from tests.support.patients import MARKS, write_stays
from tests.support.physician import settled
from tests.support.processes import Fleet

pytestmark = [pytest.mark.chaos, pytest.mark.triton, pytest.mark.timeout(900)]

CASES = 200
KILLS = 14
BETWEEN = (0.3, 1.5)  # seconds between one kill and the next
PATIENCE = 480.0
MAY_FAIL = CASES // 20  # cases whose attempts at the model all met something dead: by design they wait for the operator
WAITS_FOR_EHR = ("drafter-extract", "approval-request", "approval-file", "approval-settle")  # and not for an operator


class Physician:
    """Approves whatever waits, again and again, through every failure."""

    def __init__(self, fleet: Fleet) -> None:
        self._http = httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{fleet.ports['approval']}",
            headers={"Authorization": f"Bearer {fleet.tokens['physician']}"},
            timeout=15,
        )

    async def work(self) -> None:
        while True:
            with suppress(httpx.HTTPError, ValueError, KeyError):  # the service was killed just now
                await self._round()
            await asyncio.sleep(0.05)

    async def _round(self) -> None:
        listed = (await self._http.get("/v1/reviews?limit=20")).json()
        for item in listed["items"]:
            path = f"/v1/reviews/{item['case_id']}"
            draft = (await self._http.get(path)).json()["draft"]
            headers = {"If-Match": f'"{draft["digest"]}"'}
            await self._http.post(f"{path}/approve", headers=headers, json=settled(draft))


async def discharge_all(fleet: Fleet, encounters: list[str]) -> None:
    """Half by the API, half by an engine that publishes on the bus; each until it is acknowledged, some twice."""
    url = f"http://127.0.0.1:{fleet.ports['ingest']}/v1/encounters/discharged"
    headers = {"Authorization": f"Bearer {fleet.tokens['ingest']}"}
    async with httpx.AsyncClient(timeout=10, headers=headers) as http:
        for index, encounter in enumerate(encounters):
            report = {"encounter_id": encounter, "department": "ward"}
            while not (await _by_api(http, url, report) if index % 2 else await _by_bus(fleet, encounter)):  # noqa: ASYNC110 - other processes
                await asyncio.sleep(0.1)
            if index % 10 == 0:
                await _by_api(http, url, report)
            await asyncio.sleep(0.02)


async def _by_api(http: httpx.AsyncClient, url: str, report: dict[str, Any]) -> bool:
    try:
        return (await http.post(url, json=report)).status_code == 202
    except httpx.HTTPError:
        return False


async def _by_bus(fleet: Fleet, encounter: str) -> bool:
    try:
        bus = await fleet.server.connect("ingest")
    except Exception:  # noqa: BLE001 - the server was killed just now
        return False
    try:
        body = b'{"encounter_id": "%s"}' % encounter.encode()
        await bus.publish(encounter_subject("discharged", "ward", encounter), body, stream="EHR")
    except Exception:  # noqa: BLE001 - as above
        return False
    finally:
        await bus.close()
    return True


async def kill_at_random(fleet: Fleet, chance: random.Random) -> set[str]:
    """Kill -9 one part after the other, each started again a moment later. Which ones were killed."""
    killed: set[str] = set()
    for name in [*fleet.parts, "nats", *chance.choices([*fleet.parts, "nats"], k=KILLS - len(fleet.parts) - 1)]:
        await asyncio.sleep(chance.uniform(*BETWEEN))
        if name == "nats":
            fleet.server.kill()
            await asyncio.sleep(chance.uniform(0, 1))
            await asyncio.to_thread(fleet.server.start)
        else:
            part = fleet.parts[name]
            part.kill()
            await asyncio.sleep(chance.uniform(0, 1))
            part.start()
            await asyncio.to_thread(part.wait)
        killed.add(name)
    return killed


async def histories(fleet: Fleet) -> dict[str, list[Any]]:
    """Every case's events."""
    bus = await fleet.server.connect("auditor")
    found: dict[str, list[Any]] = {}
    for item in await Journal(bus, "auditor").stored("discharge.>"):
        event = decode(item.subject, item.headers, item.data, item.sequence)
        found.setdefault(event.case.id, []).append(event)
    await bus.close()
    return found


async def all_filed(fleet: Fleet) -> dict[str, list[Any]]:
    """Waits until the last case is filed; what used up its attempts while everything died, the operator puts back."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    put_back: Counter[str] = Counter()
    while True:
        found = await histories(fleet)
        cases = {case_id: fold(events) for case_id, events in found.items()}
        states = Counter(case.state for case in cases.values())
        if states["filed"] == CASES:
            assert not put_back.keys() & {*WAITS_FOR_EHR}, put_back
            assert put_back.total() <= MAY_FAIL, put_back
            return found
        assert loop.time() < deadline, f"not all filed: {dict(states)}"
        reasons = [case.failure.reason for case in cases.values() if case.failure is not None]
        assert not [reason for reason in reasons if reason.startswith("unexpected")], reasons
        put_back.update(await redrive_all(fleet))
        await asyncio.sleep(0.5)


async def redrive_all(fleet: Fleet) -> list[str]:
    """As the operator does with `countersign deadletter redrive`; the consumers whose messages were put back."""
    bus = await fleet.server.connect("operator")
    try:
        letters = await read_all(bus)
        waiting = [letter for letter, _, _ in letters.values() if letter.waits]
        done = []
        for letter in waiting:
            with suppress(Failure):  # buried twice, its process having died in between; or who would do it was killed
                await redrive(bus, letters, letter.sequence, Said("operator"))
                done.append(letter.consumer)
        return done
    finally:
        await bus.close()


async def test_two_hundred_cases_survive_whatever_is_killed(tmp_path: Path) -> None:
    seed = int(os.environ.get("COUNTERSIGN_CHAOS_SEED", "20261123"))
    stays = tmp_path / "stays"
    stays.mkdir()
    encounters = write_stays(stays, CASES)
    fleet = Fleet(tmp_path, stays)
    physician = Physician(fleet)
    try:
        await fleet.start()
        signing = asyncio.create_task(physician.work())
        _, killed = await asyncio.gather(discharge_all(fleet, encounters), kill_at_random(fleet, random.Random(seed)))
        assert killed == {*fleet.parts, "nats"}
        found = await all_filed(fleet)
        signing.cancel()
        await check(fleet, found)
    finally:
        fleet.stop()


async def check(fleet: Fleet, found: dict[str, list[Any]]) -> None:
    assert len(found) == CASES
    for case_id, events in found.items():
        names = [event.name for event in events]
        assert names.count("filed") == names.count("approved") == names.count("review-requested") == 1, (case_id, names)
    async with httpx.AsyncClient(timeout=30) as http:
        ehr = FhirClient(fleet.ehr_url, http)
        documents = [item for item in await ehr.search("DocumentReference", {}) if item["status"] == "current"]
        ours = Counter(item["identifier"][0]["value"] for item in documents if "identifier" in item)
        finals = {name: count for name, count in ours.items() if name.endswith("/final")}
        assert finals == {f"{case_id}/final": 1 for case_id in found}
        tasks = await ehr.search("Task", {})
        assert Counter(item["status"] for item in tasks) == {"completed": CASES}
        bus = await fleet.server.connect("auditor")
        report = await verify_stored(await Journal(bus, "auditor").stored("discharge.>"), ehr)
        await bus.close()
        assert report.verified, report.faults[:3]
    logs = fleet.logs()
    assert not [mark for mark in MARKS if mark in logs], "an identifier of a patient stands in a log"
