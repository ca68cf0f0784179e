"""The sandbox EHR for tests: in this process behind httpx, filled with the stays that tests may use."""

import gc
import json
import pickle
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Literal

import httpx
import pytest

from sandbox_ehr.app import Sandbox, Style, create_app
from sandbox_ehr.quirks import Quirks
from sandbox_ehr.seed import SEED, load_bundle, opaque_id, seed
from sandbox_ehr.store import Store
from shared.clinical.authorization import TokenFile
from shared.clinical.fhir_client import FhirClient

SHARED_ENCOUNTERS = Path(__file__).parents[3] / "shared" / "data" / "encounters"
BASE = "http://ehr.test/fhir"


class LossyTransport(httpx.ASGITransport):
    """A response that the sandbox was told to lose is a broken connection, as it is over a socket."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except ConnectionAbortedError:
            raise httpx.ReadError("the response was lost") from None


def sandbox(style: Style = "plain", token: str | None = None, quirks: Quirks | None = None) -> Sandbox:
    """A sandbox with the seed's stays."""
    with _no_collection():
        store: Store = pickle.loads(_seeded(style))  # noqa: S301 - our own
    return Sandbox(store, style, token, quirks=quirks)


@contextmanager
def _no_collection() -> Iterator[None]:
    """Leave the garbage collector out: it would walk many times through what is being loaded, and find nothing."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@cache
def _seeded(style: Style) -> bytes:
    """The store of a new sandbox. Hundreds of tests need one of their own: a copy takes a third of the time."""
    store = Store()
    seed(store, style)
    return pickle.dumps(store, pickle.HIGHEST_PROTOCOL)


def shared_sandbox(style: Style = "plain") -> Sandbox:
    """A sandbox with every shared stay; the test is skipped where they are absent."""
    store = Store()
    for file in shared_stays():
        load_bundle(store, json.loads(file.read_text()), style)
    return Sandbox(store, style)


def shared_stays() -> list[Path]:
    files = [file for file in sorted(SHARED_ENCOUNTERS.glob("enc-*.json")) if ".discharge." not in file.name]
    if not files:
        pytest.skip("the shared encounters are not here: ../shared/data/encounters")
    return files


def stay_without_open_points(of: Sandbox, which: Literal[0, 1] = 0) -> str:
    """One of two stays of the sandbox whose drafts raise no open point; returns the encounter's id."""
    id = stays(of.style)[1 + 2 * which]
    encounter = of.store.get("Encounter", id)
    assert encounter is not None
    of.store.put(
        {
            "resourceType": "Appointment",
            "id": f"follow-up-{which}",
            "meta": {"versionId": "1", "lastUpdated": "2026-01-01T00:00:00Z"},
            "status": "booked",
            "start": "2036-01-01T09:00:00Z",
            "description": "Follow-up visit",
            "participant": [{"actor": encounter["subject"], "status": "accepted"}],
        }
    )
    return id


def stays(style: Style = "plain") -> list[str]:
    """Encounter ids of the seed."""
    ids = [item["encounter"] for item in json.loads((SEED / "index.json").read_text())]
    return ids if style == "plain" else [opaque_id("Encounter", id) for id in ids]


def client(of: Sandbox) -> FhirClient:
    """Its client; with a token that ends, the client reads it from its file."""
    file = of.quirks.token_file if of.quirks is not None else None
    return FhirClient(BASE, http(of), TokenFile(file) if file is not None else None)


def http(of: Sandbox) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=LossyTransport(create_app(of, faults=True)), base_url=BASE)
