"""Reads the evidence: the EHR over FHIR, the streams over NATS's own API, the journal and the logs from files."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import nats
from nats.aio.client import Client
from nats.aio.msg import Msg

from tests.proof.checker.evidence import Evidence, Message, Resource
from tests.proof.checker.leaks import MAY

PAGE = 256  # messages of one answer
PATIENCE = 30.0
CONNECTED = 5.0  # seconds within which a connection is made, or has ended
TYPES = ("DocumentReference", "Provenance", "Task")


@dataclass(frozen=True, slots=True)
class EvidenceSources:
    """Where to look."""

    nats_url: str
    nats_seed: str  # of a user who may read everything
    ehr_url: str
    journal: Path
    logs: Sequence[Path]
    ca_file: Path | None = None


class Streams:
    """The streams of an account, as their server tells of them."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def names(self) -> dict[str, dict[str, Any]]:
        """Each stream's state."""
        found: dict[str, dict[str, Any]] = {}
        while True:
            answer = await self._client.request(
                "$JS.API.STREAM.LIST", json.dumps({"offset": len(found)}).encode(), timeout=PATIENCE
            )
            body = json.loads(answer.data)
            found |= {item["config"]["name"]: item["state"] for item in body.get("streams") or ()}
            if len(found) >= body["total"]:
                return found

    async def page(self, stream: str, start: int, subject: str = ">") -> list[Message]:
        """Some of the messages from `start` on; none at the end."""
        inbox, queue = self._client.new_inbox(), asyncio.Queue[Msg]()
        subscription = await self._client.subscribe(inbox, cb=queue.put)
        query = {"seq": max(1, start), "batch": PAGE, "next_by_subj": subject}
        try:
            await self._client.publish(f"$JS.API.DIRECT.GET.{stream}", json.dumps(query).encode(), reply=inbox)
            found: list[Message] = []
            while True:
                async with asyncio.timeout(PATIENCE):
                    message = await queue.get()
                headers = dict(message.headers or {})
                if (status := headers.get("Status")) is not None:
                    if status in ("204", "404"):
                        return found
                    raise RuntimeError(f"{stream}: JetStream answered {status}")
                own = {name: value for name, value in headers.items() if not name.startswith("Nats-")}
                found.append(Message(stream, int(headers["Nats-Sequence"]), headers["Nats-Subject"], own, message.data))
        finally:
            await subscription.unsubscribe()

    async def all(self, stream: str, *, bodies: bool = True) -> list[Message]:
        found: list[Message] = []
        while page := await self.page(stream, found[-1].sequence + 1 if found else 1):
            found += page if bodies else [replace(message, data=b"") for message in page]
        return found


@asynccontextmanager
async def streams(url: str, seed: str, ca_file: Path | None = None) -> AsyncIterator[Streams]:
    tls = ssl.create_default_context(cafile=ca_file) if ca_file else None
    # A handshake that fails is waited for without end: https://github.com/nats-io/nats.py/issues/718
    async with asyncio.timeout(CONNECTED):
        client = await nats.connect(
            url,
            nkeys_seed_str=seed,
            tls=tls,
            tls_handshake_first=tls is not None,
            max_reconnect_attempts=5,
            error_cb=_quietly,  # who asks meets the error, too
        )
    try:
        yield Streams(client)
    finally:
        with suppress(TimeoutError):
            async with asyncio.timeout(CONNECTED):
                await client.close()


async def _quietly(_: Exception) -> None:
    """Nothing to do: a request that gets no answer raises."""


async def collect(places: EvidenceSources, marks: Sequence[str]) -> Evidence:
    """Everything, as it stands now."""
    unread: list[str] = []
    found: dict[str, list[Message]] = {}
    gone: dict[str, int] = {}
    async with streams(places.nats_url, places.nats_seed, places.ca_file) as read:
        for name, state in (await read.names()).items():
            try:
                # Of those that may hold a patient's words, the subjects and headers only.
                found[name] = await read.all(name, bodies=name not in MAY)
            except (RuntimeError, TimeoutError) as error:
                unread.append(f"stream {name} could not be read ({type(error).__name__})")
            gone[name] = int(state.get("num_deleted", 0))
    chart: dict[str, list[Resource]] = {}
    async with httpx.AsyncClient(timeout=PATIENCE) as http:
        for kind in TYPES:
            chart[kind] = [item async for item in resources(http, places.ehr_url, kind)]
    said = {str(file.name): Lines(file) for file in places.logs}
    return Evidence(read_journal(places.journal), found, chart, said, marks, gone, unread)


async def resources(http: httpx.AsyncClient, base: str, kind: str) -> AsyncIterator[Resource]:
    """All resources of a type, page by page."""
    url: str | None = f"{base}/{kind}?_count=100"
    while url:
        answer = await http.get(url)
        answer.raise_for_status()
        bundle = answer.json()
        for entry in bundle.get("entry") or ():
            yield _without_renditions(entry["resource"])
        url = next((str(link["url"]) for link in bundle.get("link") or () if link["relation"] == "next"), None)


def _without_renditions(resource: Resource) -> Resource:
    """Ten thousand PDFs need not be held: `audit verify` compares them."""
    if resource.get("resourceType") != "DocumentReference":
        return resource
    plain = [
        item
        for item in resource.get("content") or ()
        if str((item.get("attachment") or {}).get("contentType", "")).startswith("text/plain")
    ]
    return resource | {"content": plain}


@dataclass(frozen=True, slots=True)
class Lines(Iterable[str]):
    """The lines of a file, read as they are asked for."""

    file: Path

    def __iter__(self) -> Iterator[str]:
        with self.file.open(errors="replace") as lines:
            yield from lines


def read_journal(file: Path) -> list[dict[str, Any]]:
    with file.open() as lines:
        return [json.loads(line) for line in lines if line.strip()]
