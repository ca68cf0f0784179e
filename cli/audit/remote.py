"""`audit verify` and `audit access` of an installation that is reached by HTTP."""

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any

from cli.client import Api, run_with_api
from cli.errors import CommandError
from cli.output import progress_bar

POLL_INTERVAL_S = 1.0
PAGE = 500
RUNS = "/v1/audit/verifications"


def verify_by_http(data_dir: Path | None, case: str | None) -> dict[str, Any]:
    """Start a verification, or join the one that is running, and return it once it has ended. Raises CommandError."""

    async def work(call: Api) -> dict[str, Any]:
        run: dict[str, Any] = await call("POST", RUNS, json={"case_id": case})
        with progress_bar("events") as (progress, task):
            while run["state"] == "running":
                progress.update(task, completed=run["read"], total=run["total"])
                await asyncio.sleep(POLL_INTERVAL_S)
                run = await call("GET", f"{RUNS}/{run['id']}")
        return run

    return run_with_api(data_dir, work, role="auditor")


def print_run(run: dict[str, Any]) -> None:
    """Print a verification in the manner of `audit verify`."""
    for item in run["findings"]:
        where = f"case {item['case_id']}: " if item["case_id"] else ""
        event = f"event {item['event']} (sequence {item['sequence']}): " if item["event"] else ""
        print(f"{where}{event}{item['reason']}")
    if (more := run["finding_count"] - len(run["findings"])) > 0:
        print(f"{more} more findings are not kept")
    for reason in run["unchecked"]:
        print(f"not checked: {reason}")
    if run["case_id"]:
        print(f"only case {run['case_id']} was verified")
    if run["state"] != "finished":
        print(f"NOT VERIFIED: {run['state']}{': ' + run['error'] if run['error'] else ''}")
        return
    counts = f"{run['cases']} cases, {run['events']} events, {run['checkpoints']} checkpoints"
    print(f"{'verified' if run['verified'] else 'NOT VERIFIED'}: {counts}")


def search_access(data_dir: Path | None, criteria: dict[str, str | datetime | None], limit: int) -> dict[str, Any]:
    """Return up to `limit` entries, latest first; `next` is null where there are no more. Raises CommandError."""
    wanted = {name: _stated(value) for name, value in criteria.items() if value is not None}

    async def work(call: Api) -> dict[str, Any]:
        items: list[dict[str, Any]] = []
        following: dict[str, Any] = {}
        while True:
            params = wanted | following | {"limit": min(PAGE, limit - len(items))}
            page = await call("GET", "/v1/access", params=params)
            items += page["items"]
            if page["next"] is None or len(items) >= limit:
                return {"items": items, "next": page["next"]}
            following = {"after": page["next"]}

    return run_with_api(data_dir, work, role="auditor")


def _stated(value: str | datetime) -> str:
    if isinstance(value, str):
        return value
    try:
        return value.astimezone().isoformat()
    except (OverflowError, ValueError, OSError):  # in another zone it would be before the year 1 or after 9999
        raise CommandError(f"{value:%Y-%m-%d} is no date that a log can have.") from None
