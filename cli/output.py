"""How commands print: results on stdout as text or JSON, progress on stderr."""

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

stderr = Console(stderr=True)

PIPE_WIDTH = 200  # characters


def emit(result: Any, as_json: bool, text: str | Callable[[], None]) -> None:
    """Print `result` as JSON, or `text`: a line, or a function that prints."""
    if as_json:
        print(json.dumps(result))
    elif isinstance(text, str):
        print(text)
    else:
        text()


def make_table(*columns: str) -> Table:
    """Return a table without borders whose cells wrap instead of being cut."""
    table = Table(box=None, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def print_table(table: Table | str) -> None:
    """Print `table` as wide as the terminal; in a pipe or a file wide enough that cells are not wrapped."""
    width = None if sys.stdout.isatty() or "COLUMNS" in os.environ else PIPE_WIDTH
    Console(width=width).print(table)


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
