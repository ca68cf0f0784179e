"""Print a draft on a terminal: first what a physician must check, then the document."""

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

PENDING = "Results pending at discharge"


def print_draft(console: Console, draft: dict[str, Any]) -> None:
    """Print the `draft` of a review, as the API returns it. Its text is never interpreted as markup."""
    for group in _groups(draft):
        if group["columns"]:
            console.print(_table(group))
    _print_list(console, PENDING, pending(draft))
    _print_list(console, "Open points: check them before you sign", [item["text"] for item in draft["open_points"]])
    said_by = draft["model"] or "to be written by hand"
    console.print(Panel(Text(draft["text"]), title="the draft", subtitle=Text(said_by)))


def pending(draft: dict[str, Any]) -> list[str]:
    """Return the results pending at discharge; a line without a source means that there are none."""
    return [
        fact["text"]
        for group in _groups(draft)
        if (group.get("stands_for") or group["title"]) == PENDING
        for fact in group["facts"]
        if fact["source"]
    ]


def _print_list(console: Console, heading: str, lines: Iterable[str]) -> None:
    lines = list(lines)
    if not lines:
        return
    console.print(Text(heading, style="bold"))
    for line in lines:
        console.print(Text(f"  - {line}"))
    console.print()


def _groups(draft: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for part in draft["parts"]:
        yield from part["groups"]


def _table(group: dict[str, Any]) -> Table:
    """Build a table of a group; a fact without a cell for each column is printed in the first one."""
    table = Table(title=Text(group["title"]), title_justify="left", title_style="bold")
    for column in group["columns"]:
        table.add_column(Text(column), overflow="fold")
    for fact in group["facts"]:
        cells = fact["cells"] if len(fact["cells"]) == len(group["columns"]) else [fact["text"]]
        table.add_row(*map(Text, cells))
    return table
