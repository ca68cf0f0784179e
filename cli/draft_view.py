"""A draft on a terminal: first what a physician has to look at, then the document."""

from collections.abc import Iterable, Iterator
from typing import Any

from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

PENDING = "Results pending at discharge"


def print_draft(console: Console, draft: dict[str, Any]) -> None:
    """`draft` is the `draft` of a review, as the API gives it. No text of it is taken for markup."""
    for group in _groups(draft):
        if group["columns"]:
            console.print(_table(group))
    _print_list(console, PENDING, pending(draft))
    _print_list(console, "Open points: look at them before you sign", [item["text"] for item in draft["open_points"]])
    said_by = draft["model"] or "to be written by hand"
    console.print(Panel(Text(draft["text"]), title="the draft", subtitle=Text(said_by)))


def pending(draft: dict[str, Any]) -> list[str]:
    """The results that are pending at the discharge; a line without a source says that there is none."""
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
    """A line that has no cell for each column is printed whole in the first one."""
    table = Table(title=Text(group["title"]), title_justify="left", title_style="bold")
    for column in group["columns"]:
        table.add_column(Text(column), overflow="fold")
    for fact in group["facts"]:
        cells = fact["cells"] if len(fact["cells"]) == len(group["columns"]) else [fact["text"]]
        table.add_row(*map(Text, cells))
    return table
