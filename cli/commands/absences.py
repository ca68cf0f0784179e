"""`countersign absences`: who covers for whom while an attending physician is away."""

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote

import typer

from cli.client import call_api
from cli.options import AsJson, DataDir
from cli.output import emit, make_table, print_table
from cli.times import parse_time

PATH = "/v1/absences"

app = typer.Typer(
    no_args_is_help=True, help="Set and remove absences: who gets the reviews of a physician who is away."
)
TIME = "RFC 3339, in UTC unless it has an offset"


@app.command("list")
def list_absences(
    department: Annotated[str | None, typer.Option("--department", help="only this one")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List absences; those that ended are kept for 90 days."""
    query = {"department": department} if department else {}
    items = call_api(data_dir, "GET", PATH, params=query)["items"]
    table = make_table("absence", "department", "away", "covered by", "from", "until", "state", "set by")
    table.columns[0].no_wrap = True  # what is copied into the next command
    for item in items:
        period = (item["starts_at"][:16], item["ends_at"][:16])
        people = (item["absent"], item["cover"])
        table.add_row(item["id"], item["department"], *people, *period, item["state"], item["created_by"])
    emit(items, as_json, (lambda: print_table(table)) if items else "there is no absence")


@app.command()
def add(
    absent: Annotated[str, typer.Argument(metavar="PRACTITIONER", help="who is away: Practitioner/ID")],
    cover: Annotated[str, typer.Option("--cover", help="who gets the reviews: Practitioner/ID")],
    department: Annotated[str, typer.Option("--department")],
    until: Annotated[str, typer.Option("--until", help=f"{TIME}; from then on reviews go to the attending again")],
    starts: Annotated[str | None, typer.Option("--from", help=f"{TIME}; default: now")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Set an absence. Reviews that are open already stay with their owner."""
    now = datetime.now(UTC)
    begin, end = parse_time(starts, "--from", now) or now, parse_time(until, "--until", now)
    body = {
        "department": department,
        "absent": absent,
        "cover": cover,
        "starts_at": begin.isoformat(),
        "ends_at": end.isoformat() if end else until,
    }
    found = call_api(data_dir, "POST", PATH, json=body)
    emit(found, as_json, f"absence  {found['id']}\n{found['absent']}: new reviews go to {found['cover']}")


@app.command()
def remove(
    absence: Annotated[str, typer.Argument(metavar="ABSENCE", help="id of the absence, from `absences list`")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """End an absence now. Reviews that the cover has got stay with the cover."""
    found = call_api(data_dir, "DELETE", f"{PATH}/{quote(absence, safe='')}")
    emit(found, as_json, f"{found['state']}: new reviews go to {found['absent']} again")
