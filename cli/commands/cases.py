"""`countersign cases`: list cases, show them, retry or withdraw them, reimport signed documents after a restore."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli.client import call_api
from cli.contexts import active_context
from cli.errors import CommandError
from cli.options import AsJson, By, CaseId, DataDir, actor_name, ensure_by_is_unset
from cli.output import emit, make_table, print_table
from cli.times import parse_time

CASES_LIMIT = UNFILED_LIMIT = 200  # of the API

app = typer.Typer(no_args_is_help=True, help="Show cases, retry or withdraw them, reimport documents after a restore.")


def _get(data_dir: Path | None, path: str, params: dict[str, Any] | None = None) -> Any:
    return call_api(data_dir, "GET", path, params=params)


@app.command("list")
def list_cases(
    data_dir: DataDir = None,
    as_json: AsJson = False,
    state: Annotated[
        list[str] | None, typer.Option("--state", help="such as failed or awaiting-review; may be repeated")
    ] = None,
    department: Annotated[str | None, typer.Option("--department", help="token of the department")] = None,
    owner: Annotated[str | None, typer.Option("--owner", help="FHIR reference, such as Practitioner/DR-7")] = None,
    encounter: Annotated[str | None, typer.Option("--encounter", help="FHIR id of the encounter")] = None,
    patient: Annotated[
        str | None, typer.Option("--patient", help="FHIR id of the patient, for auditors and clinicians")
    ] = None,
    since: Annotated[
        str | None, typer.Option("--since", help="last event since: RFC 3339, or 90m, 2h, 7d before now")
    ] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=CASES_LIMIT, help="cases at most")] = 50,
    after: Annotated[str | None, typer.Option("--after", help="cursor that the list before ended with")] = None,
) -> None:
    """List cases, the one with the latest event first."""
    at = parse_time(since, "--since", datetime.now(UTC))
    wanted = {
        "state": state,
        "department": department,
        "owner": owner,
        "encounter": encounter,
        "since": at.isoformat() if at is not None else None,
        "after": after,
        "limit": limit,
    }
    given = {name: value for name, value in wanted.items() if value is not None}
    if patient is None:
        result = _get(data_dir, "/v1/cases", given)
    else:  # in the body: it does not belong in a URL
        result = call_api(data_dir, "POST", "/v1/cases/search", role="auditor", json=given | {"patient": patient})

    def show() -> None:
        table = make_table("case", "department", "state", "last event", "time")
        for item in result["items"]:
            table.add_row(item["case_id"], item["department"], item["state"], item["last_event"], item["time"][:19])
        print_table(table if result["items"] else "There are no such cases.")
        _print_unreadable(result)
        if result.get("next"):  # an older server does not send it
            print(f"There are more. The next ones: --after {result['next']}")
        if not result.get("complete", True):
            print("The service is still reading the events, as it does after a start: cases may be missing.")

    emit(result, as_json, show)


def _print_unreadable(result: dict[str, Any]) -> None:
    """Print the events that cannot be read."""
    for item in result["unreadable"]:
        print(f"cannot be read: case {item['case_id']}, {item['event']}, sequence {item['sequence']}: {item['reason']}")


@app.command()
def show(case_id: CaseId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show the state, owner and document of a case."""
    result = _get(data_dir, f"/v1/cases/{quote(case_id, safe='')}")
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
    result = _get(data_dir, f"/v1/cases/{quote(case_id, safe='')}")

    def show() -> None:
        table = make_table("time", "event", "actor", "digest", "reason")
        for event in result["events"]:
            reason = event.get("reason") or ""  # an older server does not send it
            table.add_row(event["time"][:23], event["event"], event["actor"], event["digest"][:16], reason)
        print_table(table)
        _print_unreadable(result)

    emit(result["events"], as_json, show)


@app.command()
def retry(
    case_id: CaseId,
    reason: Annotated[
        str | None, typer.Option("--reason", help="why it will work now; recorded with your name; no patient data")
    ] = None,
    by: By = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Retry a failed case from its failed step, even if its dead letter was discarded."""
    if active_context(data_dir) is not None or reason is not None:
        ensure_by_is_unset(by)
        body = {"reason": reason} if reason is not None else None
        done = call_api(data_dir, "POST", f"/v1/cases/{quote(case_id, safe='')}/retry", json=body)["detail"]
    else:
        from cli.connections import run_with_bus
        from cli.dead_letters import Attribution, retry_case

        done = run_with_bus(data_dir, lambda bus: retry_case(bus, case_id, Attribution(actor_name(by))))
    emit({"case_id": case_id, "done": done}, as_json, done)


@app.command()
def reassign(
    case_id: CaseId,
    to: Annotated[str, typer.Option("--to", help="new owner of the review, such as Practitioner/DR-7")],
    reason: Annotated[str, typer.Option("--reason", help="recorded with your name; no patient data")],
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Give an open review to another person. This restarts its escalation delays and sets its timers again."""
    result = call_api(
        data_dir, "POST", f"/v1/reviews/{quote(case_id, safe='')}/reassign", json={"to": to, "reason": reason}
    )
    emit(result, as_json, f"The review of case {case_id} belongs to {to} now.")


@app.command()
def withdraw(
    case_id: CaseId,
    reason: Annotated[str, typer.Option("--reason", help="why no document is needed; no patient data")],
    yes: Annotated[bool, typer.Option("--yes", help="do not ask for confirmation")] = False,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """End a case that nobody has signed: a discharge entered in error, a test patient, a failure nobody will repair."""
    path = f"/v1/cases/{quote(case_id, safe='')}"
    if not yes:
        found = call_api(data_dir, "GET", path)
        if not typer.confirm(f"Withdraw case {case_id} ({found['department']}, {found['state']})?", err=True):
            raise CommandError("Nothing was done.")
    result = call_api(data_dir, "POST", f"{path}/withdraw", json={"reason": reason})
    emit(result, as_json, f"Case {case_id} is withdrawn.")


@app.command()
def unfiled(data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """List signed documents that are not in the chart, oldest first, and why."""
    result = call_api(data_dir, "GET", "/v1/unfiled", params={"limit": UNFILED_LIMIT})

    def show() -> None:
        table = make_table("case", "department", "signed", "reason", "since", "detail")
        for item in result["items"]:
            row = (item["case_id"], item["department"], item["signed"], item["reason"], item["since"][:19])
            table.add_row(*row, item["detail"])
        print_table(table if result["items"] else "Every signed document is in the chart.")
        if result["total"] > len(result["items"]):
            print(f"These are the {len(result['items'])} oldest of {result['total']}.")

    emit(result, as_json, show)


@app.command("file")
def file_now(case_id: CaseId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """File the signed document of a case now: one that is held, or that waits for its next attempt."""
    result = call_api(data_dir, "POST", f"/v1/cases/{quote(case_id, safe='')}/filing/retry")
    emit(result, as_json, f"The document of case {case_id} is filed again.")


@app.command("confirm-transfer")
def confirm_transfer(case_id: CaseId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Confirm that you transferred the signed document of a case to the chart by hand. Your name is recorded."""
    result = call_api(data_dir, "POST", f"/v1/cases/{quote(case_id, safe='')}/filing/confirm")
    emit(result, as_json, f"Case {case_id} is {result['state']}: you confirmed the transfer.")


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
