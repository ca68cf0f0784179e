"""`countersign dead-letters`: list messages that no retry could handle, redrive or discard them.

Modules that connect to NATS are imported when a command runs, so that `--help` stays fast.
"""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.progress import track

from cli.errors import CommandError
from cli.options import AsJson, By, DataDir, actor_name
from cli.output import emit, make_table, print_table, stderr

if TYPE_CHECKING:
    from cli.dead_letters import Attribution, Resolve
    from shared.messaging.connection import NatsConnection

app = typer.Typer(no_args_is_help=True, help="List dead letters, redrive or discard them.")
Sequence = Annotated[int, typer.Argument(help="sequence in the DEADLETTER stream, as printed by `list`")]
OptionalSequence = Annotated[int | None, typer.Argument(help="sequence in the DEADLETTER stream, as printed by `list`")]
All = Annotated[bool, typer.Option("--all", help="all unresolved dead letters of one consumer")]
Consumer = Annotated[str | None, typer.Option("--consumer", help="with --all: name of the consumer")]
Yes = Annotated[bool, typer.Option("--yes", help="with --all: do not ask for confirmation")]
Reason = Annotated[str, typer.Option("--reason", help="recorded with your name; no patient data")]


@app.command("list")
def list_dead_letters(
    data_dir: DataDir = None,
    as_json: AsJson = False,
    everything: Annotated[bool, typer.Option("--all", help="include redriven and discarded ones")] = False,
) -> None:
    """List unresolved dead letters."""
    from cli.connections import run_with_bus
    from shared.messaging.dead_letters import read_all

    letters = [item[0] for item in run_with_bus(data_dir, read_all).values() if everything or item[0].waits]

    def show() -> None:
        history = ("state", "by", "reason given") * everything
        table = make_table("sequence", "consumer", "attempts", "reason", "subject", *history)
        for letter in letters:
            row = (str(letter.sequence), letter.consumer, str(letter.attempts), letter.reason, letter.subject)
            done = (f"{letter.state} {letter.at or ''}".strip(), letter.by or "", letter.why or "")
            table.add_row(*row, *(done * everything))
        print_table(table if letters else "There are no unresolved dead letters.")

    emit([asdict(letter) for letter in letters], as_json, show)


@app.command()
def show(sequence: Sequence, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show a dead letter with its original message."""
    from cli.connections import run_with_bus
    from shared.messaging.dead_letters import find, read_all

    letter, data, headers = find(run_with_bus(data_dir, read_all), sequence)
    original = {name: value for name, value in headers.items() if not name.startswith(("Nats-", "countersign-"))}
    body = data.decode(errors="replace")

    def show() -> None:
        for name, value in (asdict(letter) | original).items():
            print(f"{name:18}{'' if value is None else value}")
        print(body)

    emit(asdict(letter) | {"headers": original, "body": body}, as_json, show)


@app.command()
def redrive(
    sequence: OptionalSequence = None,
    everything: All = False,
    consumer: Consumer = None,
    yes: Yes = False,
    reason: Reason = "",
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Process a dead letter again: a case retries its failed step, any other message is published again."""
    from cli import dead_letters

    who = dead_letters.Attribution(actor_name(by), reason)
    _resolve("redrive", dead_letters.redrive, who, sequence, everything, consumer, yes, data_dir, as_json)


@app.command()
def discard(
    sequence: OptionalSequence = None,
    everything: All = False,
    consumer: Consumer = None,
    yes: Yes = False,
    reason: Reason = "",
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Mark a dead letter as never to be redriven. It stays on record; its case stays as it is."""
    from cli import dead_letters

    if not reason.strip():
        raise CommandError("Give the reason with --reason.")
    who = dead_letters.Attribution(actor_name(by), reason)
    _resolve("discard", dead_letters.discard, who, sequence, everything, consumer, yes, data_dir, as_json)


def _resolve(
    name: Literal["redrive", "discard"],
    resolve: "Resolve",
    who: "Attribution",
    sequence: int | None,
    everything: bool,
    consumer: str | None,
    yes: bool,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Redrive or discard one dead letter, or all of a consumer; exit with 1 when a service refuses one."""
    from cli.connections import run_with_bus

    if everything == (sequence is not None) or everything != (consumer is not None):
        raise CommandError("Name one dead letter, or all of a consumer: --all --consumer NAME.")
    if sequence is not None:
        done = run_with_bus(data_dir, lambda bus: _resolve_one(bus, resolve, sequence, who))
        emit({"sequence": sequence, "done": done}, as_json, done)
        return
    results = run_with_bus(data_dir, lambda bus: _resolve_all(bus, name, resolve, str(consumer), who, yes=yes))
    refused = [item for item in results if not item["ok"]]
    succeeded = len(results) - len(refused)

    def show() -> None:
        for item in refused:
            print(f"{item['sequence']}: {item['said']}")
        print(f"{succeeded} done, {len(refused)} refused")

    emit({"done": succeeded, "refused": refused}, as_json, show)
    if refused:
        raise typer.Exit(1)


async def _resolve_one(bus: "NatsConnection", resolve: "Resolve", sequence: int, who: "Attribution") -> str:
    from shared.messaging.dead_letters import read_all

    return await resolve(bus, await read_all(bus), sequence, who)


async def _resolve_all(
    bus: "NatsConnection", name: str, resolve: "Resolve", consumer: str, who: "Attribution", *, yes: bool
) -> list[dict[str, Any]]:
    from cli.dead_letters import resolve_each, unresolved
    from shared.messaging.dead_letters import read_all

    letters = await read_all(bus)
    sequences = unresolved(letters, consumer)
    if not sequences:
        return []
    # On a terminal only: a script that forgot --yes must not hang.
    if not yes and not typer.confirm(f"{name} {len(sequences)} dead letters of {consumer}?", err=True):
        raise CommandError("Nothing was done.")
    progress = track(sequences, description=name, console=stderr, transient=True)
    return [
        {"sequence": number, "said": answer, "ok": ok}
        async for number, answer, ok in resolve_each(bus, letters, sequences, resolve, who, progress)
    ]
