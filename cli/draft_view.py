"""A draft on a terminal: first what a physician has to look at, then the document."""

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

RECONCILIATION = "Medication reconciliation"
PENDING = "Results pending at discharge"


def print_draft(console: Console, draft: dict[str, Any]) -> None:
    """`draft` is the `draft` of a review, as the API gives it."""
    for group in _groups(draft):
        if group["columns"]:
            console.print(_table(group))
    for point in draft["open_points"]:
        console.print(f"[yellow]open point:[/] {point['text']}", highlight=False)
    for fact in pending(draft):
        console.print(f"[cyan]pending:[/] {fact}", highlight=False)
    console.print(Panel(draft["text"], title="the draft", subtitle=draft["model"] or "to be written by hand"))


def pending(draft: dict[str, Any]) -> list[str]:
    """The results that are pending at the discharge; a line without a source says that there is none."""
    return [
        fact["text"]
        for group in _groups(draft)
        if group["title"] == PENDING
        for fact in group["facts"]
        if fact["source"]
    ]


def _groups(draft: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for part in draft["parts"]:
        yield from part["groups"]


def _table(group: dict[str, Any]) -> Table:
    table = Table(title=group["title"], title_justify="left", expand=False)
    for column in group["columns"]:
        table.add_column(column, overflow="fold")
    for fact in group["facts"]:
        table.add_row(*fact["cells"])
    return table
