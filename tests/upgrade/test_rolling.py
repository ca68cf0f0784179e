"""An upgrade from the version before while a ward works: each service in turn, both versions side by side, one back.

The version before is the newest tag; where there is none, the commit in `previous.txt`, which is raised to what was
delivered last. Its packages are exported by `git archive` (a wheel has the same folders; building one needs hatchling),
its dependencies are this environment's. The database server has been given its new rights already, as the upgrade
notes ask before anything else; provisioning and the order of the services are as there, too.
"""

import asyncio
import os
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.audit import verify_stored
from cli.stack.ports import free_port
from cli.stack.secrets import write_tokens
from shared.clinical.fhir_client import FhirClient
from shared.contracts.envelope import decode
from shared.messaging.dead_letters import read_all
from shared.messaging.event_store import EventStore
from tests.support.patients import write_stays
from tests.support.physician import approval_body
from tests.support.processes import ProcessStack, ServiceProcess
from tests.support.stack import until
from tests.support.versions import export, previous

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.triton,
    pytest.mark.timeout(240),
    pytest.mark.xdist_group("processor"),
]

ROOT = Path(__file__).parents[2]
STAYS = 300  # discharged one after the other, as long as the upgrade takes
BETWEEN = 0.5  # seconds from one discharge to the next
# The new approval before the new drafter, and back only until that has begun: the older cannot read what it seals
# (CHANGELOG.md).
ORDER = ("approval", "drafter", "ingest")
ENDS_WITHIN = 30.0  # what pods are given
PATIENCE = 60.0
PROVISION = """
import asyncio, sys
from shared.messaging.connection import connect
from shared.messaging.provision import provision
async def main():
    bus = await connect(sys.argv[1], "admin", sys.argv[2])
    await provision(bus)
    await bus.close()
asyncio.run(main())
"""


class Ward:
    """Who discharges and who signs, whichever process serves them at the moment."""

    def __init__(self, fleet: ProcessStack) -> None:
        self._fleet = fleet
        self._http = httpx.AsyncClient(timeout=15)
        self.told: dict[str, str] = {}  # case by encounter, as the channel answered
        self.signed: Counter[str] = Counter()
        self.upgraded = False

    def _at(self, service: str, role: str) -> dict[str, Any]:
        url = f"http://127.0.0.1:{self._fleet.ports[service]}"
        return {"url": url, "headers": {"Authorization": f"Bearer {self._fleet.tokens[role]}"}}

    async def discharge(self, encounters: list[str]) -> None:
        """Each until it is acknowledged, until the upgrade is over."""
        for encounter in encounters:
            if self.upgraded:
                return
            while encounter not in self.told:
                at = self._at("ingest", "ingest")
                with suppress(httpx.HTTPError):  # the process ends just now
                    sent = {"encounter_id": encounter, "department": "ward"}
                    answer = await self._http.post(
                        f"{at['url']}/v1/encounters/discharged", json=sent, headers=at["headers"]
                    )
                    if answer.status_code == 202:
                        self.told[encounter] = answer.json()["case_id"]
            await asyncio.sleep(BETWEEN)

    async def sign(self) -> None:
        """Whatever waits, again and again."""
        while True:
            with suppress(httpx.HTTPError, KeyError, ValueError):
                await self._round()
            await asyncio.sleep(0.3)

    async def _round(self) -> None:
        at = self._at("approval", "physician")
        listed = await self._http.get(f"{at['url']}/v1/reviews?limit=20", headers=at["headers"])
        for item in listed.json()["items"]:
            path = f"{at['url']}/v1/reviews/{item['case_id']}"
            draft = (await self._http.get(path, headers=at["headers"])).json()["draft"]
            headers = at["headers"] | {"If-Match": f'"{draft["digest"]}"'}
            answer = await self._http.post(f"{path}/approve", headers=headers, json=approval_body(draft))
            if answer.status_code == 200:
                self.signed[item["case_id"]] += 1


async def replace(fleet: ProcessStack, name: str, code: Path) -> None:
    """One service by another version of it: the new process is ready before the old one is told to stop."""
    port, old = free_port(), fleet.parts[name]
    new = fleet.service(name, port, code)
    new.start()
    await asyncio.to_thread(new.wait)
    fleet.parts[name], fleet.ports[name] = new, port
    await asyncio.to_thread(stop, old)


