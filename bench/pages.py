"""`make bench-pages`: how long each role's pages take with 100,000 cases on the trail, and what approval's start takes.

A real nats-server with the events, the access log and the dead letters of the cases; approval and the evaluator as
processes; pages by HTTP, one after the other, with nothing else to do. Exits with 1 where the 95th percentile of a
page is over LIMIT_MS.
"""

import asyncio
import json
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import httpx
import psutil
import typer
import uvloop
from rich.console import Console
from rich.table import Table

from bench.pages_server import SYNC_WHILE_PUBLISHING, Published, Services, fill, stored
from bench.result_files import keep
from tests.support.server import NatsServer

LIMIT_MS = 300.0
WARM_UP = 3
FOLLOW = re.compile(r'href="([^"]*[?&;](?:after|skip)=[^"]*)"')  # the link to the next page of a list


class PageUnderTest(NamedTuple):
    """`follow`: how many times the link to the page after it is followed first, where there is one."""

    role: str
    path: str
    service: str = "approval"
    follow: int = 0


class Times(NamedTuple):
    """Milliseconds. `first`: of the first request of all. `cpu`: of the service and nats-server, for one request."""

    role: str
    path: str
    first: float
    p50: float
    p95: float
    most: float
    cpu: float
    kilobytes: float


def pages(on: Published, now: datetime) -> Iterator[PageUnderTest]:
    """Yield every page of each role: those that the navigation links to, searches, first and last pages, one case."""
    case = {state: found[0] for state, found in on.examples.items()}
    day = (now - timedelta(days=1)).date()
    yield from _physician(case)
    for path in (
        "/department",
        "/department?department=department-03",
        "/department?attending=Practitioner%2Fdr-7",
        "/department?age=older&order=deadline",
        "/department?order=attending&skip=1000",
        f"/department/reassign?case={case['open']}&request_id=00000000-0000-4000-8000-000000000001&to=dr-1",
        "/department/absences",
    ):
        yield PageUnderTest("supervisor", path)
    for path in (
        "/access",
        "/access?person=dr-7",
        "/access?person=nobody",
        "/access?action=refused",
        f"/access?case={case['filed']}",
        f"/access?since={day}&until={day}",
        "/access?after=40",
        "/access/signatures",
        f"/access/signatures?since={day}&until={day}",
        "/verification",
    ):
        yield PageUnderTest("auditor", path)
    yield PageUnderTest("auditor", "/access", follow=1)
    yield PageUnderTest("auditor", "/access/signatures", follow=1)
    yield from _operator(case)
    for role in ("auditor", "operator"):
        yield PageUnderTest(role, "/system")
    for path in ("", f"/{on.candidate}", f"/{on.candidate}/edit", f"/{on.candidate}/trial", "/sets"):
        yield PageUnderTest("engineer", f"/drafters{path}", "evaluator")
    for path in ("", "/progress", "/versions", "/golden", "/documents"):
        yield PageUnderTest("editor", f"/knowledge{path}", "evaluator")


def _physician(case: dict[str, str]) -> Iterator[PageUnderTest]:
    for path in (
        "/",
        "/?rows=1",
        "/?mine=1",
        "/?department=department-03",
        f"/?q={case['open']}",
        "/?q=nothing",
        "/people?q=sm",
        *(f"/reviews/{case[state]}" for state in ("open", "filed", "closed", "failed")),
        f"/reviews/{case['open']}/write",
    ):
        yield PageUnderTest("physician", path)
    yield PageUnderTest("physician", "/", follow=1)
    yield PageUnderTest("physician", "/", follow=20)


def _operator(case: dict[str, str]) -> Iterator[PageUnderTest]:
    number = int(case["open"][24:], 16)
    for role, path in (
        ("operator", "/cases"),
        ("auditor", "/cases?department=department-03"),
        ("operator", "/cases?state=failed"),
        ("operator", "/cases?state=failed&state=awaiting-review&longer=24"),
        ("operator", "/cases?state=filed&department=department-03"),
        ("operator", "/cases?state=retracted"),
        ("operator", "/cases?unfiled=1"),
        ("operator", "/cases?owner=dr-7"),
        ("operator", "/cases?owner=nobody"),
        ("operator", f"/cases?q=e{number}"),
        ("operator", f"/cases?q={case['filed']}"),
        ("operator", "/cases?q=nothing"),
        ("operator", "/cases?within=1"),
        ("operator", "/cases?within=720"),
        ("operator", "/cases?longer=24"),
        ("operator", "/cases?after=300"),
        ("operator", "/cases?state=filed&longer=24&after=300"),
        *(("operator", f"/cases/{case[state]}") for state in ("open", "filed", "failed", "unfiled")),
        ("auditor", f"/cases/{case['failed']}"),
        ("operator", "/dead-letters"),
        ("operator", "/dead-letters?state=all"),
        ("operator", "/dead-letters?state=redriven&reason=model"),
        ("operator", "/dead-letters?consumer=approval-file"),
        ("operator", "/dead-letters?after=100000"),
        ("operator", "/dead-letters/1"),
        ("operator", "/dead-letters/preview?do=discard&every=yes&consumer=approval-file"),
    ):
        yield PageUnderTest(role, path)
    yield PageUnderTest("operator", "/cases", follow=1)
    yield PageUnderTest("operator", "/dead-letters", follow=1)


