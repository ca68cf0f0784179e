"""`countersign topology` and `countersign schedules` print what approval's API answers."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.commands import system
from cli.main import app

CONSUMER = {"pending": 3, "in_flight": 1, "redelivered": 0, "workers_waiting": 2, "description": "Files documents."}
ANSWERS: dict[str, Any] = {
    "/v1/topology": {
        "consumers": [
            CONSUMER | {"name": "approval-file", "service": "approval", "state": "busy"},
            CONSUMER | {"name": "drafter-draft", "service": "drafter", "state": "unserved"},
        ]
    },
    "/v1/schedules": {
        "items": [
            {
                "job": "census",
                "name": "surgery",
                "service": "ingest",
                "state": "scheduled",
                "next_at": "2026-11-30T02:00:00+01:00",
                "every": "at 02:00",
                "description": "Asks for drafts.",
            }
        ]
    },
}


@pytest.fixture(autouse=True)
def answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "call_api", lambda _, method, path: {"GET": ANSWERS}[method][path])


def printed(*arguments: str) -> str:
    done = CliRunner().invoke(app, arguments, env={"COLUMNS": "200"})
    assert done.exit_code == 0, done.output
    return done.output


def test_consumers_are_printed_of_one_service_or_of_all() -> None:
    assert [line.split()[:6] for line in printed("topology").splitlines()[1:]] == [
        ["approval-file", "busy", "3", "1", "0", "2"],
        ["drafter-draft", "unserved", "3", "1", "0", "2"],
    ]
    (only,) = json.loads(printed("topology", "--service", "drafter", "--json"))["consumers"]
    assert only["name"] == "drafter-draft"
    assert printed("topology", "--service", "nobody") == "there is no consumer of nobody\n"


def test_schedules_are_printed_with_their_next_time() -> None:
    assert "2026-11-30 01:00 UTC" in printed("schedules")
    assert json.loads(printed("schedules", "--json")) == ANSWERS["/v1/schedules"]["items"]
