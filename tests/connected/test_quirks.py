"""Each quirk of a real server, from the discharge to the filed document: once, in the same words, nothing left open."""

import asyncio
import base64
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from cli.stack.ports import free_port
from sandbox_ehr.app import Sandbox, create_app
from sandbox_ehr.quirks import Quirks
from services.approval.filing import late_write_check
from services.approval.filing.resources import DOCUMENT_SYSTEM, chain_head_of
from shared.clinical.connect import connect_ehr
from shared.clinical.fhir_client import FhirClient
from shared.contracts.retry import RetryPolicy
from tests.support import stack as stacks
from tests.support.ehr import sandbox
from tests.support.server import NatsServer
from tests.support.stack import Stack, running, until

pytestmark = pytest.mark.connected

QUIRKS = {
    "searches answered from a cache": Quirks(cache_seconds=60),
    "pages of twenty": Quirks(max_page_size=20),
    "pages of one": Quirks(max_page_size=1),
    "absolute references": Quirks(reference_style="absolute"),
    "versioned references": Quirks(reference_style="versioned"),
    "absolute and versioned references": Quirks(reference_style="absolute-versioned"),
    "bare ids find nothing": Quirks(requires_reference_type=True),
    "the next page at another path": Quirks(max_page_size=5, next_link="path"),
    "the next page named by another host": Quirks(max_page_size=5, next_link="host"),
    "a create answers its location": Quirks(create_response="location"),
    "a create answers nothing": Quirks(create_response="nothing"),
    "a create answers nothing, searches come from a cache": Quirks(create_response="nothing", cache_seconds=60),
    "409 on the first conditional create": Quirks(first_create_conflicts=True),
    "conditional creates that race": Quirks(first_create_races=True),
    "parameters that are refused": Quirks(
        refused_searches={"MedicationRequest?_include": 400, "Observation?_count": 400}
    ),
    "all at once": Quirks(
        cache_seconds=60,
        max_page_size=7,
        reference_style="absolute-versioned",
        requires_reference_type=True,
        next_link="path",
        create_response="location",
        first_create_conflicts=True,
        first_create_races=True,
    ),
}
SOON = timedelta(milliseconds=300)
LATE, PATIENCE = 2.0, 1.0  # seconds until a late create is committed, and until its client gives it up


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed comes back at once; a look at what has ended is due when it is wanted."""
    monkeypatch.setattr(RetryPolicy, "wait", lambda row, attempt: 0.05)
    monkeypatch.setattr(late_write_check, "CHECK_DELAYS", (timedelta(0),))


async def filed(stack: Stack) -> str:
    """Discharge, approve what is drafted, wait until it is filed and the review has ended; the document's text."""
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    assert (await stack.decide(case_id, "approve")).status_code == 200
    await stack.reaches(case_id, "filed")
    await until(lambda: ended(stack.ehr), "the Tasks to be completed")
    return text_in(stack.ehr)


async def ended(ehr: Sandbox) -> bool:
    tasks = of_type(ehr, "Task")
    return bool(tasks) and all(task["status"] == "completed" for task in tasks)


def text_in(ehr: Sandbox) -> str:
    """The one current document of ours, with one Provenance of ours."""
    (document,) = current(ehr)
    (_,) = provenances(ehr)
    return base64.b64decode(document["content"][0]["attachment"]["data"]).decode()


def current(ehr: Sandbox) -> list[dict[str, Any]]:
    return [item for item in documents(ehr) if item["status"] == "current"]


def documents(ehr: Sandbox) -> list[dict[str, Any]]:
    """Documents of ours, retired ones among them."""
    found = of_type(ehr, "DocumentReference")
    return [item for item in found if any(part.get("system") == DOCUMENT_SYSTEM for part in item.get("identifier", []))]


def provenances(ehr: Sandbox) -> list[dict[str, Any]]:
    return [item for item in of_type(ehr, "Provenance") if chain_head_of(item) is not None]


def of_type(ehr: Sandbox, type: str) -> list[dict[str, Any]]:
    return list(ehr.store.candidates(type, None, None))


@pytest.fixture(scope="module")
def as_it_is(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The document of the same stay from a server without quirks."""
    server = NatsServer(tmp_path_factory.mktemp("without-quirks"))
    server.start()

    async def from_discharge() -> str:
        await server.provision()
        async with running(server, sandbox()) as stack:
            return await filed(stack)

    try:
        yield asyncio.run(from_discharge())
    finally:
        server.kill()


@pytest.fixture(autouse=True)
async def provisioned(nats: NatsServer) -> None:
    await nats.provision()


@pytest.mark.parametrize("quirks", QUIRKS.values(), ids=list(QUIRKS))
async def test_the_same_document_is_filed_once(quirks: Quirks, as_it_is: str, nats: NatsServer) -> None:
    async with running(nats, sandbox(quirks=quirks)) as stack:
        assert await filed(stack) == as_it_is


async def test_tokens_that_end_are_taken_from_their_file(tmp_path: Path, as_it_is: str, nats: NatsServer) -> None:
    quirks = Quirks(token_file=tmp_path / "token", token_lifetime=0.05)
    async with running(nats, sandbox(quirks=quirks)) as stack:
        assert await filed(stack) == as_it_is


@pytest.mark.parametrize(
    ("quirks", "said"),
    [
        (Quirks(refused_searches={"MedicationStatement": 403, "Condition": 403}), "diagnoses"),
        (Quirks(incomplete_types=frozenset({"MedicationRequest"})), "medication orders"),
    ],
    ids=["searches refused by status", "searches that are incomplete"],
)
async def test_what_cannot_be_read_is_said_in_the_document(nats: NatsServer, quirks: Quirks, said: str) -> None:
    async with running(nats, sandbox(quirks=quirks)) as stack:
        text = await filed(stack)
    (line,) = [line for line in text.splitlines() if line.startswith("Not read in full from the EHR:")]
    assert said in line


async def test_creates_that_are_committed_after_the_filing_leave_one_document(
    monkeypatch: pytest.MonkeyPatch, as_it_is: str, nats: NatsServer
) -> None:
    ehr = sandbox(quirks=Quirks(first_create_delay=LATE, supports_delete=True))
    async with served(ehr) as base:
        monkeypatch.setattr(stacks, "client", lambda _: impatient(base))
        async with running(nats, ehr, reconcile_every=SOON) as stack:
            case_id = await stack.discharge()
            await stack.reaches(case_id, "awaiting-review")
            assert (await stack.decide(case_id, "approve")).status_code == 200
            case = await stack.reaches(case_id, "filed")

            async def in_order() -> bool:
                twice = len(documents(ehr)) == 2 and len(of_type(ehr, "Task")) == 2
                return twice and len(current(ehr)) == len(provenances(ehr)) == 1 and await ended(ehr)

            await until(in_order, "the copies to come and to be retired")
            (document,) = current(ehr)
            assert document["id"] == case["document_reference"]
            assert text_in(ehr) == as_it_is


def impatient(base: str) -> FhirClient:
    """A client that gives a write up before this server commits it."""
    return connect_ehr(base, None, 8, timeout=httpx.Timeout(PATIENCE, connect=5.0))


@asynccontextmanager
async def served(ehr: Sandbox) -> AsyncIterator[str]:
    """The sandbox over a real socket: only there a client can hang up."""
    port = free_port()
    config = uvicorn.Config(create_app(ehr), host="127.0.0.1", port=port, log_level="error", access_log=False)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())

    async def started() -> bool:
        return server.started

    await until(started, "the sandbox to listen")
    try:
        yield f"http://127.0.0.1:{port}/fhir"
    finally:
        server.should_exit = True
        await serving
