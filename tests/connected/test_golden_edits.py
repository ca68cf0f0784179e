"""Golden queries edited over HTTP: what evaluations ask, at the same time, and after a change of the files."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from shared.contracts.errors import TransientError
from shared.messaging.buckets import Bucket
from tests.support.knowledge import KnowledgeStack, Library, running
from tests.support.server import NatsServer

pytestmark = pytest.mark.connected
WHY = {"reason": "asked by the ward"}
GOUT = {"query": "what eases gout", "relevant": [{"doc_id": "gout.md", "grade": 2}]} | WHY


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "library")


@pytest.fixture
async def knowledge(nats: NatsServer, library: Library) -> AsyncIterator[KnowledgeStack]:
    await nats.provision()
    async with running(nats, library.file) as found:
        yield found


async def golden(knowledge: KnowledgeStack) -> dict[str, Any]:
    found: dict[str, Any] = (await knowledge.call("auditor", "GET", "/golden")).json()
    return found


async def test_edits_are_versions_and_an_evaluation_names_the_one_that_it_asked(
    knowledge: KnowledgeStack, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    await knowledge.refresh()
    assert ((await golden(knowledge))["version"], (await knowledge.status())["newest"]["golden"]) == (1, 1)
    assert (await knowledge.call("auditor", "POST", "/golden", json=GOUT)).status_code == 403
    plague = await knowledge.call("editor", "POST", "/golden", json=GOUT | {"relevant": [{"doc_id": "plague"}]})
    assert (plague.status_code, "plague" in plague.json()["detail"]) == (422, True)

    stored = Bucket.put

    async def lost(self: Bucket, key: str, *sent: Any, **options: Any) -> int:
        await stored(self, key, *sent, **options)
        raise TransientError("the answer was lost")

    monkeypatch.setattr(Bucket, "put", lost)
    first = await knowledge.call("editor", "POST", "/golden", json=GOUT)
    monkeypatch.undo()
    again = await knowledge.call("editor", "POST", "/golden", json=GOUT)  # sent again
    assert (first.status_code, again.status_code, again.json()["version"]) == (201, 201, 2)
    items = {item["id"]: item for item in (await golden(knowledge))["items"]}
    added = items[again.json()["id"]]

    async def change(grade: int) -> httpx.Response:
        body = GOUT | {"relevant": [{"doc_id": "gout", "grade": grade}], "digest": added["digest"]}
        return await knowledge.call("editor", "PUT", f"/golden/{added['id']}", json=body)

    async def remove(id: str, digest: str) -> httpx.Response:
        return await knowledge.call("editor", "DELETE", f"/golden/{id}", params={"digest": digest} | WHY)

    answers = await asyncio.gather(change(1), change(2), change(3), remove("measles", items["measles"]["digest"]))
    assert sorted(answer.status_code for answer in answers) == [200, 200, 409, 409]
    assert (await remove("measles", items["measles"]["digest"])).json()["version"] == 4  # sent again
    assert (await remove("none", added["digest"])).status_code == 404

    assert (await knowledge.refresh(judge=True))["state"] == "promoted"
    newest = (await knowledge.status())["newest"]
    assert (newest["golden"], newest["metrics"]["queries"]) == (4, 20)  # twenty of the file, one added, one removed
    library.ask(("gout", "stroke"))
    assert (await golden(knowledge))["version"] is None
    await knowledge.refresh(judge=True)
    newest = (await knowledge.status())["newest"]
    assert (newest["golden"], newest["metrics"]["queries"]) == (5, 3)
    history = (await knowledge.call("auditor", "GET", "/golden/history")).json()["items"]
    assert [item["action"] for item in history][::4] == ["files-changed", "files-changed"]
    assert {(item["by"], item["reason"]) for item in history[1:4]} == {("demo-editor", WHY["reason"])}


async def test_an_exported_set_takes_the_place_of_the_edits(knowledge: KnowledgeStack, library: Library) -> None:
    await knowledge.refresh()
    file = library.folder / "golden.jsonl"
    before = [json.loads(line) for line in file.read_text().splitlines()]
    await knowledge.call("editor", "POST", "/golden", json=GOUT)
    exported = await knowledge.call("auditor", "GET", "/golden/export")
    assert exported.headers["content-type"].startswith("application/jsonl")
    file.write_text(exported.text)
    found = await golden(knowledge)
    assert (found["version"], {item["changed_in"] for item in found["items"]}) == (2, {None})
    library.declare(golden_managed_in="Git")
    refused = await knowledge.call("editor", "POST", "/golden", json=GOUT | {"query": "another"})
    assert (refused.status_code, "managed in Git" in refused.json()["detail"]) == (409, True)
    first = (await knowledge.call("auditor", "GET", "/golden/export", params={"version": 1})).text
    assert [json.loads(line)["id"] for line in first.splitlines()] == [item["id"] for item in before]
    assert (await knowledge.call("auditor", "GET", "/golden/export", params={"version": 9})).status_code == 404
    file.write_text("no query")
    assert (await golden(knowledge))["problems"]
    assert (await knowledge.call("auditor", "GET", "/golden/export")).status_code == 409
