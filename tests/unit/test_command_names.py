"""Renamed commands and options keep their old names, hidden from the help."""

import asyncio
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.commands import knowledge
from cli.errors import CommandError
from cli.main import app

INVALID = ["redrive", "--all"]  # a consumer is missing: fails before anything is connected


@pytest.mark.parametrize("name", ["dead-letters", "deadletter"])
def test_dead_letters_have_a_new_and_an_old_name(name: str) -> None:
    done = CliRunner().invoke(app, [name, *INVALID])
    assert isinstance(done.exception, CommandError)
    assert "--all --consumer NAME" in str(done.exception)


def test_the_help_shows_the_new_names_only() -> None:
    commands = CliRunner().invoke(app, ["--help"], env={"COLUMNS": "200"}).output
    assert "dead-letters" in commands
    assert "deadletter " not in commands
    refresh = CliRunner().invoke(app, ["knowledge", "refresh", "--help"], env={"COLUMNS": "200"}).output
    assert "--evaluate-only" in refresh
    assert "--judge" not in refresh


@pytest.mark.parametrize("option", ["--evaluate-only", "--judge"])
def test_a_refresh_that_only_evaluates_is_requested_by_either_name(
    option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []

    async def call(method: str, path: str, **options: Any) -> dict[str, str]:
        sent.append((method, path, options["json"]))
        return {"refresh": "r1"}

    def run_with_api(_: Any, work: Any) -> Any:
        return asyncio.run(work(call))

    monkeypatch.setattr(knowledge, "run_with_api", run_with_api)
    done = CliRunner().invoke(app, ["knowledge", "refresh", option])
    assert done.exit_code == 0, done.output
    assert sent == [("POST", "/v1/knowledge/refreshes", {"source": None, "full": False, "judge": True})]
