"""A pinned version stays live through refreshes and restarts; people promote and roll back with a reason."""

from pathlib import Path
from typing import Any

import pytest

from services.evaluator.knowledge_handlers import KnowledgeEvaluation
from shared.knowledge.live import LiveBucket
from tests.support.knowledge import KnowledgeStack, Library, running
from tests.support.server import NatsServer

pytestmark = pytest.mark.connected
WHY = "the ward round wants to read it first"


@pytest.fixture
async def library(tmp_path: Path, nats: NatsServer) -> Library:
    await nats.provision()
    return Library(tmp_path / "library")


async def did(knowledge: KnowledgeStack, path: str, role: str = "editor", code: int = 200, **body: Any) -> Any:
    answer = await knowledge.call(role, "POST", path, json=body)
    assert answer.status_code == code, answer.text
    return answer.json()


async def moves(knowledge: KnowledgeStack) -> list[tuple[str, int, str, str]]:
    items = (await knowledge.call("auditor", "GET", "/moves")).json()["items"]
    return [(item["action"], item["version"], item["by"], item["reason"]) for item in items]


async def test_a_pin_survives_a_restart_and_holds_refreshes_back(nats: NatsServer, library: Library) -> None:
    async with running(nats, library.file) as knowledge:
        await knowledge.refresh()
        pinned = await did(knowledge, "/pin", version=1, reason=WHY)
        assert await did(knowledge, "/pin", version=1, reason=WHY) == pinned  # repeated: nothing more happens
        assert "pinned" in (await did(knowledge, "/pin", "operator", 409, version=1, reason="mine"))["title"]
    async with running(nats, library.file) as knowledge:
        library.write("gout", "cherries")
        held = await knowledge.refresh()
        assert held["state"] == "held-back"
        assert held["reason"].startswith("pinned: version 1 stays live until it is unpinned (demo-editor, ")
        assert WHY in held["reason"]
        assert held["metrics"]["mrr_at_10"] >= 0.9  # it was evaluated all the same
        assert await knowledge.live() == 1
        assert "is pinned" in (await did(knowledge, "/promote", code=409, version=2, reason="now"))["title"]
        await did(knowledge, "/unpin", reason="read")
        await did(knowledge, "/unpin", reason="read")
        assert (await knowledge.status())["live"].get("pin") is None
        assert (await knowledge.refresh(judge=True))["state"] == "promoted"
        assert await knowledge.live() == 2
        assert await moves(knowledge) == [
            ("unpinned", 1, "demo-editor", "read"),
            ("pinned", 1, "demo-editor", WHY),
        ]


async def test_a_pin_that_is_set_during_the_promotion_holds_it_back(
    nats: NatsServer, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running(nats, library.file) as knowledge:
        await knowledge.refresh()
        promote, tries = KnowledgeEvaluation._promote, []

        async def pinned_meanwhile(self: KnowledgeEvaluation, *decided: Any) -> None:
            tries.append(decided)
            await did(knowledge, "/pin", version=1, reason=WHY)
            await promote(self, *decided)

        monkeypatch.setattr(KnowledgeEvaluation, "_promote", pinned_meanwhile)
        library.write("gout", "cherries")
        held = await knowledge.refresh()
        assert (held["state"], held["reason"][:6], len(tries)) == ("held-back", "pinned", 1)
        assert await knowledge.live() == 1


async def test_a_person_promotes_what_was_held_back_and_goes_back_again(nats: NatsServer, library: Library) -> None:
    async with running(nats, library.file) as knowledge:
        await knowledge.refresh()
        library.write("gout", "cherries")
        library.declare(promotion={"mrr": 1.0, "margin": 0})
        library.ask(("gout", "nowhere"))
        assert (await knowledge.refresh())["state"] == "held-back"
        assert "held back" in (await did(knowledge, "/rollback", code=409, to=2))["detail"]
        for _ in range(2):
            assert (await did(knowledge, "/promote", version=2, reason="reviewed by hand"))["version"] == 2
        (newest, first) = (await knowledge.call("auditor", "GET", "/versions")).json()["items"]
        assert (newest["decision"], newest["promoted_by"]) == ("promoted", "demo-editor")
        assert first.get("promoted_by") is None
        assert (await did(knowledge, "/rollback", to=1, reason="wrong dose", pin=True))["version"] == 1
        assert (await knowledge.status())["live"]["pin"]["reason"] == "wrong dose"
        assert "needs a reason" in (await did(knowledge, "/rollback", code=422, to=1, pin=True))["title"]
        assert [item[:2] for item in await moves(knowledge)] == [("rolled-back", 1), ("promoted", 2)]


async def test_what_a_dead_process_did_not_write_down_is_written_later(nats: NatsServer, library: Library) -> None:
    async with running(nats, library.file) as knowledge:
        await knowledge.refresh()
        await did(knowledge, "/pin", version=1, reason=WHY)
        bus = await knowledge.bus()
        await bus.publish("$KV.live.move.1", b"", stream="KV_live", headers={"KV-Operation": "DEL"})
        assert len(await moves(knowledge)) == 1  # from the pointer
        await did(knowledge, "/unpin", reason="read")
        assert [item.action for item in await LiveBucket(bus).moves()] == ["pinned", "unpinned"]
        await bus.close()


@pytest.mark.parametrize("role", ["physician", "supervisor", "auditor", "engineer", "ingest"])
async def test_others_may_not_change_the_live_version(nats: NatsServer, library: Library, role: str) -> None:
    async with running(nats, library.file) as knowledge:
        for path, body in (
            ("/pin", {"version": 1, "reason": "x"}),
            ("/unpin", {"reason": "x"}),
            ("/promote", {"version": 1, "reason": "x"}),
            ("/rollback", {"to": 1}),
        ):
            await did(knowledge, path, role, 403, **body)
