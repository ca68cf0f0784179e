"""`countersign topology` and `countersign schedules`: streams, consumers and recurring jobs, from approval's API."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cli.client import call_api
from cli.options import AsJson, DataDir
from cli.output import emit, make_table, print_table

TOPOLOGY, SCHEDULES = "/v1/topology", "/v1/schedules"
Service = Annotated[str | None, typer.Option("--service", help="only consumers of this service")]


def topology(service: Service = None, as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Show every consumer: messages pending and in flight, and workers that wait."""
    found = call_api(data_dir, "GET", TOPOLOGY)
    items = [item for item in found["consumers"] if service in (None, item["service"])]
    table = make_table("consumer", "state", "pending", "in flight", "redelivered", "workers waiting", "description")
    for item in items:
        figures = (str(item[name]) for name in ("pending", "in_flight", "redelivered", "workers_waiting"))
        table.add_row(item["name"], item["state"], *figures, item["description"])
    shown: Any = found | {"consumers": items}
    emit(shown, as_json, (lambda: print_table(table)) if items else f"there is no consumer of {service}")


def schedules(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Show the recurring jobs: when each runs next."""
    items = call_api(data_dir, "GET", SCHEDULES)["items"]
    table = make_table("job", "name", "service", "state", "next", "every", "description")
    for item in items:
        names = (item["job"], item["name"], item["service"], item["state"])
        table.add_row(*names, _time(item["next_at"]), item["every"], item["description"])
    emit(items, as_json, lambda: print_table(table))


def _time(text: str | None) -> str:
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M} UTC" if text else ""