async def times(services: Services, page: PageUnderTest, requests: int) -> Times:
    """Request a page again and again. Raises RuntimeError where it is not shown."""
    took: list[float] = []
    async with httpx.AsyncClient(
        base_url=services.url(page.service), headers=services.headers(page.role), timeout=120
    ) as http:
        path, number, size, spent = page.path, 1, 0, 0.0
        while number <= page.follow and (found := FOLLOW.search((await http.get(path)).text)):
            path, number = found[1].replace("&amp;", "&"), number + 1
        for request in range(1 + WARM_UP + requests):
            if request == 1 + WARM_UP:
                spent = services.cpu(page.service)
            begun = time.perf_counter()
            answer = await http.get(path)
            took.append((time.perf_counter() - begun) * 1000)
            if answer.status_code != 200 or not answer.headers["content-type"].startswith("text/html"):
                raise RuntimeError(f"{page.role} {path}: HTTP {answer.status_code} {answer.text[:300]}")
            size = len(answer.content)
    spent = services.cpu(page.service) - spent
    measured = sorted(took[1 + WARM_UP :])
    return Times(
        page.role,
        page.path + (f" (page {number})" if number > 1 else ""),
        round(took[0], 1),
        round(statistics.median(measured), 1),
        round(measured[min(len(measured) - 1, int(len(measured) * 0.95))], 1),
        round(measured[-1], 1),
        round(spent / requests * 1000, 1),
        round(size / 1024, 1),
    )


async def measure(server: NatsServer, cases: int, requests: int) -> dict[str, Any]:
    """Publish the trail unless it is there already, start the services on it, and measure."""
    found = stored(server)
    if found is None:
        server.start(SYNC_WHILE_PUBLISHING)
        begun = time.perf_counter()
        found = await fill(server, cases)
        print(f"{sum(found.counts.values())} messages in {time.perf_counter() - begun:.0f} s", file=sys.stderr)
        server.kill()
    server.start()
    services = Services(server)
    try:
        start = await services.start()
        print(f"start of approval: {start}", file=sys.stderr)
        measured = [await times(services, page, requests) for page in pages(found, datetime.now(UTC))]
    finally:
        services.stop()
    return {
        "cases": found.cases,
        "messages": found.counts,
        "cores": psutil.cpu_count(),
        "start_of_approval": start,
        "slowest_p95_ms": max(item.p95 for item in measured),
        "pages": [item._asdict() for item in measured],
    }


def show(found: dict[str, Any]) -> None:
    console = Console(width=140)
    table = Table(title=f"{found['cases']:,} cases: milliseconds of each page")
    table.add_column("role")
    table.add_column("page", overflow="fold")
    for name in ("first", "p50", "p95", "max", "CPU", "KB"):
        table.add_column(name, justify="right")
    for item in sorted((Times(**item) for item in found["pages"]), key=lambda item: -item.p95):
        style = "red" if item.p95 > LIMIT_MS else None
        figures = (item.first, item.p50, item.p95, item.most, item.cpu, item.kilobytes)
        table.add_row(item.role, item.path, *(f"{value:.1f}" for value in figures), style=style)
    console.print(table)
    console.print(f"start of approval: {found['start_of_approval']}")


@contextmanager
def _directory(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
        return
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as made:
        yield Path(made)


def main(
    cases: Annotated[int, typer.Option(min=1000, help="cases on the trail")] = 100_000,
    requests: Annotated[int, typer.Option(min=5, help="measured requests of each page")] = 30,
    directory: Annotated[
        Path | None, typer.Option(help="keep the trail here, and use the one that is here from an earlier run")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON, not a table")] = False,
) -> None:
    """Measure every role's pages with many cases on the trail; exit with 1 where a page takes too long."""
    with _directory(directory) as place, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        server = NatsServer(place)
        try:
            found = runner.run(measure(server, cases, requests))
        finally:
            server.kill()
    keep("pages", found)
    if as_json:
        print(json.dumps(found, indent=1))
    else:
        show(found)
    raise typer.Exit(int(found["slowest_p95_ms"] > LIMIT_MS))


if __name__ == "__main__":
    typer.run(main)
