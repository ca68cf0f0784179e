"""What every command has: help with an example, the version, formats of results, and a result printed again."""

import json
import shlex
from collections.abc import Iterator
from importlib.metadata import version
from typing import Any

import pytest
import typer
import typer.main
import yaml

from cli import common, output
from cli.examples import EXAMPLES
from cli.main import app
from tests.support.serving import run_command
from tests.unit.test_documented_commands import problem

ROOT: Any = typer.main.get_command(app)


def commands(group: Any = ROOT, *path: str) -> Iterator[tuple[str, Any]]:
    for name, item in group.commands.items():
        if hasattr(item, "commands"):
            yield from commands(item, *path, name)
        elif not (item.hidden or group.hidden):
            yield " ".join((*path, name)), item


COMMANDS = dict(commands())


def test_every_command_has_an_example_that_it_would_take() -> None:
    assert COMMANDS.keys() == EXAMPLES.keys()
    for name, example in EXAMPLES.items():
        assert example.startswith(name), name
        assert problem(example) is None, example
        words = shlex.split(example)[len(name.split()) :]
        required = [item for item in COMMANDS[name].params if item.required]
        options = [item for item in required if item.param_type_name == "option" and item.envvar is None]
        assert all(set(item.opts) & set(words) for item in options), example
        assert len(words) >= len(required) - len(options), example
    assert f"Example: countersign {EXAMPLES['cases show']}" in " ".join(run_command("cases", "show", "-h").out.split())


def test_the_version_is_that_of_the_package() -> None:
    assert run_command("--version").out == f"{version('countersign')}\n"


def test_a_result_has_the_format_that_is_asked_for() -> None:
    as_json = json.loads(run_command("document-kinds", "list", "--json").out)
    assert as_json == json.loads(run_command("document-kinds", "list", "-o", "json").out)
    assert as_json == yaml.safe_load(run_command("document-kinds", "list", "-o", "yaml").out)
    refused = run_command("document-kinds", "list", "-o", "xml")
    assert refused.code == 2
    assert "xml" in refused.err


def test_in_a_pipe_rows_are_lines_with_tabs_and_nothing_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    lines = [line.split("\t") for line in run_command("document-kinds", "list").out.splitlines()]
    assert lines[0] == ["kind", "title", "LOINC", "priority", "prompt", "requires"]
    assert all(len(line) == 6 for line in lines)
    assert not any("…" in cell for line in lines for cell in line)
    wide = run_command("document-kinds", "list", "--output", "wide").out
    assert len(wide.splitlines()) == len(lines)


@pytest.mark.parametrize("columns", [None, "80"])
def test_what_stands_in_brackets_is_text(
    columns: str | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A reason may quote a path, an option or an errno: as markup it would be lost, or end the command."""
    monkeypatch.delenv("COLUMNS", raising=False)
    if columns is not None:
        monkeypatch.setenv("COLUMNS", columns)
    reason = "no answer [from the server] at [/v1/x] :dog:"
    table = output.make_table("case", "reason")
    table.add_row("c1", reason)
    output.print_table(table)
    assert reason in capsys.readouterr().out


def test_ids_are_not_wrapped_on_a_narrow_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    id = "0f6dbb0e-8c1c-5ac9-9e0a-5c8f0a6a4e11"
    table = output.make_table("case", "reason")
    table.add_row(id, "the EHR did not answer within the time that it has for a search of documents")
    output.print_table(table)
    assert id in capsys.readouterr().out


def test_a_result_is_printed_again_until_it_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(common.time, "sleep", sleep)
    done = run_command("document-kinds", "list", "--json", "--watch", "2")
    assert done.code == 0
    assert waits == [2, 2, 2]
    assert len(done.out.splitlines()) == 3
    monkeypatch.setattr(common.time, "sleep", sleep)
    waits.clear()
    tries: list[bool] = []

    def finds(*, as_json: bool) -> None:
        tries.append(as_json)
        raise typer.Exit(1)

    common._repeat(finds, {"as_json": True}, 2)
    assert len(tries) == 3, "what is found does not end the watch"
    assert "--watch" not in run_command("cases", "retry", "--help").out, "it would retry again and again"
