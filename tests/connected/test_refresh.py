"""A refresh from sources to promotion, on a real nats-server and Qdrant's own engine."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from shared.contracts.errors import PermanentError, TransientError
from tests.support.embedder import HashEmbedder
from tests.support.knowledge import TOPICS, KnowledgeStack, Library, running
from tests.support.malicious_input import table_row, word
from tests.support.server import NatsServer
from tests.support.stack import until

pytestmark = pytest.mark.connected


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library(tmp_path / "library")


@pytest.fixture
async def knowledge(nats: NatsServer, library: Library) -> AsyncIterator[KnowledgeStack]:
    await nats.provision()
    async with running(nats, library.file) as found:
        yield found


async def test_a_first_refresh_embeds_everything_and_goes_live(knowledge: KnowledgeStack) -> None:
    result = await knowledge.refresh()
    assert result["state"] == "promoted", result
    assert result["documents"] == {"new": 20, "changed": 0, "removed": 0, "unchanged": 0, "unreadable": 0}
    assert result["batches"] == result["batches_done"] == 2
    assert result["chunks"] == {"embedded": 40, "kept": 0, "removed": 0}
    assert (result["version"], result["passages"], await knowledge.live()) == (1, 40, 1)
    assert result["metrics"]["mrr_at_10"] >= 0.9
    assert (await knowledge.search("care of gout"))[0]["document"] == "gout.md"


async def test_the_list_of_models_has_what_embeds_the_live_version(knowledge: KnowledgeStack) -> None:
    headers = {"Authorization": f"Bearer {knowledge.server.secrets.tokens['auditor']}"}
    assert (await knowledge.http.get("/v1/models", headers=headers)).json()["items"] == []
    await knowledge.refresh()
    (model,) = (await knowledge.http.get("/v1/models", headers=headers)).json()["items"]
    live = (await knowledge.status())["live"]
    assert (model["task"], model["version"], model["by"]) == ("embed", "1", "evaluation")
    assert (model["model"], model["since"]) == (live["embedder"], live["since"])
    assert model["reason"]


async def test_a_second_refresh_embeds_nothing(knowledge: KnowledgeStack) -> None:
    await knowledge.refresh()
    embedded = len(knowledge.embedder.texts)
    result = await knowledge.refresh()
    assert (result["state"], result["reason"]) == ("skipped", "nothing has changed")
    assert result["documents"]["unchanged"] == 20
    assert len(knowledge.embedder.texts) == embedded
    assert await knowledge.live() == 1


async def test_only_changed_chunks_are_embedded(knowledge: KnowledgeStack, library: Library) -> None:
    await knowledge.refresh()
    library.write("gout", "cherries")
    library.write("measles", "darkness")
    result = await knowledge.refresh()
    assert result["documents"]["changed"] == 2
    assert result["chunks"] == {"embedded": 2, "kept": 38, "removed": 2}
    assert (result["state"], result["passages"]) == ("promoted", 40)
    assert "cherries" in (await knowledge.search("care of gout"))[0]["text"]
    assert "rest and water" in (await knowledge.search("care of gout", at=1))[0]["text"]


async def test_a_removed_document_leaves_the_answers_with_promotion_and_not_before(
    knowledge: KnowledgeStack, library: Library
) -> None:
    await knowledge.refresh()
    (library.documents / "gout.md").unlink()
    library.declare(promotion={"mrr": 0.99})
    held = await knowledge.refresh()
    assert (held["state"], held["documents"]["removed"]) == ("held-back", 1)
    assert (await knowledge.search("care of gout"))[0]["document"] == "gout.md"
    library.declare(promotion={"mrr": 0.5, "margin": 1.0})
    assert (await knowledge.refresh(judge=True))["state"] == "promoted"
    assert "gout.md" not in {item["document"] for item in await knowledge.search("care of gout", k=40)}
    assert (await knowledge.search("care of gout", at=1))[0]["document"] == "gout.md"


async def test_what_is_touched_but_the_same_is_unchanged(knowledge: KnowledgeStack, library: Library) -> None:
    await knowledge.refresh()
    for topic in TOPICS:
        library.write(topic)
    assert (await knowledge.refresh())["state"] == "skipped"


async def test_a_chunk_that_comes_back_leaves_earlier_versions_as_they_were(
    knowledge: KnowledgeStack, library: Library
) -> None:
    library.declare(promotion={"mrr": 0.1, "margin": 1.0})
    await knowledge.refresh()
    for words in ("cherries", "rest and water"):
        library.write("gout", words)
        assert (await knowledge.refresh())["state"] == "promoted"
    texts = [(await knowledge.search("care of gout", at=version))[0]["text"] for version in (1, 2, 3)]
    assert ["cherries" in text for text in texts] == [False, True, False]


async def test_a_worse_version_is_held_back_and_somebody_is_told(knowledge: KnowledgeStack, library: Library) -> None:
    await knowledge.refresh()
    for topic in TOPICS[:10]:
        (library.documents / f"{topic}.md").unlink()
    result = await knowledge.refresh()
    assert result["state"] == "held-back"
    assert "at least 0.750" in result["reason"]
    assert {item["id"] for item in result["worst"]} <= set(TOPICS[:10])
    assert await knowledge.live() == 1
    bus = await knowledge.bus()
    told = await bus.direct_get("ALERTS", {"last_by_subj": "alert.warning.knowledge-held-back"})
    assert json.loads(told[0].data)["version"] == 2
    await bus.close()


async def test_going_back_is_one_call_and_forward_another(knowledge: KnowledgeStack, library: Library) -> None:
    await knowledge.refresh()
    library.write("gout", "cherries")
    await knowledge.refresh()
    back = await knowledge.call("operator", "POST", "/rollback", json={"to": 1})
    assert (back.status_code, back.json()["version"], await knowledge.live()) == (200, 1, 1)
    assert "rest and water" in (await knowledge.search("care of gout"))[0]["text"]
    assert (await knowledge.refresh())["state"] == "skipped"
    assert (await knowledge.call("operator", "POST", "/rollback", json={"to": 2})).json()["version"] == 2


@pytest.mark.parametrize(("to", "status"), [(9, 404), (2, 409)])
async def test_only_what_was_live_can_be_gone_back_to(
    knowledge: KnowledgeStack, library: Library, to: int, status: int
) -> None:
    await knowledge.refresh()
    library.declare(promotion={"mrr": 1.0, "margin": 0.0})
    for topic in TOPICS[:3]:
        (library.documents / f"{topic}.md").unlink()
    assert (await knowledge.refresh())["state"] == "held-back"
    assert (await knowledge.call("operator", "POST", "/rollback", json={"to": to})).status_code == status
    assert await knowledge.live() == 1


@pytest.mark.parametrize("role", ["physician", "auditor", "ingest", "supervisor"])
async def test_only_an_operator_may_change_anything(knowledge: KnowledgeStack, role: str) -> None:
    assert (await knowledge.call(role, "POST", "/refreshes")).status_code == 403
    assert (await knowledge.call(role, "POST", "/rollback", json={"to": 1})).status_code == 403
    assert (await knowledge.call(role, "POST", "/documents", files={"file": ("a.md", b"# A")})).status_code == 403


async def test_an_unreadable_document_is_named_and_does_not_stop_the_others(
    knowledge: KnowledgeStack, library: Library
) -> None:
    (library.documents / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    (library.documents / "empty.html").write_bytes(b"")
    for state in ("promoted", "skipped"):
        result = await knowledge.refresh()
        assert result["state"] == state
        assert {item["document"]: item["reason"] for item in result["unreadable"]} == {
            "broken.pdf": "it is not a PDF, or damaged",
            "empty.html": "it is empty",
        }
    library.documents.joinpath("empty.html").write_text("<h1>Scabies</h1><p>The mite of scabies.</p>")
    assert (await knowledge.refresh())["documents"]["unreadable"] == 1


async def test_a_source_that_is_not_there_fails_after_two_attempts_and_leaves_everything(
    knowledge: KnowledgeStack, library: Library
) -> None:
    await knowledge.refresh()
    library.documents.rename(library.folder / "elsewhere")
    result = await knowledge.refresh()
    assert (result["state"], result["attempt"], await knowledge.live()) == ("failed", 2, 1)
    assert "is not there" in result["reason"]
    (library.folder / "elsewhere").rename(library.documents)
    assert (await knowledge.refresh())["state"] == "skipped"


async def test_a_source_that_is_no_longer_declared_leaves_the_base(knowledge: KnowledgeStack, library: Library) -> None:
    extra = library.folder / "extra"
    extra.mkdir()
    (extra / "plague.md").write_text("# Plague\n\nThe care of plague.")
    sources = library.declaration["sources"]
    library.declare(sources=[*sources, {"name": "extra", "kind": "guideline", "folder": "extra"}])
    assert (await knowledge.refresh())["documents"]["new"] == 21
    library.declare(sources=sources)
    assert (await knowledge.refresh())["documents"]["removed"] == 1
    assert "plague.md" not in {item["document"] for item in await knowledge.search("plague", k=50)}


async def test_one_source_alone_is_looked_at(knowledge: KnowledgeStack, library: Library) -> None:
    (library.folder / "medicines.csv").write_text("code,name,use\nA1,aspirin,pain\nA2,heparin,clots\n")
    sources = library.declaration["sources"]
    medicines = {"name": "medicines", "kind": "formulary", "file": "medicines.csv", "id_column": "code"}
    library.declare(sources=[*sources, medicines], promotion={"mrr": 0.0})
    result = await knowledge.refresh(source="medicines")
    assert (result["documents"]["new"], result["chunks"]["embedded"], result["sources"]) == (2, 2, ["medicines"])
    unknown = await knowledge.call("operator", "POST", "/refreshes", json={"source": "nothing"})
    assert (unknown.status_code, unknown.json()["detail"]) == (404, "Declared are: library, medicines.")


async def test_a_batch_that_fails_for_good_ends_the_attempt_and_the_next_one_mends_it(
    nats: NatsServer, library: Library
) -> None:
    await nats.provision()
    embedder = HashEmbedder()
    embedder.failures = [PermanentError("embedder: model error")]
    async with running(nats, library.file, embedder) as knowledge:
        result = await knowledge.refresh()
    assert (result["state"], result["attempt"], result["passages"]) == ("promoted", 2, 40)


async def test_a_refresh_that_fails_twice_is_made_good_by_the_next(nats: NatsServer, library: Library) -> None:
    await nats.provision()
    embedder = HashEmbedder()
    library.declare(promotion={"mrr": 0.5, "margin": 1.0})
    async with running(nats, library.file, embedder) as knowledge:
        await knowledge.refresh()
        library.write("gout", "cherries")
        (library.documents / "mumps.md").unlink()
        embedder.failures = [PermanentError("embedder: model error")] * 2
        failed = await knowledge.refresh()
        assert (failed["state"], await knowledge.live()) == ("failed", 1)
        library.write("gout", "rest and water")  # as it was: the failed refresh must leave no trace
        result = await knowledge.refresh()
        assert (result["state"], result["version"], result["passages"]) == ("promoted", 2, 38)
        found = [item["text"] for item in await knowledge.search("care of gout", k=40)]
        assert sum("gout is" in text for text in found) == 1
        assert not any("cherries" in text or "mumps" in text for text in found)


async def test_a_transient_failure_is_only_retried(
    nats: NatsServer, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.contracts.retry.RetryPolicy.wait", lambda *_: 0.1)
    await nats.provision()
    embedder = HashEmbedder()
    embedder.failures = [TransientError("embedder: not ready")] * 2
    async with running(nats, library.file, embedder) as knowledge:
        result = await knowledge.refresh()
    assert (result["state"], result["attempt"]) == ("promoted", 1)


async def test_several_embedders_say_once_that_all_is_in(nats: NatsServer, tmp_path: Path) -> None:
    library = Library(tmp_path / "many", tuple(f"{topic}{number}" for topic in TOPICS for number in range(6)))
    await nats.provision()
    async with running(nats, library.file, embedders=3) as knowledge:
        result = await knowledge.refresh()
        assert (result["batches"], result["passages"], result["repaired"]) == (12, 240, 0)
        assert len(knowledge.embedder.texts) == 240 + result["metrics"]["queries"]
        bus = await knowledge.bus()
        info = await bus.jetstream.stream_info("KNOWLEDGE", subjects_filter="knowledge.*.*.>")
        counts = {subject.split(".", 3)[3]: count for subject, count in (info.state.subjects or {}).items()}
        assert (counts["embedded"], counts["indexed"], counts["promoted"]) == (1, 1, 1)
        await bus.close()


async def test_another_model_fills_another_collection_and_can_be_taken_back(
    knowledge: KnowledgeStack, library: Library
) -> None:
    await knowledge.refresh()
    library.declare(embedder="other")
    result = await knowledge.refresh()
    assert (result["state"], result["chunks"]["embedded"], result["documents"]["changed"]) == ("promoted", 40, 20)
    assert (await knowledge.status())["live"]["collection"] == "knowledge-other"
    assert (await knowledge.call("operator", "POST", "/rollback", json={"to": 1})).status_code == 200
    assert (await knowledge.status())["live"]["collection"] == "knowledge-embedder"
    assert (await knowledge.search("care of gout"))[0]["document"] == "gout.md"
    library.declare(embedder="embedder")  # and for good: the first collection is filled anew, nothing in it is double
    result = await knowledge.refresh()
    assert (result["state"], result["passages"]) == ("promoted", 40)


async def test_everything_can_be_embedded_again(knowledge: KnowledgeStack) -> None:
    await knowledge.refresh()
    result = await knowledge.refresh(full=True)
    assert (result["chunks"]["embedded"], result["passages"], result["state"]) == (40, 40, "promoted")
    assert len(await knowledge.search("care of gout", at=1)) == 3


async def test_versions_are_kept_as_long_as_it_is_set(knowledge: KnowledgeStack, library: Library) -> None:
    library.declare(promotion={"mrr": 0.0, "margin": 1.0, "keep_versions": 2})
    for number in range(4):
        library.write("gout", f"cure{number}")
        assert (await knowledge.refresh())["state"] == "promoted"
    gone = await knowledge.call("physician", "GET", "/search", params={"q": "gout", "at": 2})
    assert (gone.status_code, gone.json()["detail"]) == (410, "The oldest that is kept is 3.")

    async def forgotten() -> bool:
        return await knowledge.base.count("knowledge-embedder", 2) < 40

    await until(forgotten, "old points to be deleted")
    assert "cure2" in (await knowledge.search("care of gout", at=3))[0]["text"]


async def test_an_uploaded_document_is_in_the_next_version(knowledge: KnowledgeStack, library: Library) -> None:
    file = {"file": ("plague.md", b"# Plague\n\nThe care of plague is distance.")}
    assert (await knowledge.call("operator", "POST", "/documents", files=file)).status_code == 409
    (library.folder / "uploads").mkdir()
    uploads = {"name": "uploads", "kind": "guideline", "folder": "uploads"}
    library.declare(sources=[*library.declaration["sources"], uploads])
    await knowledge.refresh()
    answer = await knowledge.call("operator", "POST", "/documents", files=file)
    assert answer.status_code == 202, answer.text
    assert (await knowledge.ended(answer.json()["refresh"]))["state"] == "promoted"
    assert (await knowledge.search("care of plague"))[0]["document"] == "plague.md"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.exe", b"x"),
        ("scan.pdf", b"%PDF-1.7"),
        ("empty.md", b""),
        ("../../etc/passwd", b"x"),
        ("ü" * 140 + ".md", b"words"),  # 283 bytes
        ("字" * 90 + ".md", b"words"),
        ("wide.docx", word(f"<w:tbl>{table_row(600_000)}</w:tbl>")),
        ("sign-in.html", b"<h1>Welcome</h1><p>Your name</p><form><input type=password></form>"),
    ],
    ids=["format", "damaged", "empty", "path", "long", "long-too", "bomb", "sign-in"],
)
async def test_an_upload_that_cannot_be_read_is_refused(
    knowledge: KnowledgeStack, library: Library, name: str, data: bytes
) -> None:
    uploads = {"name": "uploads", "kind": "guideline", "folder": "uploads"}
    library.declare(sources=[uploads])
    answer = await knowledge.call("operator", "POST", "/documents", files={"file": (name, data)})
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_upload_that_is_too_large_is_refused_while_it_comes(
    knowledge: KnowledgeStack, library: Library
) -> None:
    library.declare(sources=[{"name": "uploads", "kind": "guideline", "folder": "uploads"}])
    large = {"file": ("large.txt", bytes(51 * 2**20))}
    answer = await knowledge.call("operator", "POST", "/documents", files=large)
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")


async def test_a_name_that_just_fits_is_kept(knowledge: KnowledgeStack, library: Library) -> None:
    (library.folder / "uploads").mkdir()
    library.declare(sources=[{"name": "uploads", "kind": "guideline", "folder": "uploads"}])
    name = "ü" * 118 + ".md"
    answer = await knowledge.call("operator", "POST", "/documents", files={"file": (name, b"words")})
    assert answer.status_code == 202, answer.text
    assert [item.name for item in (library.folder / "uploads").iterdir()] == [name]


async def test_a_broken_file_is_said_at_once_and_in_full(knowledge: KnowledgeStack, library: Library) -> None:
    library.file.write_text("sources:\n - {name: x, kind: guideline}\n - {name: y, kind: formulary}\n")
    answer = await knowledge.call("operator", "POST", "/refreshes")
    assert answer.status_code == 422
    assert "sources.0: needs either a folder or urls; sources.1.file: is missing" in answer.json()["detail"]


async def test_a_broken_golden_file_holds_the_version_back(knowledge: KnowledgeStack, library: Library) -> None:
    (library.folder / "golden.jsonl").write_text('{"query": "x"}\n')
    result = await knowledge.refresh()
    assert result["state"] == "held-back"
    assert "golden.jsonl, line 1" in result["reason"]


async def test_refreshes_go_one_after_the_other(knowledge: KnowledgeStack, library: Library) -> None:
    first = await knowledge.begin()
    library.write("gout", "cherries")
    second = await knowledge.begin()
    third = await knowledge.begin()
    results = [await knowledge.ended(item) for item in (first, second, third)]
    assert results[0]["state"] == "promoted"
    assert {item["state"] for item in results[1:]} <= {"promoted", "skipped"}
    assert "cherries" in (await knowledge.search("care of gout"))[0]["text"]


async def test_the_night_comes_once_however_many_were_missed(
    nats: NatsServer, library: Library, monkeypatch: pytest.MonkeyPatch
) -> None:
    await nats.provision()
    soon = datetime.now(UTC) + timedelta(seconds=1)
    monkeypatch.setattr("services.ingest.refresh.handlers.next_run", lambda *_: soon)
    async with running(nats, library.file):
        pass  # the timer is set; then everything is down while the night comes
    nats.kill()
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    monkeypatch.setattr("services.ingest.refresh.handlers.next_run", lambda *_: tomorrow)

    async def past() -> bool:
        return datetime.now(UTC) > soon

    await until(past, "the night to pass")
    nats.start()
    async with running(nats, library.file) as knowledge:

        async def live() -> bool:
            return await knowledge.live() == 1

        await until(live, "the refresh of the night")
        bus = await knowledge.bus()
        info = await bus.jetstream.stream_info("KNOWLEDGE", subjects_filter="knowledge.library.*.requested")
        assert len(info.state.subjects or {}) == 1
        (timer,) = await bus.direct_get("REFRESH_TIMERS", {"last_by_subj": "timers.refresh.library"})
        due = datetime.fromisoformat(dict(timer.headers or {})["countersign-due"])
        assert abs(due - tomorrow) < timedelta(seconds=1)
        await bus.close()


async def test_a_source_that_is_declared_later_gets_its_nights_without_a_restart(
    knowledge: KnowledgeStack, library: Library
) -> None:
    await knowledge.refresh()
    (library.folder / "late").mkdir()
    late = {
        "name": "late",
        "kind": "guideline",
        "folder": "late",
        "schedule": {"at": "03:30", "time_zone": "Asia/Tokyo"},
    }
    library.declare(sources=[*library.declaration["sources"], late])
    await knowledge.refresh()
    bus = await knowledge.bus()
    (timer,) = await bus.direct_get("REFRESH_TIMERS", {"last_by_subj": "timers.refresh.late"})
    due = datetime.fromisoformat(dict(timer.headers or {})["countersign-due"])
    assert (due.hour, due.minute) == (18, 30)
    await bus.close()


async def test_batches_wait_for_the_end_of_the_peak_hours_and_go_on_by_themselves(
    nats: NatsServer, library: Library
) -> None:
    await nats.provision()
    now = datetime.now(UTC)
    zone = f"Etc/GMT{now.hour - 12:+d}" if now.hour != 12 else "UTC"  # where it is about noon, far from midnight
    here = (now - timedelta(hours=now.hour - 12)).replace(microsecond=0)
    window = {"from": f"{here - timedelta(minutes=1):%H:%M:%S}", "to": f"{here + timedelta(seconds=8):%H:%M:%S}"}
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
    library.declare(peak_hours=[{"department": "emergency", "days": days, "time_zone": zone} | window])
    async with running(nats, library.file) as knowledge:
        refresh = await knowledge.begin()

        async def prepared() -> bool:
            found = (await knowledge.call("operator", "GET", f"/refreshes/{refresh}")).json()
            return found["state"] == "embedding"

        await until(prepared, "the batches to be in the queue")
        assert (await knowledge.status())["paused_until"] is not None
        assert knowledge.embedder.texts == []
        assert (await knowledge.ended(refresh))["state"] == "promoted"
        assert datetime.now(UTC) >= now.replace(microsecond=0) + timedelta(seconds=8)


UNKNOWN = tuple(f"unheard{number} unseen{number}" for number in range(12))
# The tests' embedder has few dimensions: some topics share one, which a real model's do not.
PRECISION = 0.75


async def test_a_version_goes_live_with_the_threshold_that_its_golden_queries_choose(
    knowledge: KnowledgeStack, library: Library
) -> None:
    library.ask(TOPICS, problems=TOPICS, unknown=UNKNOWN)
    library.declare(relevance={"precision": PRECISION})
    assert (await knowledge.refresh())["state"] == "promoted"
    chosen = (await knowledge.status())["live"]["relevance"]
    assert (chosen["origin"], chosen["queries"]) == ("golden", len(TOPICS) + len(UNKNOWN))
    assert chosen["precision"] >= PRECISION
    for topic, cited in (("gout", True), ("unheard3 unseen3", False), ("zzz qqq xxx", False)):
        assert (await knowledge.search(topic))[0]["cited"] is cited, topic
    found = (await knowledge.call("physician", "GET", "/search", params={"q": "gout"})).json()
    assert found["relevance"] == chosen
    assert found["items"][0]["similarity"] >= chosen["threshold"]


async def test_too_few_golden_queries_leave_the_default_and_judging_again_mends_it(
    knowledge: KnowledgeStack, library: Library
) -> None:
    library.ask(TOPICS[:4])
    await knowledge.refresh()
    before = (await knowledge.status())["live"]
    assert before["relevance"]["origin"] == "default"
    assert "are needed to choose a threshold" in before["relevance"]["reason"]
    library.ask(TOPICS, problems=TOPICS, unknown=UNKNOWN)
    library.declare(relevance={"precision": PRECISION})
    assert (await knowledge.refresh(judge=True))["state"] == "promoted"
    after = (await knowledge.status())["live"]
    assert after["relevance"]["origin"] == "golden"
    assert {key: after[key] for key in ("version", "since", "by")} == {
        key: before[key] for key in ("version", "since", "by")
    }


async def test_going_back_takes_the_threshold_of_that_version(knowledge: KnowledgeStack, library: Library) -> None:
    library.declare(relevance={"threshold": 0.31})
    await knowledge.refresh()
    library.declare(relevance={"threshold": 0.47})
    library.write("gout", "cherries")
    await knowledge.refresh()
    assert (await knowledge.status())["live"]["relevance"]["threshold"] == 0.47
    await knowledge.call("operator", "POST", "/rollback", json={"to": 1})
    back = (await knowledge.status())["live"]["relevance"]
    assert (back["threshold"], back["origin"]) == (0.31, "declared")
