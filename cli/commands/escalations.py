"""`countersign escalations`: what happens to a review that nobody decides."""

import asyncio
import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from cli.client import open_api
from cli.commands.cases import make_table
from cli.stack.access import default_data_dir

app = typer.Typer(no_args_is_help=True, help="Look at escalations.")
DataDir = Annotated[Path | None, typer.Option("--data-dir", help="the stack's data directory")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout")]
CaseId = Annotated[str, typer.Argument(metavar="CASE", help="case id")]


@app.callback()
def escalations() -> None:
    """Look at escalations."""


@app.command()
def preview(case_id: CaseId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """What will happen when, whom it is told, by which kinds of channels."""
    found = asyncio.run(_get(data_dir or default_data_dir(), case_id))
    if as_json:
        print(json.dumps(found))
        return
    print(f"case {found['case_id']} of {found['department']} is {found['state']}, owner {found['owner'] or '-'}")
    table = make_table("level", "due", "", "told", "channels", "then")
    for item in found["items"]:
        then = "takes over, operators are alerted" if item["takes_over"] else "operators see a warning"
        table.add_row(
            str(item["level"]),
            item["due"][:19],
            item["standing"],
            ", ".join(item["tells"]),
            ", ".join(item["channels"]) or "-",
            then,
        )
    Console().print(table)


async def _get(data_dir: Path, case_id: str) -> Any:
    async with open_api(data_dir, "operator") as call:
        return await call("GET", f"/v1/reviews/{case_id}/escalations")
