"""The knowledge base by the command, on the whole embedded stack with the real models."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cli.stack.knowledge import DEMO
from cli.stack.ports import free_port
from tests.e2e.test_command import SCRIPTED, case_in, discharge, until
from tests.support.command import Up, run, up
from tests.support.effort import THOROUGH
from tests.support.knowledge import TOPICS, Library

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

DEVELOPMENT = Path(__file__).parents[3] / "shared" / "data" / "retrieval"
STATES = ("waiting", "preparing", "embedding", "settling", "judging", "promoted")  # of a refresh, in their order
BM25_OVER_WHOLE_PAGES = 0.932  # MRR@10 that the set's description gives


def knowledge(stack: Up, *arguments: str) -> Any:
    """`countersign knowledge … --json`, as an operator runs it."""
    done = run("knowledge", *arguments, "--json", "--data-dir", str(stack.data_dir), timeout=420)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_the_demos_knowledge_base_from_refresh_to_a_cited_draft(tmp_path: Path) -> None:
    with up(tmp_path / "data", free_port(), *SCRIPTED) as stack:
        first = knowledge(stack, "refresh", "--wait")
        assert (first["state"], first["version"], first["documents"]["new"]) == ("promoted", 1, 33)
        assert knowledge(stack, "refresh", "--wait")["state"] == "skipped"
        found = knowledge(stack, "search", "weigh every morning", "-k", "2")
        assert (found["version"], found["items"][0]["document"]) == (1, "heart-failure.md")
        live = knowledge(stack, "status")["live"]
        assert (live["version"], live["relevance"]["origin"]) == (1, "golden")
        for unknown in ("zzz qqq xxx", "Malaria", "Femoral hernia"):
            assert not any(item["cited"] for item in knowledge(stack, "search", unknown)["items"]), unknown
        assert knowledge(stack, "history")["items"][0]["decision"] == "promoted"
        why = ("--document", "F002=2", "--reason", "asked by the ward")
        added = knowledge(stack, "golden", "add", "aspirin is not tolerated", *why)
        knowledge(stack, "golden", "export", str(file := tmp_path / "golden.jsonl"))
        line = json.loads(file.read_text().splitlines()[-1])
        assert (line["id"], line["relevant"]) == (added["id"], [{"doc_id": "F002", "grade": 2}])
        case_id = discharge(stack, "enc-dedb41e97421", department="cardiology")
        case_in(stack, case_id, "awaiting-review")
        review = stack.call("physician", "GET", f"/v1/reviews/{case_id}").json()
        cited = review["draft"]["knowledge"]
        assert cited["version"] == 1
        assert "heart-failure.md" in {item["document"] for item in cited["passages"]}
        page = stack.call("physician", "GET", f"/reviews/{case_id}").text
        assert all(item["about"] and item["similarity"] >= cited["threshold"] for item in cited["passages"])
        assert "General advice" in page
        assert cited["passages"][0]["title"] in page


def shown(stack: Up, refresh: str) -> dict[str, Any]:
    found: dict[str, Any] = stack.call("operator", "GET", f"/v1/knowledge/refreshes/{refresh}").json()
    return found


def ended(stack: Up, refresh: str) -> dict[str, Any] | None:
    found = shown(stack, refresh)
    return found if found.get("ended") else None


@pytest.mark.parametrize("reached", ["preparing", "embedding", "judging"])
def test_the_whole_stack_killed_in_a_refresh_completes_it_after_the_restart(tmp_path: Path, reached: str) -> None:
    library = Library(tmp_path / "library", tuple(f"{topic}{number}" for topic in TOPICS for number in range(10)))
    arguments = (*SCRIPTED, "--knowledge", str(library.file))
    port = free_port()
    with up(tmp_path / "data", port, *arguments) as stack:
        # Over HTTP, not by the command: a refresh may be over before a process of its own has ended.
        answer = stack.call("operator", "POST", "/v1/knowledge/refreshes", json={})
        begun = answer.raise_for_status().json()["refresh"]
        # A state may pass between two looks; a later one will do.
        until(
            lambda: STATES.index(shown(stack, begun)["state"]) >= STATES.index(reached), f"the refresh to be {reached}"
        )
        stack.kill()
    with up(tmp_path / "data", port, *arguments) as stack:
        seen = until(lambda: ended(stack, begun), "the refresh to end")
        assert (seen["state"], seen["passages"], seen["documents"]["new"]) == ("promoted", 400, 200), seen
        assert knowledge(stack, "refresh", "--wait")["chunks"]["embedded"] == 0


def test_a_declaration_is_checked_without_a_stack(tmp_path: Path) -> None:
    good = run("knowledge", "sources", "validate", str(DEMO / "knowledge.yaml"), "--json")
    sources = ["guidelines", "formulary", "uploads"]
    assert json.loads(good.stdout) == {"valid": True, "sources": sources, "problems": [], "warnings": []}
    file = tmp_path / "k.yaml"
    file.write_text("sources: [{name: x, kind: guideline, folder: nowhere}]\ngolden: none.jsonl\n")
    bad = run("knowledge", "sources", "validate", str(file))
    assert bad.returncode == 1
    assert "sources.0.folder" in bad.stdout
    assert "golden" in bad.stdout


def test_the_development_set_is_answered_better_than_by_words_alone(tmp_path: Path) -> None:
    """Pages that nobody tuned a line of code for, 100 questions about them, and what a change of them costs.

    Those that a question is about; all 300 with COUNTERSIGN_THOROUGH=2, as `make bench-knowledge` measures them.
    """
    if not DEVELOPMENT.exists():
        pytest.skip("the development set is not here: ../shared/data/retrieval")
    folder = tmp_path / "pages"
    folder.mkdir()
    queries = map(json.loads, (DEVELOPMENT / "queries.jsonl").read_text().splitlines())
    asked = {item["doc_id"] for query in queries for item in query["relevant"]}
    pages = map(json.loads, (DEVELOPMENT / "documents.jsonl").read_text().splitlines())
    for page in [item for item in pages if item["id"] in asked or THOROUGH > 1]:
        (folder / f"{page['id']}.md").write_text(f"# {page['title']}\n\n{page['text']}\n")
    shutil.copy(DEVELOPMENT / "queries.jsonl", tmp_path / "golden.jsonl")
    file = tmp_path / "knowledge.yaml"
    file.write_text("sources: [{name: nih, kind: guideline, folder: pages}]\ngolden: golden.jsonl\n")
    with up(tmp_path / "data", free_port(), *SCRIPTED, "--knowledge", str(file)) as stack:
        first = knowledge(stack, "refresh", "--wait")
        assert (first["state"], first["documents"]["new"], first["unreadable"]) == (
            "promoted",
            len(list(folder.iterdir())),
            [],
        )
        assert first["metrics"]["mrr_at_10"] >= BM25_OVER_WHOLE_PAGES
        for page in sorted(folder.iterdir())[:10]:
            page.write_text(page.read_text() + "\n## Addendum\n\nA paragraph that was not there before.\n")
        second = knowledge(stack, "refresh", "--wait")
        assert (second["documents"]["changed"], second["chunks"]["embedded"]) == (10, 10)
