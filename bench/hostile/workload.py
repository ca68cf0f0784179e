"""The ward: physicians who load their inbox, open a draft and approve it, and an EHR that reports discharges."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from tests.support.physician import approval_body

INBOX_INTERVAL_S = 4.0  # seconds between one look at the inbox and the next
INBOX_LOADS_PER_DECISION = 5
CLIENT_TIMEOUT = aiohttp.ClientTimeout(total=60)


def percentile(seconds: list[float], share: int) -> float:
    """Milliseconds, nearest rank."""
    ordered = sorted(seconds)
    return round(ordered[max(0, -(-len(ordered) * share // 100) - 1)] * 1000, 1) if ordered else 0.0


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@dataclass
class Measurements:
    """What honest people met in one part of the run."""

    took: dict[str, list[float]] = field(default_factory=dict)  # seconds by what was asked
    errors: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Measurements") -> None:
        for what, took in other.took.items():
            self.took.setdefault(what, []).extend(took)
        self.errors.update(other.errors)

    @property
    def figures(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            what: {"n": len(took), "p50_ms": percentile(took, 50), "p95_ms": percentile(took, 95)}
            for what, took in sorted(self.took.items())
        }
        return found | {"errors": dict(self.errors)}


class Workload:
    """Physicians at `approval`, one for each of `staff` (their tokens), and reports to `ingest`."""

    def __init__(self, approval: str, ingest: str, reporter: str, staff: Sequence[str], chance: random.Random) -> None:
        self._approval = approval
        self._ingest = ingest
        self._reporter = bearer(reporter)
        self._staff = staff
        self._chance = chance
        self._taken: set[str] = set()
        self.seen = Measurements()
        self.signed: set[str] = set()

    async def __aenter__(self) -> "Workload":
        self._http = aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar(), timeout=CLIENT_TIMEOUT)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def sign_in(self, token: str) -> str:
        """By the form, as a browser does. The session as a `Cookie` header."""
        url, origin = f"{self._approval}/sign-in", {"Origin": self._approval}
        async with self._http.post(url, data={"token": token}, headers=origin, allow_redirects=False) as answer:
            answer.raise_for_status()
            return "; ".join(f"{name}={item.value}" for name, item in answer.cookies.items())

    def begin(self) -> Measurements:
        """A new part of the run; returns what was seen in the one before."""
        before, self.seen = self.seen, Measurements()
        return before

    async def discharge(self, encounter: str) -> None:
        report = {"encounter_id": encounter, "department": "ward"}
        await self._ask(
            "discharge", "POST", f"{self._ingest}/v1/encounters/discharged", json=report, headers=self._reporter
        )

    async def waiting(self, token: str) -> list[str]:
        """Up to 200 cases that wait for a physician."""
        answer = await self._ask("list", "GET", f"{self._approval}/v1/reviews?limit=200", headers=bearer(token))
        return [item["case_id"] for item in answer["items"]] if answer else []

    async def draft(self, token: str, case: str) -> dict[str, Any] | None:
        answer = await self._ask("draft", "GET", f"{self._approval}/v1/reviews/{case}", headers=bearer(token))
        return answer["draft"] if answer else None

    async def physician(
        self, token: str, every: float = INBOX_INTERVAL_S, decide_after: int = INBOX_LOADS_PER_DECISION
    ) -> None:
        """Looks at the inbox at fixed times, whatever it takes, and decides now and then."""
        cookie = {"Cookie": await self.sign_in(token)}
        await asyncio.sleep(self._chance.uniform(0, every))
        loop = asyncio.get_running_loop()
        at, looks = loop.time(), self._chance.randrange(decide_after)  # not everybody decides at the same time
        while True:
            await self._ask("inbox", "GET", f"{self._approval}/", headers=cookie)
            looks += 1
            if looks % decide_after == 0:
                await self._decide(token, cookie)
            at = max(at + every, loop.time())
            await asyncio.sleep(at - loop.time())

    async def _decide(self, token: str, cookie: dict[str, str]) -> None:
        case = next((item for item in await self.waiting(token) if item not in self._taken), None)
        if case is None:
            return
        self._taken.add(case)
        await self._ask("page", "GET", f"{self._approval}/reviews/{case}", headers=cookie)
        draft = await self.draft(token, case)
        if draft is None:
            return
        headers = bearer(token) | {"If-Match": f'"{draft["digest"]}"'}
        url = f"{self._approval}/v1/reviews/{case}/approve"
        if await self._ask("approve", "POST", url, json=approval_body(draft), headers=headers):
            self.signed.add(case)

    async def _ask(self, what: str, method: str, url: str, **sent: Any) -> Any:
        """The answer as JSON or text; None where it was an error, which is counted."""
        seen, began = self.seen, time.perf_counter()
        try:
            async with self._http.request(method, url, allow_redirects=False, **sent) as answer:
                content = await (answer.json() if "json" in answer.content_type else answer.text())
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            seen.errors[f"{what}: {type(error).__name__}"] += 1
            return None
        seen.took.setdefault(what, []).append(time.perf_counter() - began)
        if answer.status >= 300:
            seen.errors[f"{what}: {answer.status}"] += 1
            return None
        return content
