"""The command-line page: every command with its arguments and options, from the Typer application."""

from collections.abc import Iterator
from typing import Any

import typer.main

from cli.main import app
from docs._generate.markdown import cell, code, page, table

NAME = "countersign"


def render() -> str:
    """Return the page."""
    parts = [
        "`countersign COMMAND --help` prints the same on a machine. Exit codes: 0 success, 1 something was found that "
        "needs attention or the installation refuses, 2 the command could not do what was asked (the reason is on "
        "stderr). `--json` and `-o` choose how a result is printed. `countersign --context NAME COMMAND` works on "
        "another installation by HTTP: [Run commands from anywhere](../../how-to/work-from-anywhere.md).\n"
    ]
    parts += list(_sections(typer.main.get_command(app), NAME, 2))
    return page("Command line", "operators and developers", "the command itself", *parts)


def _sections(command: Any, path: str, depth: int) -> Iterator[str]:
    commands = getattr(command, "commands", None)
    if commands is None:
        yield _section(command, path, depth)
        return
    if path != NAME:
        yield f"{'#' * depth} `{path}`\n\n{_sentence(command.help)}\n"
        depth += 1
    for name, item in sorted(commands.items()):
        if not getattr(item, "hidden", False):
            yield from _sections(item, f"{path} {name}", depth)


def _section(command: Any, path: str, depth: int) -> str:
    usage, rows = [path], []
    for parameter in command.params:
        if getattr(parameter, "hidden", False) or "--help" in parameter.opts:
            continue
        rows.append(_row(parameter))
        if parameter.param_type_name == "argument":
            name = (parameter.metavar or parameter.name or "").upper().strip("[]<>")
            shown = name if parameter.required else f"[{name}]"
            usage.append(f"{shown}…" if parameter.nargs == -1 else shown)
    if any(parameter.param_type_name == "option" for parameter in command.params):
        usage.append("[OPTIONS]")
    text = f"{'#' * depth} `{path}`\n\n{_sentence(command.help)}\n\n```text\n{' '.join(usage)}\n```\n"
    return text + ("\n" + table(("Option", "Meaning", "Default"), rows) if rows else "")


def _row(parameter: Any) -> tuple[str, ...]:
    names = ", ".join(code(name) for name in (*parameter.opts, *parameter.secondary_opts))
    if parameter.param_type_name == "argument":
        names = code((parameter.metavar or parameter.name or "").upper())
    text = _sentence(getattr(parameter, "help", None))
    if variable := getattr(parameter, "envvar", None):
        text += f" Environment: {code(variable)}."
    if parameter.required:
        return names, text, "required"
    default = parameter.default
    shown = "" if default in (None, False, (), []) or callable(default) else code(default)
    return names, text, shown


def _sentence(text: str | None) -> str:
    plain = cell(text or "")
    return plain[:1].upper() + plain[1:] + ("" if not plain or plain.endswith((".", "!", "?")) else ".")
