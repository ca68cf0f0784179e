"""`countersign models`: every model in use, in one list."""

import typer

from cli.client import call_api
from cli.options import AsJson, DataDir
from cli.output import emit, make_table, print_table

SHOWN = 12  # characters of a digest

app = typer.Typer(no_args_is_help=True, help="Show every model in use: what drafts each document, what embeds.")


@app.command("list")
def list_models(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List what drafts each kind of document and what embeds the knowledge base, since when, by whom and why."""
    items = call_api(data_dir, "GET", "/v1/models")["items"]

    def show() -> None:
        table = make_table("task", "of", "model", "state", "version", "since", "by", "reason")
        for item in items:
            state = f"{item['state']} {item['share']:.0%}" if item["share"] is not None else item["state"]
            of = item["document"] or "knowledge base"
            since = item["since"][:16].replace("T", " ")
            table.add_row(
                *(item["task"], of, item["model"], state, item["version"][:SHOWN], since, item["by"], item["reason"])
            )
        print_table(table if items else "no model is in use yet")

    emit(items, as_json, show)
