"""`countersign cases list`: its options are the parameters of the API, and a list that goes on says so."""

from datetime import datetime
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.commands import cases

LINE = {
    "case_id": "c1",
    "department": "surgery",
    "state": "failed",
    "last_event": "failed",
    "time": "2026-11-28T03:00:00Z",
}


def run(monkeypatch: pytest.MonkeyPatch, result: dict[str, Any], *words: str) -> tuple[str, dict[str, Any]]:
    """Return what is printed, and the parameters that were sent."""
    sent: list[dict[str, Any]] = []

    def get(_: object, path: str, params: dict[str, Any]) -> dict[str, Any]:
        assert path == "/v1/cases"
        sent.append(params)
        return result

    monkeypatch.setattr(cases, "_get", get)
    done = CliRunner().invoke(cases.app, ["list", *words])
    assert done.exit_code == 0, done.output
    return done.output, sent[0]


def test_options_are_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    words = "--state failed --state approved --department surgery --owner Practitioner/d --encounter e --limit 7"
    output, sent = run(monkeypatch, {"items": [], "unreadable": []}, *words.split(), "--since", "2h", "--after", "9")
    assert datetime.fromisoformat(sent.pop("since")).tzinfo is not None
    assert sent == {
        "state": ["failed", "approved"],
        "department": "surgery",
        "owner": "Practitioner/d",
        "encounter": "e",
        "after": "9",
        "limit": 7,
    }
    assert "There are no such cases." in output


def test_a_list_that_goes_on_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    output, sent = run(monkeypatch, {"items": [LINE], "next": "41", "complete": False, "unreadable": []})
    assert sent == {"limit": 50}
    assert "c1" in output
    assert "--after 41" in output
    assert "cases may be missing" in output
    output, _ = run(monkeypatch, {"items": [LINE], "unreadable": []})
    assert "--after" not in output


def withdraw(monkeypatch: pytest.MonkeyPatch, *words: str, answer: str = "") -> tuple[int, str, list[tuple[Any, ...]]]:
    """Return the exit code, what is printed, and the requests."""
    sent = list[tuple[Any, ...]]()

    def call(_: object, method: str, path: str, **options: Any) -> dict[str, Any]:
        sent.append((method, path, options.get("json")))
        return {"case_id": "c1", "department": "surgery", "state": "failed"}

    monkeypatch.setattr(cases, "call_api", call)
    done = CliRunner().invoke(cases.app, ["withdraw", "c1", "--reason", "a test", *words], input=answer)
    return done.exit_code, done.output, sent


def test_a_withdrawal_is_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    post = ("POST", "/v1/cases/c1/withdraw", {"reason": "a test"})
    assert withdraw(monkeypatch, "--yes") == (0, "Case c1 is withdrawn.\n", [post])
    code, said, sent = withdraw(monkeypatch, answer="y\n")
    assert (code, sent[1:]) == (0, [post])
    assert "Withdraw case c1 (surgery, failed)?" in said
    code, _, sent = withdraw(monkeypatch, answer="n\n")
    assert (code != 0, [item[0] for item in sent]) == (True, ["GET"])


def test_a_retry_with_a_reason_names_the_caller_by_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    sent = list[tuple[Any, ...]]()

    def call(_: object, method: str, path: str, **options: Any) -> dict[str, Any]:
        sent.append((method, path, options["json"]))
        return {"detail": "case c1 tries draft again"}

    monkeypatch.setattr(cases, "call_api", call)
    done = CliRunner().invoke(cases.app, ["retry", "c1", "--reason", "the server is back"])
    assert (done.exit_code, done.output) == (0, "case c1 tries draft again\n")
    assert sent == [("POST", "/v1/cases/c1/retry", {"reason": "the server is back"})]
    refused = CliRunner().invoke(cases.app, ["retry", "c1", "--reason", "x", "--by", "eve"])
    assert (refused.exit_code != 0, len(sent)) == (True, 1)
