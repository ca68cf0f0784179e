"""`countersign webhooks`: endpoints of other systems that get case events."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from cli.client import call_api
from cli.errors import CommandError
from cli.options import AsJson, DataDir
from cli.output import emit, make_table, print_table

PATH = "/v1/webhooks"
NOT_SHOWN_AGAIN = "It is not shown again."

app = typer.Typer(no_args_is_help=True, help="Register, test and repair webhooks: endpoints that get case events.")
Id = Annotated[str, typer.Argument(metavar="WEBHOOK", help="id of the webhook, from `webhooks list`")]
Types = Annotated[list[str] | None, typer.Option("--type", help="event such as approved; repeatable; default: all")]
Departments = Annotated[list[str] | None, typer.Option("--department", help="repeatable; default: all")]
Description = Annotated[str | None, typer.Option("--description", help="what it is for; no patient data")]


@app.command("list")
def list_webhooks(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """List the webhooks, the oldest first."""
    items = call_api(data_dir, "GET", PATH)["items"]
    table = make_table("webhook", "state", "url", "events", "departments", "description")
    table.columns[0].no_wrap = True  # what is copied into the next command
    for item in items:
        names = (", ".join(item[name]) or "all" for name in ("types", "departments"))
        table.add_row(item["id"], _state(item), item["url"], *names, item["description"])
    emit(items, as_json, (lambda: print_table(table)) if items else "there is no webhook")


def _state(item: dict[str, Any]) -> str:
    if not item["enabled"]:
        return f"disabled ({item['disabled_because']})"
    return f"failing since {item['failing_since'][:19]}" if item["failing_since"] else "enabled"


@app.command()
def add(
    url: Annotated[str, typer.Argument(metavar="URL", help="https; plain http only inside of the hospital")],
    types: Types = None,
    departments: Departments = None,
    description: Description = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Register an endpoint for the events from now on, and print its signing secret."""
    body = {"url": url, "types": types or [], "departments": departments or [], "description": description or ""}
    found = call_api(data_dir, "POST", PATH, json=body)
    emit(found, as_json, f"webhook  {found['id']}\nsecret   {found['secret']}\n{NOT_SHOWN_AGAIN}")


@app.command("show")
def show_webhook(webhook: Id, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Show one webhook."""
    _print(call_api(data_dir, "GET", _path(webhook)), as_json)


@app.command()
def change(
    webhook: Id,
    url: Annotated[str | None, typer.Option("--url", help="another URL")] = None,
    types: Types = None,
    departments: Departments = None,
    description: Description = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Change what is given."""
    given = {"url": url, "types": types, "departments": departments, "description": description}
    body = {name: value for name, value in given.items() if value not in (None, [])}
    if not body:
        raise CommandError("Give what changes: --url, --type, --department or --description.")
    _print(call_api(data_dir, "PATCH", _path(webhook), json=body), as_json)


@app.command()
def enable(webhook: Id, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Send events again, from now on."""
    _print(call_api(data_dir, "PATCH", _path(webhook), json={"enabled": True}), as_json)


@app.command()
def disable(webhook: Id, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Send nothing more. Deliveries that wait become dead letters."""
    _print(call_api(data_dir, "PATCH", _path(webhook), json={"enabled": False}), as_json)


@app.command()
def remove(webhook: Id, data_dir: DataDir = None, as_json: AsJson = False) -> None:
    """Remove a webhook. Deliveries that wait are dropped."""
    call_api(data_dir, "DELETE", _path(webhook))
    emit({"id": webhook, "removed": True}, as_json, f"webhook {webhook} is removed")


@app.command("test")
def send_test(webhook: Id, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Send a test event now, and print how the endpoint answers."""
    found = call_api(data_dir, "POST", f"{_path(webhook)}/test")
    answer = found["reason"] or f"HTTP {found['status']}"
    emit(found, as_json, f"{'delivered' if found['delivered'] else 'failed'}: {answer}, {found['seconds']:.3f} s")
    if not found["delivered"]:
        raise typer.Exit(1)


@app.command()
def rotate(webhook: Id, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Print a new signing secret. The one before signs beside it for a day."""
    found = call_api(data_dir, "POST", f"{_path(webhook)}/secret")
    until = found["secrets"][1]["valid_until"][:19]
    emit(found, as_json, f"secret   {found['secret']}\n{NOT_SHOWN_AGAIN} The one before is valid until {until}.")


@app.command()
def deliveries(
    webhook: Id,
    limit: Annotated[int, typer.Option("--limit", min=1, max=200, help="number of attempts")] = 50,
    after: Annotated[str | None, typer.Option("--after", help="cursor that the list before ended with")] = None,
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """List the last attempts, the latest first."""
    params = {"limit": limit} | ({"after": after} if after else {})
    found = call_api(data_dir, "GET", f"{_path(webhook)}/deliveries", params=params)
    items = found["items"]
    table = make_table("time", "delivery", "event", "sequence", "outcome", "reason")
    table.columns[1].no_wrap = True
    for item in items:
        row = (item["at"][:19], item["id"], item["event"], str(item["sequence"]), item["outcome"])
        table.add_row(*row, item["reason"] or f"HTTP {item['status']}")

    def show() -> None:
        print_table(table)
        if found.get("next"):  # an older server does not send it
            print(f"There are more. The next ones: --after {found['next']}")

    emit(items, as_json, show if items else "nothing was sent yet")


@app.command()
def redeliver(
    webhook: Id,
    delivery: Annotated[str, typer.Argument(metavar="DELIVERY", help="from `webhooks deliveries`")],
    as_json: AsJson = False,
    data_dir: DataDir = None,
) -> None:
    """Send a delivery again, with the same id."""
    found = call_api(data_dir, "POST", f"{_path(webhook)}/deliveries/{quote(delivery, safe='')}/redeliver")
    emit(found, as_json, f"delivery {delivery} is sent again")


def _path(webhook: str) -> str:
    return f"{PATH}/{quote(webhook, safe='')}"


def _print(found: dict[str, Any], as_json: bool) -> None:
    def show() -> None:
        print(f"webhook      {found['id']}, {_state(found)}")
        print(f"url          {found['url']}")
        print(f"events       {', '.join(found['types']) or 'all'}")
        print(f"departments  {', '.join(found['departments']) or 'all'}")
        print(f"description  {found['description'] or '-'}")
        print(f"registered   {found['created_at'][:19]} by {found['created_by']}")
        for item in found["secrets"]:
            until = f", valid until {item['valid_until'][:19]}" if item["valid_until"] else ""
            print(f"secret       of {item['created_at'][:19]}{until}")

    emit(found, as_json, show)
