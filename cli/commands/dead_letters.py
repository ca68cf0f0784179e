"""`countersign dead-letters`: list messages that no retry could handle, redrive or discard them.

Modules that connect to a stack are imported when a command runs, so that `--help` stays fast.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import typer

from cli.contexts import active_context
from cli.errors import CommandError
from cli.options import AsJson, By, DataDir, actor_name, ensure_by_is_unset
from cli.output import emit, make_table, print_table, progress_bar
from cli.times import parse_time

if TYPE_CHECKING:
    from cli.dead_letters import DeadLetterClient, Result
    from services.approval.operations.selection import Selection

T = TypeVar("T")
Action = Literal["redrive", "discard"]

app = typer.Typer(no_args_is_help=True, help="List dead letters, redrive or discard them.")
Sequence = Annotated[int, typer.Argument(help="sequence in the DEADLETTER stream, as printed by `list`")]
OptionalSequence = Annotated[int | None, typer.Argument(help="sequence in the DEADLETTER stream, as printed by `list`")]
All = Annotated[bool, typer.Option("--all", help="all unresolved dead letters that the filters select")]
Consumer = Annotated[str | None, typer.Option("--consumer", help="name of the consumer that gave up")]
Stream = Annotated[str | None, typer.Option("--stream", help="stream of the message that failed")]
FailedWith = Annotated[str | None, typer.Option("--failed-with", help="part of the failure's reason")]
Since = Annotated[str | None, typer.Option("--since", help="dead-lettered since: RFC 3339, or 90m, 2h, 7d before now")]
Before = Annotated[str | None, typer.Option("--before", help="dead-lettered before: RFC 3339, or 90m, 2h, 7d ago")]
Yes = Annotated[bool, typer.Option("--yes", help="with --all: do not ask for confirmation")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="only print what would be done")]
Reason = Annotated[str, typer.Option("--reason", help="recorded with your name; no patient data")]


@app.command("list")
def list_dead_letters(
    data_dir: DataDir = None,
    as_json: AsJson = False,
    everything: Annotated[bool, typer.Option("--all", help="include redriven and discarded ones")] = False,
    consumer: Consumer = None,
    stream: Stream = None,
    failed_with: FailedWith = None,
    since: Since = None,
    before: Before = None,
) -> None:
    """List unresolved dead letters."""
    wanted = replace(_selection(consumer, stream, failed_with, since, before), state="all" if everything else "waiting")
    letters = _run(data_dir, None, lambda client: client.find(wanted))

    def show() -> None:
        history = ("state", "by", "reason given") * everything
        table = make_table("sequence", "consumer", "attempts", "reason", "subject", *history)
        for letter in letters:
            row = (str(letter["sequence"]), letter["consumer"], str(letter["attempts"]), letter["reason"])
            done = (f"{letter['state']} {letter['at'] or ''}".strip(), letter["by"] or "", letter["why"] or "")
            table.add_row(*row, letter["subject"], *(done * everything))
        print_table(table if letters else "There are no unresolved dead letters.")

    emit(letters, as_json, show)


@app.command()
def show(sequence: Sequence, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show a dead letter: with its original message, or by HTTP with the size and the digest of the message."""
    found = _run(data_dir, None, lambda client: client.get(sequence))

    def show() -> None:
        values = {name: value for name, value in found.items() if name not in ("headers", "body")}
        for name, value in (values | found["headers"]).items():
            print(f"{name:18}{'' if value is None else value}")
        if "body" in found:
            print(found["body"])

    emit(found, as_json, show)


