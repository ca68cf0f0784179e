"""`countersign doctor` with a context: approval's checks, and what the evaluator answers about the knowledge base."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from cli.doctor import by_http
from cli.errors import CommandError, UnreachableError
from tests.support.serving import run_command
from tests.unit.test_contexts import add

CHECK = {"group": "work", "name": "dead letters", "state": "ok", "detail": "none", "action": "", "runbook": ""}
KNOWLEDGE = CHECK | {"name": "knowledge", "state": "unknown", "detail": "not known here", "action": "ask"}
RELEVANCE = {"threshold": 0.6, "origin": "default", "reason": "no golden queries"}
LIVE = {
    "version": 4,
    "collection": "c",
    "embedder": "e",
    "by": "evaluator",
    "since": "2026-11-29T02:00:00Z",
    "relevance": RELEVANCE,
}


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """What an installation answers, by path; it is the current context."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.delenv("COUNTERSIGN_NATS_URL", raising=False)
    found: dict[str, Any] = {"/v1/health/checks": {"items": [CHECK, KNOWLEDGE]}, "/v1/knowledge": {}}

    async def call(method: str, path: str) -> Any:
        assert method == "GET"
        if isinstance(found[path], Exception):
            raise found[path]
        return found[path]

    @asynccontextmanager
    async def opened(_: Any) -> AsyncIterator[Any]:
        yield call

    monkeypatch.setattr(by_http, "open_context", opened)
    add("prod")
    assert run_command("context", "use", "prod").code == 0
    return found


def levels(code: int) -> dict[str, str]:
    done = run_command("doctor", "--json")
    assert done.code == code, done
    return {item["what"]: item["level"] for item in json.loads(done.out)["findings"]}


def test_a_failed_check_is_a_fault_and_a_state_of_a_later_version_is_not_known(answers: dict[str, Any]) -> None:
    answers["/v1/health/checks"]["items"] = [CHECK, CHECK | {"name": "EHR", "state": "paused"}]
    assert levels(0) == {"dead letters": "ok", "EHR": "unknown"}
    answers["/v1/health/checks"]["items"] = [CHECK | {"state": "warning"}, CHECK | {"name": "EHR", "state": "failed"}]
    assert levels(1) == {"dead letters": "warning", "EHR": "fault"}


@pytest.mark.parametrize(
    ("answer", "code", "expected"),
    [
        ({"live": LIVE, "passages": 9}, 0, {"knowledge": "ok", "relevance": "warning"}),
        ({"live": LIVE, "passages": 0}, 1, {"knowledge": "fault"}),
        ({"live": None, "passages": 0}, 0, {"knowledge": "warning"}),
        ({"live": {"version": "?"}, "passages": 0}, 0, {"knowledge": "unknown"}),
        (UnreachableError("prod does not answer."), 0, {"knowledge": "unknown"}),
    ],
)
def test_the_knowledge_base_is_judged_by_what_the_evaluator_answers(
    answers: dict[str, Any], answer: Any, code: int, expected: dict[str, str]
) -> None:
    answers["/v1/knowledge"] = answer
    assert levels(code) == {"dead letters": "ok"} | expected


def test_what_is_not_known_is_counted_apart(answers: dict[str, Any]) -> None:
    answers["/v1/knowledge"] = CommandError("The path is unknown.")
    done = run_command("doctor")
    assert (done.code, "0 faults, 0 warnings, 1 ok, 1 not known" in done.out) == (0, True), done
    assert "unknown knowledge: The path is unknown." in done.out


def test_an_installation_that_refuses_ends_the_command(answers: dict[str, Any]) -> None:
    answers["/v1/health/checks"] = CommandError("This token is not allowed to do that.")
    assert (run_command("doctor").code, run_command("doctor").out) == (2, "")
