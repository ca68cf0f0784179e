"""`countersign knowledge`: roll back, promote what was held back, pin, unpin, and who did so."""

from typing import Annotated, Any

import typer

from cli.client import call_api
from cli.errors import CommandError
from cli.options import AsJson, DataDir
from cli.output import emit, make_table, print_table

app = typer.Typer()
Reason = Annotated[str, typer.Option("--reason", help="why; recorded with your name")]


@app.command()
def rollback(
    to: Annotated[int, typer.Option("--to", help="version to make live")],
    reason: Reason = "",
    pin: Annotated[bool, typer.Option("--pin", help="pin it too; needs --reason")] = False,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Make an earlier version live again."""
    if pin and not reason.strip():
        raise CommandError("A pin needs a reason: --reason TEXT.")
    body: dict[str, Any] = {"to": to} | ({"reason": reason} if reason else {}) | ({"pin": True} if pin else {})
    found = call_api(data_dir, "POST", "/v1/knowledge/rollback", json=body)
    emit(found, as_json, f"version {found['version']} is live again{' and pinned' if pin else ''}")


@app.command()
def promote(
    version: Annotated[int, typer.Argument(min=1, help="version that was held back")],
    reason: Reason,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Make a version live that the evaluation has held back."""
    found = call_api(data_dir, "POST", "/v1/knowledge/promote", json={"version": version, "reason": reason})
    emit(found, as_json, f"version {found['version']} is live")


@app.command()
def pin(
    reason: Reason,
    version: Annotated[int | None, typer.Option("--version", min=1, help="refuse if another one is live")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Keep the live version live: refreshes are evaluated, and held back until it is unpinned."""
    if version is None:
        live = call_api(data_dir, "GET", "/v1/knowledge")["live"]
        if live is None:
            raise CommandError("No version is live.")
        version = live["version"]
    found = call_api(data_dir, "POST", "/v1/knowledge/pin", json={"version": version, "reason": reason})
    emit(found, as_json, f"version {found['version']} is pinned")


@app.command()
def unpin(reason: Reason, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Let refreshes go live again."""
    found = call_api(data_dir, "POST", "/v1/knowledge/unpin", json={"reason": reason})
    emit(found, as_json, f"version {found['version']} is not pinned")


@app.command("moves", hidden=True, deprecated=True)  # the name until 0.2
@app.command("live-history")
def live_history(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List who rolled back, promoted, pinned and unpinned, newest first."""
    found = call_api(data_dir, "GET", "/v1/knowledge/moves")
    emit(found, as_json, lambda: _print_moves(found["items"]))


def _print_moves(items: list[dict[str, Any]]) -> None:
    table = make_table("time", "by", "action", "version", "before", "reason")
    for item in items:
        action = f"{item['action']}, pinned" if item["pinned"] and item["action"] == "rolled-back" else item["action"]
        before = str(item["previous"] or "-")
        table.add_row(item["time"][:19], item["by"], action, str(item["version"]), before, item["reason"])
    print_table(table)