@app.command()
def redrive(
    sequence: OptionalSequence = None,
    everything: All = False,
    consumer: Consumer = None,
    stream: Stream = None,
    failed_with: FailedWith = None,
    since: Since = None,
    before: Before = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    reason: Reason = "",
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Process a dead letter again: a case retries its failed step, any other message is published again."""
    which = _selection(consumer, stream, failed_with, since, before)
    order = _Order("redrive", reason, by, data_dir, dry_run=dry_run, yes=yes, as_json=as_json)
    _act(order, sequence, which, everything=everything)


@app.command()
def discard(
    sequence: OptionalSequence = None,
    everything: All = False,
    consumer: Consumer = None,
    stream: Stream = None,
    failed_with: FailedWith = None,
    since: Since = None,
    before: Before = None,
    yes: Yes = False,
    dry_run: DryRun = False,
    reason: Reason = "",
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Mark a dead letter as never to be redriven. It stays on record; its case stays as it is."""
    which = _selection(consumer, stream, failed_with, since, before)
    order = _Order("discard", reason, by, data_dir, dry_run=dry_run, yes=yes, as_json=as_json)
    _act(order, sequence, which, everything=everything)


@dataclass(frozen=True, slots=True)
class _Order:
    """What to do, for whom, and how to print it."""

    action: Action
    reason: str
    by: str | None
    data_dir: Path | None
    dry_run: bool
    yes: bool
    as_json: bool


def _act(order: _Order, sequence: int | None, which: "Selection", *, everything: bool) -> None:
    """Redrive or discard one dead letter, or all that the filters select; exit with 1 when a service refuses one."""
    filtered = any((which.consumer, which.stream, which.reason, which.since, which.before))
    if everything == (sequence is not None) or everything != filtered:
        raise CommandError("Name one dead letter, or all of a filter: --all --consumer NAME.")
    # The command on NATS has always redriven without a reason. The API requires one for each change.
    if not order.reason.strip() and (order.action == "discard" or active_context(order.data_dir) is not None):
        raise CommandError("Give the reason with --reason.")
    if sequence is not None:
        done = _run(
            order.data_dir,
            order.by,
            lambda client: client.act(order.action, sequence, order.reason, dry_run=order.dry_run),
        )
        emit({"sequence": sequence, "done": done}, order.as_json, done)
        return
    _print_results(order, _run(order.data_dir, order.by, lambda client: _act_on_all(client, order, which)))


def _print_results(order: _Order, results: "list[Result]") -> None:
    refused = [{"sequence": item.sequence, "said": item.said, "ok": False} for item in results if not item.ok]
    planned = [{"sequence": item.sequence, "said": item.said} for item in results if item.ok and order.dry_run]
    succeeded = len(results) - len(refused)

    def show() -> None:
        for item in (*planned, *refused):
            print(f"{item['sequence']}: {item['said']}")
        print(f"{succeeded} {'would be done' if order.dry_run else 'done'}, {len(refused)} refused")

    result: dict[str, Any] = {"done": succeeded, "refused": refused}
    emit(result | ({"dry_run": True, "planned": planned} if order.dry_run else {}), order.as_json, show)
    if refused:
        raise typer.Exit(1)


async def _act_on_all(client: "DeadLetterClient", order: _Order, which: "Selection") -> "list[Result]":
    letters = await client.find(which)
    if not letters:
        return []
    what = f"{order.action} {len(letters)} dead letters{f' of {which.consumer}' if which.consumer else ''}?"
    # On a terminal only: a script that forgot --yes must not hang.
    if not order.yes and not order.dry_run and not typer.confirm(what, err=True):
        raise CommandError("Nothing was done.")
    shown = replace(which, up_to=letters[-1]["sequence"])  # and none that arrived since
    with progress_bar(order.action) as (progress, task):
        progress.update(task, total=len(letters))
        return await client.act_on_all(
            order.action, shown, order.reason, lambda count: progress.advance(task, count), dry_run=order.dry_run
        )


def _selection(
    consumer: str | None, stream: str | None, failed_with: str | None, since: str | None, before: str | None
) -> "Selection":
    from services.approval.operations.selection import Selection

    now = datetime.now(UTC)
    return Selection(
        stream=stream,
        consumer=consumer,
        reason=failed_with,
        since=parse_time(since, "--since", now),
        before=parse_time(before, "--before", now),
    )


def _run(data_dir: Path | None, by: str | None, work: "Callable[[DeadLetterClient], Awaitable[T]]") -> T:
    """Run `work` with the dead letters of the active context, else with those of a stack whose NATS can be reached."""
    from cli.dead_letters import BusDeadLetters, HttpDeadLetters

    if active_context(data_dir) is not None:
        from cli.client import run_with_api

        ensure_by_is_unset(by)
        return run_with_api(data_dir, lambda call: work(HttpDeadLetters(call)))
    from cli.connections import run_with_bus

    return run_with_bus(data_dir, lambda bus: work(BusDeadLetters(bus, actor_name(by))))
