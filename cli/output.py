"""How commands print: results on stdout as text or JSON, progress on stderr."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from enum import StrEnum
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

stderr = Console(stderr=True)

UNLIMITED = 100_000  # characters: no cell is wrapped
# Columns of ids, which are copied from a terminal: others are wrapped first.
IDS = frozenset(
    ("absence", "case", "configuration", "consumer", "delivery", "digest", "document", "id", "sequence", "webhook")
)


class Format(StrEnum):
    """How a result is printed."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"


_format: ContextVar[Format] = ContextVar("format", default=Format.TABLE)


@contextmanager
def formatted(format: Format | None) -> Iterator[None]:
    """Print results in this format while the block runs; None: the default."""
    token = _format.set(format or Format.TABLE)
    try:
        yield
    finally:
        _format.reset(token)


def emit(result: Any, as_json: bool, text: str | Callable[[], None]) -> None:
    """Print `result` as JSON or YAML, or `text`: a line, or a function that prints."""
    if as_json and _format.get() is Format.YAML:
        import yaml

        print(yaml.safe_dump(json.loads(json.dumps(result)), sort_keys=False, allow_unicode=True), end="")
    elif as_json:
        print(json.dumps(result))
    elif isinstance(text, str):
        print(text)
    else:
        text()


def make_table(*columns: str) -> Table:
    """Return a table without borders whose cells wrap instead of being cut, ids last."""
    table = Table(box=None, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold", no_wrap=column in IDS)
    return table


def print_table(table: Table | str) -> None:
    """Print `table` as wide as the terminal; in a pipe or a file its rows as lines with tabs between the cells."""
    # Cells have words of servers and people: what stands in brackets or between colons is text, too.
    if _format.get() is Format.WIDE:
        Console(width=UNLIMITED, markup=False, emoji=False).print(table)
    elif isinstance(table, str) or sys.stdout.isatty() or "COLUMNS" in os.environ:
        Console(markup=False, emoji=False).print(table)
    else:
        for row in zip(*([column.header, *column.cells] for column in table.columns), strict=True):
            print("\t".join(map(_plain, row)))


def _plain(cell: Any) -> str:
    """Return the text of a cell in one line."""
    return " ".join(str(cell).split())


@contextmanager
def progress_bar(description: str) -> Iterator[tuple[Progress, TaskID]]:
    """Show a progress bar on stderr while the block runs, on a terminal only; it is removed afterwards."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=stderr, transient=True) as progress:
        yield progress, progress.add_task(description, total=None)
