"""Clients that note what they send and what they are told, lose answers, and send again what they got no answer to."""

import asyncio
import contextlib
import hashlib
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from pathlib import Path
from random import Random
from typing import Any

import httpx
import nats
from nats import errors
from nats.aio.client import Client as Nats

from shared.contracts.subjects import encounter_subject
from shared.http import HttpClient
from tests.proof.journal import Journal
from tests.support.hl7 import framed
from tests.support.patients import MARKS, mrn, visit_number

RETRY_DELAY_S = 0.4  # seconds until a client tries again
BUSY = (408, 425, 429, 500, 502, 503, 504)
TIMEOUT = 20.0
TAKEN = (200, 202)
FS = b"\x1c"  # ends a message of MLLP
PENDING = ("A16", "A25")  # ADT events about a discharge that is pending


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@dataclass
class Gate:
    """Closed while the stack is put back from a backup: nobody sends anything, and nothing is on its way."""

    opened: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: int = 0

    @contextlib.asynccontextmanager
    async def through(self) -> Any:
        await self.opened.wait()
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1

    async def close(self) -> None:
        self.opened.clear()
        while self.under_way:  # noqa: ASYNC110 - requests end by themselves
            await asyncio.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Odds:
    """How often a client goes away before the answer, and how often it sends again what was answered."""

    lost: float = 0.1
    twice: float = 0.1


Taken = Callable[[httpx.Response], bool]


def by_status(answer: httpx.Response) -> bool:
    return answer.status_code in TAKEN


def by_page(answer: httpx.Response) -> bool:
    """A form is answered with a redirect; where it was refused, to a page that says why."""
    return answer.status_code == 303 and "note=" not in answer.headers["location"]


class Client:
    """One person, or one system, at one service."""

    _numbers = count(1)

    def __init__(
        self, who: str, url: str, token: str, journal: Journal, gate: Gate, chance: Random, odds: Odds
    ) -> None:
        self.who = who
        self._journal, self._gate, self._chance, self._odds = journal, gate, chance, odds
        limits = httpx.Limits(max_connections=200)
        self._http = HttpClient(
            base_url=url, headers={"Authorization": f"Bearer {token}"}, timeout=TIMEOUT, limits=limits
        )

    async def close(self) -> None:
        await self._http.aclose()

    async def get(self, path: str) -> httpx.Response:
        """An answer, whatever it takes."""
        while True:
            answer = await self._once("GET", path)
            if answer is not None and answer.status_code not in BUSY:
                return answer
            await asyncio.sleep(RETRY_DELAY_S)

    async def probe(self, method: str, path: str, case: str, endpoint: str, **sent: Any) -> None:
        """Send a request that has to be refused; once, whatever the answer is."""
        answer = await self._once(method, path, **sent)
        self._journal.note("probe", who=self.who, case=case, endpoint=endpoint, answer=word_of(answer))

    async def send(
        self, kind: str, method: str, path: str, facts: dict[str, Any], taken: Taken = by_status, **sent: Any
    ) -> httpx.Response:
        """Send until there is an answer; the same again now and then. Everything is noted as `kind` with `facts`."""
        facts = facts | {"who": self.who, "op": f"{self.who}-{next(self._numbers)}"}
        lose = self._chance.random() < self._odds.lost
        while True:
            answer = await self._noted(kind, method, path, facts, taken, lose=lose, **sent)
            if answer is not None and answer.status_code not in BUSY:
                break
            lose = False
            await asyncio.sleep(RETRY_DELAY_S)
        if taken(answer) and self._chance.random() < self._odds.twice:
            await self._noted(kind, method, path, facts, taken, lose=False, **sent)
        return answer

    async def _noted(
        self, kind: str, method: str, path: str, facts: dict[str, Any], taken: Taken, *, lose: bool, **sent: Any
    ) -> httpx.Response | None:
        patience = self._chance.uniform(0.001, 0.08) if lose else TIMEOUT
        answer = await self._once(method, path, patience, **sent)
        told: dict[str, Any] = {}
        if answer is not None and by_status(answer):
            told = {name: value for name, value in answer.json().items() if name in ("case_id", "signed")}
        accepted = answer is not None and taken(answer)
        more = {"case": told["case_id"]} if "case_id" in told else {}
        self._journal.note(kind, **facts | more, answer=word_of(answer), taken=accepted)
        return answer

    async def _once(self, method: str, path: str, patience: float = TIMEOUT, **sent: Any) -> httpx.Response | None:
        """None where no answer came."""
        async with self._gate.through():
            try:
                async with asyncio.timeout(patience):
                    return await self._http.request(method, path, **sent)
            except (httpx.HTTPError, TimeoutError):
                return None


