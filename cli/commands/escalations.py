"""`countersign escalations`: what happens to a review that nobody decides."""

import typer

from cli.client import call_api
from cli.options import AsJson, CaseId, DataDir
from cli.output import emit, make_table, print_table

app = typer.Typer(no_args_is_help=True, help="Preview the escalations of a review.")


@app.callback()
def escalations() -> None:
    """Preview the escalations of a review."""


@app.command()
def preview(case_id: CaseId, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Show when each escalation level is due, who is notified and through which channels."""
    result = call_api(data_dir, "GET", f"/v1/reviews/{case_id}/escalations")

    def show() -> None:
        owner = result["owner"] or "-"
        print(f"case {result['case_id']}, department {result['department']}: {result['state']}, owner {owner}")
        for item in result["away"]:
            print(f"{item['absent']} is away until {item['until'][:19]}: new reviews go to {item['cover']}")
        table = make_table("level", "due", "", "notified", "channels", "then")
        for item in result["items"]:
            then = "supervisor takes over, alert to operators" if item["takes_over"] else "warning to operators"
            level, due, channels = str(item["level"]), item["due"][:19], ", ".join(item["channels"]) or "-"
            table.add_row(level, due, item["standing"], ", ".join(item["tells"]), channels, then)
        print_table(table)

    emit(result, as_json, show)
