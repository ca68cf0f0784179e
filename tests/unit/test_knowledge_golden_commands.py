"""`countersign knowledge golden`: what is sent for an edit, and what is written to a file."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.commands import knowledge_golden
from cli.main import app

ITEM = {
    "id": "g/1", "query": "gout", "problem": "", "relevant": [{"doc_id": "gout.md", "grade": 2}], "digest": "d" * 64,
    "file": "golden.jsonl", "editable": True, "changed_in": None, "unknown": ["gout.md"],
}  # fmt: skip
LIST = {"version": 3, "managed_in": None, "problems": [], "items": [ITEM], "removed": ["g2"]}
PATH = "/v1/knowledge/golden"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    found: list[Any] = []

    def call(_: Any, method: str, path: str, **options: Any) -> dict[str, Any]:
        if method != "GET":
            found.append((method, path, options.get("json") or options.get("params")))
        return LIST if method == "GET" else {"id": "q", "version": 4}

    monkeypatch.setattr(knowledge_golden, "call_api", call)
    return found


def said(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, ["knowledge", "golden", *words])
    assert done.exit_code == code, done.output
    return done.output


def test_edits_name_the_query_as_it_was_read(sent: list[Any]) -> None:
    why = ("--reason", "asked")
    said("add", "Gout", "--problem", "--document", "gout=3", "--document", "a=b.md", *why)
    said("edit", "g/1", "--document", "other.md", *why)
    assert "version 4" in said("remove", "g/1", *why)
    documents = [{"doc_id": "gout", "grade": 3}, {"doc_id": "a=b.md", "grade": 1}]
    other = {"query": "gout", "relevant": [{"doc_id": "other.md", "grade": 1}], "reason": "asked", "digest": "d" * 64}
    assert sent == [
        ("POST", PATH, {"problem": "Gout", "relevant": documents, "reason": "asked"}),
        ("PUT", f"{PATH}/g%2F1", other),
        ("DELETE", f"{PATH}/g%2F1", {"digest": "d" * 64, "reason": "asked"}),
    ]


def test_nothing_is_sent_for_an_unknown_query_or_no_change(sent: list[Any]) -> None:
    for words in (("edit", "g/1"), ("edit", "none", "--text", "x"), ("remove", "none")):
        assert CliRunner().invoke(app, ["knowledge", "golden", *words, "--reason", "why"]).exception is not None
    assert sent == []


def test_the_list_says_what_is_missing_and_removed(sent: list[Any]) -> None:
    shown = " ".join(said("list").split())
    assert "does not" in shown
    assert "removed, and still in the files: g2" in shown
    assert json.loads(said("list", "--json")) == LIST


def test_an_export_is_written_as_it_came(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Api:
        async def lines(self, path: str, **options: Any) -> AsyncIterator[str]:
            assert (path, options) == (f"{PATH}/export", {"params": {"version": 2}})
            for line in ("{}", '{"id": "ä"}'):
                yield line

    monkeypatch.setattr(knowledge_golden, "run_with_api", lambda _, work: asyncio.run(work(Api())))
    said("export", str(tmp_path / "golden.jsonl"), "--version", "2")
    assert (tmp_path / "golden.jsonl").read_text(encoding="utf-8") == '{}\n{"id": "ä"}\n'