def stop(part: ServiceProcess) -> None:
    """SIGTERM, as an orchestrator sends it."""
    assert part.process is not None
    part.process.terminate()
    assert part.process.wait(ENDS_WITHIN) is not None


async def more(ward: Ward, number: int) -> None:
    """Work goes on: so many more signatures than now."""
    wanted = ward.signed.total() + number
    await until(lambda: asyncio.sleep(0, ward.signed.total() >= wanted), f"{wanted} signatures", 60)


async def test_a_ward_works_on_while_every_service_is_upgraded_and_one_goes_back(tmp_path: Path) -> None:
    old = export(previous(), tmp_path / "old")
    (tmp_path / "stays").mkdir()
    encounters = write_stays(tmp_path / "stays", STAYS)
    fleet = ProcessStack(tmp_path, tmp_path / "stays")
    # As an installation has it that was made by the version before: secrets are created once.
    known = {role: token for role, token in fleet.tokens.items() if role not in ("editor", "engineer")}
    write_tokens(tmp_path / "tokens.json", known)
    for name, port in fleet.ports.items():
        fleet.parts[name] = fleet.service(name, port, old)
    ward, tasks = Ward(fleet), []
    try:
        await start(fleet, old)
        tasks += [asyncio.create_task(ward.sign()), asyncio.create_task(ward.discharge(encounters))]
        await more(ward, 3)
        await fleet.server.provision()
        for name, code in (("approval", ROOT), ("approval", old), *((name, ROOT) for name in ORDER)):
            await replace(fleet, name, code)
            await more(ward, 3)
        assert len(ward.told) < STAYS, "the load ended before the upgrade"
        ward.upgraded = True
        await tasks[1]
        await all_filed(fleet, len(ward.told))
        await check(fleet, ward)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        fleet.stop()


async def start(fleet: ProcessStack, code: Path) -> None:
    """Streams and consumers as the version before provisions them, then everything."""
    fleet.server.start()
    seed = fleet.server.secrets.seeds["admin"]
    await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", PROVISION, fleet.server.url, seed],
        cwd=code,
        env=os.environ | {"PYTHONPATH": str(code)},
        check=True,
    )
    for part in fleet.parts.values():
        part.start()
    for part in fleet.parts.values():
        await asyncio.to_thread(part.wait)


async def histories(fleet: ProcessStack) -> dict[str, list[str]]:
    """The names of each case's events."""
    bus = await fleet.server.connect("auditor")
    found: dict[str, list[str]] = {}
    for item in await EventStore(bus, "auditor").stored("discharge.>"):
        event = decode(item.subject, item.headers, item.data, item.sequence)
        found.setdefault(event.case.id, []).append(event.name)
    await bus.close()
    return found


async def all_filed(fleet: ProcessStack, cases: int) -> None:
    """Waits until every case is filed; none may have given up a step."""
    deadline = asyncio.get_running_loop().time() + PATIENCE
    while True:
        last = Counter(names[-1] for names in (await histories(fleet)).values())
        if last == {"filed": cases}:
            return
        assert "failed" not in last, last
        assert asyncio.get_running_loop().time() < deadline, f"of {cases} cases: {last}"
        await asyncio.sleep(0.2)


async def check(fleet: ProcessStack, ward: Ward) -> None:
    """Nothing lost, nothing twice, nothing given up, and the proof holds."""
    found = await histories(fleet)
    assert found.keys() == set(ward.told.values())
    for case, names in found.items():
        once = Counter(names)
        assert once["filed"] == once["approved"] == once["drafted"] == once["review-requested"] == 1, (case, names)
    operator = await fleet.server.connect("operator")
    assert not await read_all(operator)
    await operator.close()
    async with httpx.AsyncClient(timeout=30) as http:
        ehr = FhirClient(fleet.ehr_url, http)
        documents = [item for item in await ehr.search("DocumentReference", {}) if item["status"] == "current"]
        names = Counter(item["identifier"][0]["value"] for item in documents if "identifier" in item)
        finals = {name: count for name, count in names.items() if name.endswith("/final")}
        assert finals == {f"{case}/final": 1 for case in found}
        bus = await fleet.server.connect("auditor")
        report = await verify_stored(await EventStore(bus, "auditor").stored("discharge.>"), ehr)
        await bus.close()
    assert report.verified, report.faults[:3]
