"""People at work in the EHR itself, which acknowledges what they change."""

import asyncio
from itertools import count
from typing import Any

import httpx

from shared.http import HttpClient
from tests.proof.clients import RETRY_DELAY_S, TIMEOUT, Gate, word_of
from tests.proof.journal import Journal

ENDED = ("hospitalization", "reasonReference")  # what an Encounter says only once the stay has ended
OBSERVED = "Admitted for observation"


class EhrClerk:
    """The inbox of the EHR, and the stays on the ward."""

    def __init__(self, url: str, journal: Journal, gate: Gate) -> None:
        self._journal, self._gate = journal, gate
        self._http = HttpClient(base_url=url, timeout=TIMEOUT)
        self._numbers = count(1)

    async def close(self) -> None:
        await self._http.aclose()

    async def read(self, reference: str) -> dict[str, Any]:
        while True:
            async with self._gate.through():
                try:
                    answer = await self._http.get(f"/{reference}")
                except httpx.HTTPError:
                    answer = None
            if answer is not None and answer.status_code == 200:
                found: dict[str, Any] = answer.json()
                return found
            await asyncio.sleep(RETRY_DELAY_S)

    async def answer(self, task: str, status: str, code: str, facts: dict[str, Any], words: str = "") -> None:
        """Give the Task another status, as the EHR's screens would, under If-Match; until it has one."""
        facts = facts | {"op": f"clerk-{next(self._numbers)}", "channel": "task", "who": "clerk"}
        while True:
            found = await self.read(f"Task/{task}")
            if found["status"] not in ("requested", "in-progress"):
                return
            coding = {"system": "https://countersign.example/fhir/review-status", "code": code}
            wanted = found | {"status": status, "businessStatus": {"coding": [coding]}}
            if words:
                wanted["statusReason"] = {"text": words}
            answer = await self._put(wanted, found)
            taken = answer is not None and answer.status_code == 200
            self._journal.note("decision", **facts, answer=word_of(answer), taken=taken)
            if taken:
                return
            await asyncio.sleep(RETRY_DELAY_S)

    async def admit(self, encounter: str) -> dict[str, Any]:
        """Make a stay of one that has ended go on, for another reason; returns its Encounter as it was."""
        found = await self.read(f"Encounter/{encounter}")
        ongoing = {name: value for name, value in found.items() if name not in ENDED}
        period = {name: value for name, value in found["period"].items() if name != "end"}
        await self.change(ongoing | {"status": "in-progress", "period": period, "reasonCode": [{"text": OBSERVED}]})
        return found

    async def change(self, wanted: dict[str, Any]) -> None:
        """Replace a resource, whatever its version is, until that is acknowledged."""
        while True:
            answer = await self._put(wanted, await self.read(f"{wanted['resourceType']}/{wanted['id']}"))
            if answer is not None and answer.status_code == 200:
                return
            await asyncio.sleep(RETRY_DELAY_S)

    async def _put(self, wanted: dict[str, Any], found: dict[str, Any]) -> httpx.Response | None:
        """Update the version that was `found`. None where no answer came."""
        path, headers = f"/{wanted['resourceType']}/{wanted['id']}", {"If-Match": f'W/"{found["meta"]["versionId"]}"'}
        async with self._gate.through():
            try:
                return await self._http.put(path, json=wanted, headers=headers)
            except httpx.HTTPError:
                return None
