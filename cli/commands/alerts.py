"""`countersign alerts`: which alerts fire, from approval's API."""

import typer

from cli.client import call_api
from cli.options import AsJson, DataDir
from cli.output import emit, make_table, print_table

app = typer.Typer(no_args_is_help=True, help="Show which alerts fire, and where to act.")


@app.command("list")
def list_alerts(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the alerts that fire or are pending, the worst first. Fails where that cannot be known."""
    found = call_api(data_dir, "GET", "/v1/alerts")

    def show() -> None:
        table = make_table("alert", "severity", "state", "since", "summary", "runbook")
        for item in found["items"]:
            since = (item["since"] or "")[:19]
            summary = item["summary"] or item["meaning"]
            table.add_row(item["name"], item["severity"], item["state"], since, summary, item["runbook"])
        for title, names in (("does not have", "missing_rules"), ("cannot evaluate", "failing_rules")):
            if found[names]:
                print(f"Prometheus {title} these rules, so whether they fire is not known: {', '.join(found[names])}")
        print_table(table if found["items"] else "No alert fires.")

    emit(found, as_json, show)
