"""`countersign cases`: what is where."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from cli.client import open_api
from cli.commands.dead_letters import By, actor_name, run
from cli.stack.access import default_data_dir

app = typer.Typer(
    no_args_is_help=True, help="Look at cases; put a failed one back to work; take over what a restored trail lacks."
)
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="the stack's data directory")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout")]
CaseId = Annotated[str, typer.Argument(help="case id")]


def _get(data_dir: Path | None, path: str) -> Any:
    async def ask() -> Any:
        async with open_api(data_dir or default_data_dir(), "operator") as call:
            return await call("GET", path)

    return asyncio.run(ask())


def make_table(*columns: str) -> Table:
    table = Table(box=None, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


@app.command("list")
def list_cases(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Cases with recent events, latest first."""
    found = _get(data_dir, "/v1/cases")
    if as_json:
        print(json.dumps(found))
        return
    table = make_table("case", "department", "state", "last event", "time")
    for item in found["items"]:
        table.add_row(item["case_id"], item["department"], item["state"], item["last_event"], item["time"][:19])
    Console().print(table)
    _print_unreadable(found)


def _print_unreadable(found: dict[str, Any]) -> None:
    """What the trail has that cannot be read."""
    for item in found["unreadable"]:
        print(f"cannot be read: case {item['case_id']}, {item['event']}, sequence {item['sequence']}: {item['reason']}")


@app.command()
def show(case_id: CaseId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """One case: its state, owner and document."""
    found = _get(data_dir, f"/v1/cases/{case_id}")
    if as_json:
        print(json.dumps(found))
        return
    for name in ("case_id", "department", "state", "owner", "document_reference", "provenance"):
        print(f"{name:20}{found[name] or '-'}")
    for name in ("hold", "erasure"):
        if (ending := found.get(name)) is not None:  # none of an older server
            why = " ".join(filter(None, (ending["ground"], ending["reference"])))
            print(f"{name:20}{ending['time'][:19]} by {ending['by']}, {why}")
    print(f"{'events':20}{len(found['events'])}")
    _print_unreadable(found)


@app.command()
def history(case_id: CaseId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Every event of a case."""
    found = _get(data_dir, f"/v1/cases/{case_id}")
    if as_json:
        print(json.dumps(found["events"]))
        return
    table = make_table("time", "event", "actor", "digest")
    for event in found["events"]:
        table.add_row(event["time"][:23], event["event"], event["actor"], event["digest"][:16])
    Console().print(table)
    _print_unreadable(found)


@app.command()
def retry(case_id: CaseId, by: By = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Put a failed case back to its failed step, also when its dead letter was discarded."""
    from cli.dead_letters import Attribution, retry_case

    done = run(data_dir, lambda bus: retry_case(bus, case_id, Attribution(actor_name(by))))
    print(json.dumps({"case_id": case_id, "done": done}) if as_json else done)


@app.command()
def reimport(
    case_ids: Annotated[list[str] | None, typer.Argument(help="case ids; default: all that the chart has")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="do it; without, it is only said what would be done")] = False,
    reason: Annotated[
        str | None, typer.Option("--reason", help="with --yes: kept with your name; no patient data")
    ] = None,
    department: Annotated[
        str | None, typer.Option("--department", help="where cases belong that the trail does not know")
    ] = None,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """After a restore: take over from the chart what was signed and filed after the backup. Nobody signs again."""
    from cli.commands import reimport

    reimport.run(data_dir, case_ids or [], actor_name(by), reason, department, yes=yes, as_json=as_json)
