"""`countersign deadletter`: what could not be handled, and how it is put back to work.

What speaks to the bus is imported when a command runs: `--help` must not wait for it.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from cli.stack.access import default_data_dir

if TYPE_CHECKING:
    from shared.messaging.connection import Bus

app = typer.Typer(no_args_is_help=True, help="Look at dead letters and put them back to work.")
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="the stack's data directory")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout")]
Sequence = Annotated[int, typer.Argument(help="sequence in the DEADLETTER stream, as `list` shows it")]

T = TypeVar("T")


def _run(data_dir: Path | None, work: Callable[["Bus"], Coroutine[Any, Any, T]]) -> T:
    from cli.bus import bus

    async def connected() -> T:
        async with bus(data_dir or default_data_dir(), "operator") as connection:
            return await work(connection)

    return asyncio.run(connected())


@app.command("list")
def list_letters(
    data_dir: DataDir = None,
    as_json: AsJson = False,
    everything: Annotated[bool, typer.Option("--all", help="also those that were put back to work")] = False,
) -> None:
    """Dead letters that wait for somebody."""
    from cli.redrive import read_all

    letters = [item[0] for item in _run(data_dir, read_all).values() if everything or not item[0].redriven]
    if as_json:
        print(json.dumps([asdict(letter) for letter in letters]))
        return
    table = Table(box=None, header_style="bold")
    for column in ("sequence", "consumer", "attempts", "reason", "subject"):
        table.add_column(column, overflow="fold")
    for letter in letters:
        table.add_row(str(letter.sequence), letter.consumer, str(letter.attempts), letter.reason, letter.subject)
    Console().print(table if letters else "No dead letters wait.")


@app.command()
def show(sequence: Sequence, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """One dead letter with its original message."""
    from cli.redrive import find, read_all

    letter, data, headers = find(_run(data_dir, read_all), sequence)
    original = {name: value for name, value in headers.items() if not name.startswith(("Nats-", "countersign-"))}
    if as_json:
        print(json.dumps(asdict(letter) | {"headers": original, "body": data.decode(errors="replace")}))
        return
    for name, value in (asdict(letter) | original).items():
        print(f"{name:18}{value}")
    print(data.decode(errors="replace"))


@app.command()
def redrive(sequence: Sequence, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Put a dead letter back to work: a case is retried from its failed step, a fact is published again."""
    from cli.redrive import redrive as put_back

    done = _run(data_dir, lambda connection: put_back(connection, sequence))
    print(json.dumps({"sequence": sequence, "done": done}) if as_json else done)
