"""Each habit of a real server, from the discharge to the filed document: once, in the same words, nothing left open."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from cli.stack.ports import free_port
from deploy.sandbox_ehr.app import Sandbox, create_app
from deploy.sandbox_ehr.habits import Habits
from services.approval.resources import DOCUMENT_SYSTEM, chain_head_of
from shared.clinical.connect import connect_ehr
from shared.clinical.fhir import FhirClient
from tests.support import stack as stacks
from tests.support.ehr import sandbox
from tests.support.server import NatsServer
from tests.support.stack import Stack, running, until

pytestmark = pytest.mark.connected

HABITS = {
    "searches answered from a cache": Habits(cache=60),
    "pages of twenty": Habits(page=20),
    "pages of one": Habits(page=1),
    "absolute references": Habits(references="absolute"),
    "versioned references": Habits(references="versioned"),
    "bare ids find nothing": Habits(typed=True),
    "the next page at another path": Habits(page=5, next="path"),
    "the next page named by another host": Habits(page=5, next="host"),
    "a create answers its location": Habits(created="location"),
    "a create answers nothing": Habits(created="nothing"),
    "a create answers nothing, searches come from a cache": Habits(created="nothing", cache=60),
    "409 on the first conditional create": Habits(contended=True),
    "all at once": Habits(
        cache=60, page=7, references="versioned", typed=True, next="path", created="location", contended=True
    ),
}


async def filed(stack: Stack) -> str:
    """Discharge, approve what is drafted, wait until it is filed and the review has ended; the document's text."""
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    assert (await stack.decide(case_id, "approve")).status_code == 200
    await stack.reaches(case_id, "filed")

    async def ended() -> bool:
        return all(task["status"] == "completed" for task in stack.in_chart("Task"))

    await until(ended, "the Tasks to be completed")
    return text_in(stack.ehr)


def text_in(ehr: Sandbox) -> str:
    """The one current document of ours, with one Provenance of ours."""
    documents = [item for item in of_type(ehr, "DocumentReference") if item["status"] == "current" and ours(item)]
    (document,) = documents
    (_,) = [item for item in of_type(ehr, "Provenance") if chain_head_of(item) is not None]
    return base64.b64decode(document["content"][0]["attachment"]["data"]).decode()


def ours(item: dict[str, Any]) -> bool:
    return any(part.get("system") == DOCUMENT_SYSTEM for part in item.get("identifier", []))


def of_type(ehr: Sandbox, type: str) -> list[dict[str, Any]]:
    return list(ehr.store.candidates(type, None, None))


@pytest.fixture
async def as_it_is(empty: NatsServer) -> str:
    """The document of the same stay from a server without habits."""
    await empty.provision()
    async with running(empty, sandbox()) as stack:
        return await filed(stack)


@pytest.fixture(autouse=True)
async def provisioned(nats: NatsServer) -> None:
    await nats.provision()


@pytest.mark.parametrize("habits", HABITS.values(), ids=list(HABITS))
async def test_the_same_document_is_filed_once(habits: Habits, as_it_is: str, nats: NatsServer) -> None:
    async with running(nats, sandbox(habits=habits)) as stack:
        assert await filed(stack) == as_it_is


async def test_tokens_that_end_are_taken_from_their_file(tmp_path: Path, as_it_is: str, nats: NatsServer) -> None:
    habits = Habits(token_file=tmp_path / "token", token_life=0.05)
    async with running(nats, sandbox(habits=habits)) as stack:
        assert await filed(stack) == as_it_is


@pytest.mark.parametrize(
    ("habits", "said"),
    [
        (Habits(refused={"MedicationStatement": 403, "Condition": 403}), "diagnoses"),
        (Habits(incomplete=frozenset({"MedicationRequest"})), "medication orders"),
    ],
    ids=["searches refused by status", "searches that are incomplete"],
)
async def test_what_cannot_be_read_is_said_in_the_document(nats: NatsServer, habits: Habits, said: str) -> None:
    async with running(nats, sandbox(habits=habits)) as stack:
        text = await filed(stack)
    (line,) = [line for line in text.splitlines() if line.startswith("Not read in full from the EHR:")]
    assert said in line


async def test_a_create_that_is_committed_late_leaves_one_document(
    monkeypatch: pytest.MonkeyPatch, as_it_is: str, nats: NatsServer
) -> None:
    ehr = sandbox(habits=Habits(late=0.6))
    async with served(ehr) as base:
        monkeypatch.setattr(stacks, "client", lambda _: impatient(base))
        async with running(nats, ehr) as stack:
            assert await filed(stack) == as_it_is


def impatient(base: str) -> FhirClient:
    """A client that gives a write up before this server commits it."""
    return connect_ehr(base, None, 8, timeout=httpx.Timeout(0.3, connect=5.0))


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
