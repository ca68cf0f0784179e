"""`countersign deadletter`: what could not be handled, and what is done about it.

What speaks to the bus is imported when a command runs: `--help` must not wait for it.
"""

import asyncio
import getpass
import json
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from cli.errors import CommandError

if TYPE_CHECKING:
    from cli.dead_letters import Resolve
    from shared.messaging.connection import Bus

app = typer.Typer(no_args_is_help=True, help="Look at dead letters, put them back to work, or discard them.")
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="the stack's data directory")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout")]
Sequence = Annotated[int, typer.Argument(help="sequence in the DEADLETTER stream, as `list` shows it")]
Which = Annotated[int | None, typer.Argument(help="sequence in the DEADLETTER stream, as `list` shows it")]
All = Annotated[bool, typer.Option("--all", help="every one that waits, of one consumer")]
Consumer = Annotated[str | None, typer.Option("--consumer", help="with --all: which")]
Yes = Annotated[bool, typer.Option("--yes", help="with --all: do not ask")]
Reason = Annotated[str, typer.Option("--reason", help="kept beside the letter, with your name; no patient data")]
By = Annotated[str | None, typer.Option("--by", help="who does it; default: the user of this machine")]

T = TypeVar("T")


def run(data_dir: Path | None, work: Callable[["Bus"], Coroutine[Any, Any, T]]) -> T:
    """Do `work` on the stack's bus, as its operator: on this machine, or where the environment names NATS."""
    from cli.reach import open_bus

    async def connected() -> T:
        async with open_bus(data_dir, "operator") as connection:
            return await work(connection)

    return asyncio.run(connected())


def actor_name(by: str | None) -> str:
    """The name that goes on record."""
    try:
        return (by or getpass.getuser()).strip() or "operator"
    except OSError:  # a container's user may have no name
        return "operator"


@app.command("list")
def list_dead_letters(
    data_dir: DataDir = None,
    as_json: AsJson = False,
    everything: Annotated[bool, typer.Option("--all", help="also those that were redriven or discarded")] = False,
) -> None:
    """Dead letters that wait for somebody."""
    from shared.messaging.letters import read_all

    letters = [item[0] for item in run(data_dir, read_all).values() if everything or item[0].waits]
    if as_json:
        print(json.dumps([asdict(letter) for letter in letters]))
        return
    table = Table(box=None, header_style="bold")
    for column in ("sequence", "consumer", "attempts", "reason", "subject", *(("state", "by", "why") * everything)):
        table.add_column(column, overflow="fold")
    for letter in letters:
        done = (f"{letter.state} {letter.at or ''}".strip(), letter.by or "", letter.why or "") if everything else ()
        row = (str(letter.sequence), letter.consumer, str(letter.attempts), letter.reason, letter.subject, *done)
        table.add_row(*row)
    Console().print(table if letters else "No dead letters wait.")


@app.command()
def show(sequence: Sequence, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """One dead letter with its original message."""
    from shared.messaging.letters import find, read_all

    letter, data, headers = find(run(data_dir, read_all), sequence)
    original = {name: value for name, value in headers.items() if not name.startswith(("Nats-", "countersign-"))}
    if as_json:
        print(json.dumps(asdict(letter) | {"headers": original, "body": data.decode(errors="replace")}))
        return
    for name, value in (asdict(letter) | original).items():
        print(f"{name:18}{'' if value is None else value}")
    print(data.decode(errors="replace"))


@app.command()
def redrive(
    sequence: Which = None,
    everything: All = False,
    consumer: Consumer = None,
    yes: Yes = False,
    reason: Reason = "",
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Put a dead letter back to work: a case is retried from its failed step, a fact is published again."""
    from cli.dead_letters import redrive as put_back

    _resolve("redrive", put_back, sequence, everything, consumer, yes, reason, by, data_dir, as_json)


@app.command()
def discard(
    sequence: Which = None,
    everything: All = False,
    consumer: Consumer = None,
    yes: Yes = False,
    reason: Reason = "",
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Say that a dead letter will not be put back, and why. It stays on record; what it was about stays as it is."""
    from cli.dead_letters import discard as put_away

    if not reason.strip():
        raise CommandError("Say why, with --reason.")
    _resolve("discard", put_away, sequence, everything, consumer, yes, reason, by, data_dir, as_json)


def _resolve(
    name: Literal["redrive", "discard"],
    settling: "Resolve",
    sequence: int | None,
    everything: bool,
    consumer: str | None,
    yes: bool,
    reason: str,
    by: str | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    if everything == (sequence is not None) or everything != (consumer is not None):
        raise CommandError("Name one dead letter, or all of a consumer: --all --consumer NAME.")
    if sequence is not None:
        done = run(data_dir, lambda bus: _one(bus, settling, sequence, actor_name(by), reason))
        print(json.dumps({"sequence": sequence, "done": done}) if as_json else done)
        return
    results = run(data_dir, lambda bus: _many(bus, name, settling, str(consumer), yes, actor_name(by), reason))
    refused = [item for item in results if not item["ok"]]
    if as_json:
        print(json.dumps({"done": len(results) - len(refused), "refused": refused}))
    else:
        for item in refused:
            print(f"{item['sequence']}: {item['said']}")
        print(f"{len(results) - len(refused)} done, {len(refused)} refused")
    if refused:
        raise typer.Exit(1)


async def _one(connection: "Bus", settling: "Resolve", sequence: int, by: str, why: str) -> str:
    from cli.dead_letters import Attribution
    from shared.messaging.letters import read_all

    return await settling(connection, await read_all(connection), sequence, Attribution(by, why))


async def _many(
    connection: "Bus", name: str, settling: "Resolve", consumer: str, yes: bool, by: str, why: str
) -> list[dict[str, Any]]:
    from cli.dead_letters import Attribution, resolve_each, unresolved
    from shared.messaging.letters import read_all

    letters = await read_all(connection)
    found = unresolved(letters, consumer)
    if not found:
        return []
    # Asked on a terminal only: a script that forgot --yes must not hang.
    if not yes and not typer.confirm(f"{name} {len(found)} dead letters of {consumer}?", err=True):
        raise CommandError("Nothing was done.")
    shown = track(found, description=name, console=Console(stderr=True), transient=True)
    return [
        {"sequence": number, "said": said, "ok": ok}
        async for number, said, ok in resolve_each(connection, letters, found, settling, Attribution(by, why), shown)
    ]
