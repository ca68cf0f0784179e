"""`countersign deadletter`: what could not be handled, and how it is put back to work."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table

from cli.client import bus
from cli.errors import CommandError
from cli.stack.embedded import default_data_dir
from shared.contracts.case import fold
from shared.contracts.events import Actor, Retried
from shared.contracts.subjects import derived_id, parse_case_subject
from shared.messaging.connection import Bus
from shared.messaging.journal import Conflict, Journal

app = typer.Typer(no_args_is_help=True, help="Look at dead letters and put them back to work.")
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="the stack's data directory")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout")]
Sequence = Annotated[int, typer.Argument(help="sequence in the DEADLETTER stream, as `list` shows it")]

BATCH = 1000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One message that no retry mended."""

    sequence: int
    consumer: str
    subject: str
    reason: str
    attempts: int
    stream: str
    redriven: bool = False


def _run(data_dir: Path | None, work: Callable[[Bus], Coroutine[Any, Any, T]]) -> T:
    async def connected() -> T:
        async with bus(data_dir or default_data_dir(), "operator") as connection:
            return await work(connection)

    return asyncio.run(connected())


async def read_all(connection: Bus) -> dict[int, tuple[DeadLetter, bytes, dict[str, str]]]:
    """Every dead letter by sequence, with its body and the headers it came with."""
    found: dict[int, tuple[DeadLetter, bytes, dict[str, str]]] = {}
    redriven: set[int] = set()
    start = 1
    while True:
        query = {"seq": start, "next_by_subj": "deadletter.>", "batch": BATCH}
        page = await connection.direct_get("DEADLETTER", query)
        for message in page:
            headers = dict(message.headers or {})
            sequence = int(headers["Nats-Sequence"])
            start = sequence + 1
            if headers["Nats-Subject"].startswith("deadletter.redriven."):
                redriven.add(int(headers["Nats-Subject"].rpartition(".")[2]))
            else:
                found[sequence] = (_read(sequence, headers), message.data, headers)
        if len(page) < BATCH:
            break
    for sequence in redriven & found.keys():
        letter, data, headers = found[sequence]
        found[sequence] = (DeadLetter(**asdict(letter) | {"redriven": True}), data, headers)
    return found


def _read(sequence: int, headers: dict[str, str]) -> DeadLetter:
    return DeadLetter(
        sequence=sequence,
        consumer=headers["Nats-Subject"].rpartition(".")[2],
        subject=headers.get("countersign-subject", ""),
        reason=headers.get("countersign-reason", ""),
        attempts=int(headers.get("countersign-attempts", "0")),
        stream=headers.get("countersign-stream", ""),
    )


@app.command("list")
def list_letters(
    data_dir: DataDir = None,
    as_json: AsJson = False,
    everything: Annotated[bool, typer.Option("--all", help="also those that were put back to work")] = False,
) -> None:
    """Dead letters that wait for somebody."""
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
    letter, data, headers = _one(_run(data_dir, read_all), sequence)
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

    async def work(connection: Bus) -> str:
        letter, data, headers = _one(await read_all(connection), sequence)
        if letter.redriven:
            raise CommandError(f"Dead letter {sequence} was put back to work before.")
        done = await redrive_one(connection, letter, data, headers)
        marker = f"deadletter.redriven.{sequence}"
        await connection.publish(marker, b"", stream="DEADLETTER", id=f"redriven-{sequence}")
        return done

    done = _run(data_dir, work)
    print(json.dumps({"sequence": sequence, "done": done}) if as_json else done)


def _one(
    letters: dict[int, tuple[DeadLetter, bytes, dict[str, str]]], sequence: int
) -> tuple[DeadLetter, bytes, dict[str, str]]:
    if sequence not in letters:
        raise CommandError(f"There is no dead letter {sequence}.")
    return letters[sequence]


async def redrive_one(connection: Bus, letter: DeadLetter, data: bytes, headers: dict[str, str]) -> str:
    """Do it; returns what was done in words."""
    if letter.stream != "DISCHARGE":
        kept = {name: value for name, value in headers.items() if not name.startswith(("Nats-", "countersign-"))}
        id = derived_id(f"DEADLETTER/{letter.sequence}", "redriven")
        await connection.publish(letter.subject, data, stream=letter.stream, headers=kept, id=id)
        return f"published again on {letter.subject}"
    journal = Journal(connection, "operator")
    case_ref, _ = parse_case_subject(letter.subject)
    history = await journal.history(case_ref)
    case = fold(history)
    if case.failure is None:
        raise CommandError(f"Case {case_ref.id} is {case.state}: there is nothing to put back.")
    event = Retried(step=case.failure.step, by=Actor(subject="operator", role="operator"))
    id = derived_id(f"DEADLETTER/{letter.sequence}", event.event)
    try:
        await journal.append(case_ref, event, after=case.head, id=id, time=datetime.now(UTC))
    except Conflict:
        raise CommandError(f"Case {case_ref.id} changed just now: look at it again.") from None
    return f"case {case_ref.id} tries {case.failure.step} again"
