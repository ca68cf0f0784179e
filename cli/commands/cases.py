"""`countersign cases`: list cases, show them, retry failed ones, reimport signed documents after a restore."""

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.client import call_api
from cli.options import AsJson, By, CaseId, DataDir, actor_name
from cli.output import emit, make_table, print_table

app = typer.Typer(no_args_is_help=True, help="Show cases, retry failed ones, reimport documents after a restore.")


def _get(data_dir: Path | None, path: str) -> Any:
    return call_api(data_dir, "GET", path)


@app.command("list")
def list_cases(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List the cases with the most recent events, latest first."""
    result = _get(data_dir, "/v1/cases")

    def show() -> None:
        table = make_table("case", "department", "state", "last event", "time")
        for item in result["items"]:
            table.add_row(item["case_id"], item["department"], item["state"], item["last_event"], item["time"][:19])
        print_table(table)
        _print_unreadable(result)

    emit(result, as_json, show)


def _print_unreadable(result: dict[str, Any]) -> None:
    """Print the events that cannot be read."""
    for item in result["unreadable"]:
        print(f"cannot be read: case {item['case_id']}, {item['event']}, sequence {item['sequence']}: {item['reason']}")


@app.command()
def show(case_id: CaseId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show the state, owner and document of a case."""
    result = _get(data_dir, f"/v1/cases/{case_id}")
    emit(result, as_json, lambda: _print_case(result))


def _print_case(case: dict[str, Any]) -> None:
    for name in ("case_id", "department", "state", "owner", "document_reference", "provenance"):
        print(f"{name:20}{case[name] or '-'}")
    for name in ("hold", "erasure"):
        if (entry := case.get(name)) is not None:  # an older server does not send them
            reason = " ".join(filter(None, (entry["ground"], entry["reference"])))
            print(f"{name:20}{entry['time'][:19]} by {entry['by']}, {reason}")
    print(f"{'events':20}{len(case['events'])}")
    _print_unreadable(case)


@app.command()
def history(case_id: CaseId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List every event of a case."""
    result = _get(data_dir, f"/v1/cases/{case_id}")

    def show() -> None:
        table = make_table("time", "event", "actor", "digest")
        for event in result["events"]:
            table.add_row(event["time"][:23], event["event"], event["actor"], event["digest"][:16])
        print_table(table)
        _print_unreadable(result)

    emit(result["events"], as_json, show)


@app.command()
def retry(case_id: CaseId, by: By = None, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Retry a failed case from its failed step, even if its dead letter was discarded."""
    from cli.connections import run_with_bus
    from cli.dead_letters import Attribution, retry_case

    done = run_with_bus(data_dir, lambda bus: retry_case(bus, case_id, Attribution(actor_name(by))))
    emit({"case_id": case_id, "done": done}, as_json, done)


@app.command()
def reimport(
    case_ids: Annotated[
        list[str] | None, typer.Argument(metavar="CASE...", help="case ids; default: every case found in the EHR")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="reimport; without it, only print what would be reimported")
    ] = False,
    reason: Annotated[
        str | None, typer.Option("--reason", help="required with --yes; recorded with your name; no patient data")
    ] = None,
    department: Annotated[
        str | None, typer.Option("--department", help="department of cases that have no events any more")
    ] = None,
    checkpoints: Annotated[
        Path | None,
        typer.Option("--checkpoints", help="folder with signed checkpoints of before the restore: names changed cases"),
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", help="Ed25519 public key of the checkpoints, PEM file")] = None,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Import what was signed and filed after the backup from the EHR, after a restore. Nobody signs again."""
    from cli.commands.reimport import run

    run(data_dir, case_ids or [], actor_name(by), reason, department, checkpoints, key, yes=yes, as_json=as_json)