def word_of(answer: httpx.Response | None) -> int | str:
    if answer is None:
        return "lost"
    return "busy" if answer.status_code in BUSY else answer.status_code


class IntegrationEngine:
    """An integration engine that publishes on the bus itself."""

    def __init__(self, url: str, seed: str, ca_file: Path | None, journal: Journal, gate: Gate) -> None:
        self._url, self._seed, self._journal, self._gate = url, seed, journal, gate
        self._tls = ssl.create_default_context(cafile=ca_file) if ca_file else None
        self._client = Nats()

    async def start(self) -> None:
        self._client = await nats.connect(
            self._url,
            nkeys_seed_str=self._seed,
            tls=self._tls,
            tls_handshake_first=self._tls is not None,
            inbox_prefix="_INBOX_ingest",
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.2,
            error_cb=_quietly,
        )

    async def close(self) -> None:
        await self._client.close()

    async def tell(self, kind: str, fact: str, department: str, encounter: str, **more: Any) -> None:
        """Publish until the stream has it."""
        subject, body = encounter_subject(fact, department, encounter), b'{"encounter_id": "%s"}' % encounter.encode()
        while True:
            async with self._gate.through():
                try:
                    await self._client.jetstream(timeout=5).publish(subject, body, stream="EHR")
                    answer = "ack"
                except (errors.Error, OSError, TimeoutError):
                    answer = "lost"
            facts = {"encounter": encounter, "department": department, "channel": "bus"} | more
            self._journal.note(kind, **facts, answer=answer, taken=answer == "ack")
            if answer == "ack":
                return
            await asyncio.sleep(RETRY_DELAY_S)


async def _quietly(_: Exception) -> None:
    """A connection that is lost is what this is about."""


class AdtSender:
    """An interface engine that sends ADT messages by MLLP, each until it is answered AA; a message is repeated with
    the same bytes. `clock` gives EVN-2, which orders the messages of a visit.
    """

    def __init__(
        self, port: int, clock: Callable[[], datetime], journal: Journal, gate: Gate, chance: Random, odds: Odds
    ) -> None:
        self._port, self._clock = port, clock
        self._journal, self._gate, self._chance, self._odds = journal, gate, chance, odds
        self._numbers = count(1)

    async def tell(self, kind: str, event: str, department: str, encounter: str, **more: Any) -> None:
        """Send until there is an answer; the same again now and then."""
        control = str(next(self._numbers))
        sent = framed(event, **self._fields(control, department, encounter, pending=event in PENDING))
        facts = {"encounter": encounter, "department": department, "channel": "adt"} | more
        lose = self._chance.random() < self._odds.lost
        while True:
            async with self._gate.through():
                answer = await self._answer(sent, control, lose=lose)
            self._journal.note(kind, **facts, answer=answer, taken=answer == "AA")
            if answer != "lost" and self._chance.random() >= self._odds.twice:
                return
            lose = False
            await asyncio.sleep(RETRY_DELAY_S)

    def _fields(self, control: str, department: str, encounter: str, *, pending: bool) -> dict[str, str]:
        family, given, _, born = MARKS
        now = f"{self._clock():%Y%m%d%H%M%S.%f}+0000"
        ended = {} if pending else {"PV1_45": now}
        return ended | {
            "MSH_7": now,
            "MSH_10": control,
            "EVN_2": now,
            "PID_3": f"{mrn(encounter)}^^^HOSP^MR",
            "PID_5": f"{family}^{given}",
            "PID_7": born.replace("-", ""),
            "PV1_10": department,
            "PV1_19": visit_number(encounter),
        }

    async def _answer(self, sent: bytes, control: str, *, lose: bool) -> str:
        """MSA-1 of the answer; `lost` where none came."""
        try:
            async with asyncio.timeout(self._chance.uniform(0.001, 0.08) if lose else TIMEOUT):
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                try:
                    writer.write(sent)
                    answer = (await reader.readuntil(FS)).decode()
                finally:
                    writer.close()
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            return "lost"
        (fields,) = [line.split("|") for line in answer.split("\r") if line.startswith("MSA|")]
        return fields[1] if fields[2] == control else f"{fields[1]} to another message"
