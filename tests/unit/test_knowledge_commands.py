"""`countersign knowledge`: exit codes, warnings about golden queries, what is sent for a pin."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.commands import knowledge, knowledge_live
from cli.errors import CommandError
from cli.main import app

DEMO = Path(__file__).parents[2] / "deploy" / "knowledge" / "knowledge.yaml"
HELD_BACK = {
    "documents": None, "chunks": None, "unreadable": [], "metrics": None, "version": 2, "seconds": 1.0,
    "reason": "pinned: version 1 stays live", "ended": True,
}  # fmt: skip


@pytest.mark.parametrize(("state", "code"), [("promoted", 0), ("skipped", 0), ("held-back", 1), ("failed", 1)])
def test_the_exit_code_says_whether_the_version_is_live(state: str, code: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def call(method: str, _: str, **__: Any) -> dict[str, Any]:
        return {"refresh": "r1"} if method == "POST" else HELD_BACK | {"state": state}

    monkeypatch.setattr(knowledge, "run_with_api", lambda _, work: asyncio.run(work(call)))
    assert CliRunner().invoke(app, ["knowledge", "refresh", "--wait"]).exit_code == code


def validated(file: Path) -> dict[str, Any]:
    done = CliRunner().invoke(app, ["knowledge", "sources", "validate", str(file), "--json"])
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.output)
    return found


def test_the_demo_has_no_warnings() -> None:
    assert validated(DEMO)["warnings"] == []


def test_a_golden_query_about_a_missing_document_is_a_warning(tmp_path: Path) -> None:
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs" / "gout.md").write_text("# gout")
    (tmp_path / "medicines.csv").write_text("code,name\nM01,Aspirin\n")
    (tmp_path / "k.yaml").write_text(
        "sources:\n- {name: d, kind: guideline, folder: docs}\n- {name: u, kind: guideline, urls: ['https://x.example/a']}\n"
        "- {name: m, kind: formulary, file: medicines.csv, id_column: code}\ngolden: golden.jsonl\n"
    )
    lines = [("there", ["gout", "d/gout.md", "M01", "https://x.example/a"]), ("gone", ["gout.md", "plague"])]
    (tmp_path / "golden.jsonl").write_text(
        "\n".join(json.dumps({"id": id, "query": id, "relevant": names}) for id, names in lines)
    )
    (warning,) = validated(tmp_path / "k.yaml")["warnings"]
    assert warning.endswith("query gone: no source has a document 'plague'")


def test_pin_names_the_live_version(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[Any] = []

    def call(_: Any, method: str, path: str, **options: Any) -> dict[str, Any]:
        sent.append((method, path, options.get("json")))
        return {"live": {"version": 7}, "version": 7}

    monkeypatch.setattr(knowledge_live, "call_api", call)
    assert "version 7 is pinned" in CliRunner().invoke(app, ["knowledge", "pin", "--reason", "audit"]).output
    assert sent[-1] == ("POST", "/v1/knowledge/pin", {"version": 7, "reason": "audit"})
    assert CliRunner().invoke(app, ["knowledge", "unpin"]).exit_code == 2  # a reason is needed
    done = CliRunner().invoke(app, ["knowledge", "rollback", "--to", "3", "--pin"])
    assert isinstance(done.exception, CommandError)
