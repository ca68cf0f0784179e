"""Give the dashboards data: refresh the knowledge base, discharge synthetic patients, sign and rate some documents."""

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx

from cli.client import Api
from cli.container.demo import discharge, refresh
from cli.demo import sign, undischarged_stays
from cli.errors import CommandError
from cli.stack.access import StackAccess

POLL_INTERVAL_S = 0.5  # seconds
STEP_TIMEOUT_S = 240.0  # seconds for a step; on one core the model needs most of them
DRAFTED = 'sum(countersign_case_events_total{countersign_event="drafted"})'
SIGNED = 'sum(countersign_case_events_total{countersign_event="approved"})'
COUNTERS = "countersign_knowledge_refreshes_total"  # stands at 0 from a process' start, with all others of fixed labels
UNSIGNED_DOCUMENTS = 2  # left for a person to sign

PrintLine = Callable[[str], None]


class DemoLoad:
    """Runs cases on the stack of `access`, one after the other.

    Waits until Prometheus at `prometheus` has scraped each step: `increase()` needs a sample from before it.
    """

    def __init__(self, access: StackAccess, prometheus: str, say: PrintLine) -> None:
        self._prometheus = httpx.AsyncClient(base_url=prometheus, trust_env=False, timeout=10)
        self._operator, self._engine, self._physician = (
            Api(access.base_url, access.tokens[role]) for role in ("operator", "ingest", "physician")
        )
        self._say = say

    async def run(self, patients: int) -> None:
        """Run everything. Raises CommandError when a step takes too long."""
        async with AsyncExitStack() as stack:
            for client in (self._operator, self._engine, self._physician):
                stack.push_async_callback(client.close)
            stack.push_async_callback(self._prometheus.aclose)
            try:
                await self._seen(COUNTERS)
                await self._refresh()
                stays = (await undischarged_stays(self._engine))[:patients]
                for number, stay in enumerate(stays, start=1):
                    case_id = await discharge(self._engine, stay)
                    self._say(f"discharged: {stay.department}, case {case_id}")
                    draft = await self._draft(case_id)
                    await self._seen(f"{DRAFTED} >= {number}")
                    if number <= len(stays) - UNSIGNED_DOCUMENTS:
                        await sign(self._physician, case_id, draft)
                        await self._physician("POST", f"/v1/reviews/{case_id}/rating", json={"rating": "useful"})
                        self._say(f"signed: case {case_id}")
                        await self._seen(f"{SIGNED} >= {number}")
                await self._refresh(full=True)
            except TimeoutError:
                raise CommandError("The stack makes no progress. Run: countersign doctor") from None

    async def _refresh(self, full: bool = False) -> None:
        found = await refresh(self._operator, full)
        self._say(f"knowledge base: {found['state']}, version {found['live_version']} is live")

    async def _draft(self, case_id: str) -> dict[str, Any]:
        """Return the draft of a case once it awaits review. Raises CommandError when the case fails."""
        async with asyncio.timeout(STEP_TIMEOUT_S):
            while True:
                state = (await self._physician("GET", f"/v1/cases/{case_id}"))["state"]
                if state == "awaiting-review":
                    draft: dict[str, Any] = (await self._physician("GET", f"/v1/reviews/{case_id}"))["draft"]
                    return draft
                if state == "failed":
                    raise CommandError(f"Case {case_id} has failed. Run: countersign cases show {case_id}")
                await asyncio.sleep(POLL_INTERVAL_S)

    async def _seen(self, expr: str) -> None:
        """Wait until `expr` has a result in Prometheus."""
        async with asyncio.timeout(STEP_TIMEOUT_S):
            while True:
                answer = await self._prometheus.get("/api/v1/query", params={"query": expr})
                if answer.json()["data"]["result"]:
                    return
                await asyncio.sleep(POLL_INTERVAL_S)
