"""What the sandbox EHR refuses of documents as Oracle Health does, as a client of HTTP sees it."""

import base64
from typing import Any

import httpx
import pytest

from sandbox_ehr.app import Sandbox, create_app
from sandbox_ehr.store import Store

DATA = base64.b64encode(b"The letter.").decode()
DOCUMENT: dict[str, Any] = {
    "resourceType": "DocumentReference",
    "status": "current",
    "docStatus": "final",
    "identifier": [{"system": "urn:test", "value": "1"}],
    "relatesTo": [{"code": "replaces"}],
    "subject": {"reference": "Patient/p1"},
    "author": [{"reference": "Practitioner/dr-1"}],
    "content": [{"attachment": {"contentType": "text/plain;charset=utf-8", "data": DATA}}],
    "context": {"encounter": [{"reference": "Encounter/e1"}], "period": {"end": "2026-11-23T08:00:00Z"}},
}


@pytest.fixture
def ehr() -> httpx.AsyncClient:
    store = Store()
    store.put({"resourceType": "Practitioner", "id": "dr-1", "meta": {"versionId": "1"}})
    app = create_app(Sandbox(store, oracle_documents=True))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://ehr.test/fhir")


def attachment(**changed: str) -> dict[str, Any]:
    return {"content": [{"attachment": DOCUMENT["content"][0]["attachment"] | changed}]}


async def test_a_create_answers_with_an_empty_body_and_keeps_few_elements(ehr: httpx.AsyncClient) -> None:
    answer = await ehr.post("/DocumentReference", json=DOCUMENT)
    assert (answer.status_code, answer.content) == (201, b"")
    kept = (await ehr.get(answer.headers["location"].partition("/_history")[0])).json()
    assert not {"identifier", "relatesTo"} & kept.keys()
    assert kept["content"] == DOCUMENT["content"]


@pytest.mark.parametrize(
    "changed",
    [
        {"docStatus": "amended"},
        {"author": [{"reference": "Device/d1"}]},
        {"author": [{"reference": "Practitioner/nobody"}]},
        {"content": DOCUMENT["content"] * 2},
        attachment(contentType="text/plain"),
        attachment(contentType="application/fhir+json"),
        attachment(data=""),
        {"context": DOCUMENT["context"] | {"period": {"end": "2026-11-23"}}},
        {"context": DOCUMENT["context"] | {"period": {}}},
    ],
    ids=str,
)
async def test_a_document_that_it_does_not_take_is_refused(ehr: httpx.AsyncClient, changed: dict[str, Any]) -> None:
    assert (await ehr.post("/DocumentReference", json=DOCUMENT | changed)).status_code == 422


async def test_an_update_needs_if_match_and_may_amend(ehr: httpx.AsyncClient) -> None:
    made = await ehr.post("/DocumentReference", json=DOCUMENT)
    path = made.headers["location"].partition("/_history")[0]
    changed = DOCUMENT | {"id": path.rpartition("/")[2], "docStatus": "amended"}
    assert (await ehr.put(path, json=changed)).status_code == 412
    etag = (await ehr.get(path)).headers["etag"]
    answer = await ehr.put(path, json=changed, headers={"If-Match": etag})
    assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("identifier=urn:test|1", 400),
        ("encounter=e1", 400),
        ("patient=p1&encounter=e1", 200),
        ("patient=p1&status=current", 400),
    ],
)
async def test_it_does_not_search_by_an_identifier(ehr: httpx.AsyncClient, query: str, status: int) -> None:
    assert (await ehr.get(f"/DocumentReference?{query}")).status_code == status


@pytest.mark.parametrize("type", ["Device", "Provenance", "Task"])
async def test_it_lets_no_system_create_them_and_says_so(ehr: httpx.AsyncClient, type: str) -> None:
    assert (await ehr.post(f"/{type}", json={"resourceType": type})).status_code == 403
    (rest,) = (await ehr.get("/metadata")).json()["rest"]
    (stated,) = [item for item in rest["resource"] if item["type"] == type]
    assert "create" not in {item["code"] for item in stated["interaction"]}
