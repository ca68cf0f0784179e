"""What all commands have alike: `-o` for the format of a result, `--watch` where nothing is changed, an example."""

import functools
import inspect
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Annotated, Any

import typer
from rich.console import Console

from cli.examples import EXAMPLES
from cli.output import Format, formatted, stderr

Output = Annotated[
    Format | None,
    typer.Option("--output", "-o", help="table (default), wide: a table without wrapping, json (as --json), or yaml"),
]
Watch = Annotated[
    float | None,
    typer.Option("--watch", min=0.5, metavar="SECONDS", help="print it again each time as many seconds have passed"),
]
# Commands that change nothing.
READING = frozenset(
    (
        *("access", "compare", "deliveries", "doctor", "drift", "edits", "evaluations"),
        *("history", "list", "live-history", "moves", "preview", "show", "unfiled"),
    )
)


def complete_commands(app: typer.Typer, *path: str) -> None:
    """Add the options to every command of `app` and of its groups that has `--json`, and an example to its help."""
    for info in app.registered_commands:
        if info.callback is None:
            continue
        name = info.name or info.callback.__name__.strip("_").replace("_", "-")
        if (example := EXAMPLES.get(" ".join((*path, name)))) is not None:
            info.epilog = f"Example: countersign {example}"
        known = inspect.signature(info.callback).parameters
        if "as_json" in known and "output" not in known:  # some write a file and name it by --output
            info.callback = _with_options(info.callback, reads=name in READING)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            complete_commands(group.typer_instance, *path, *filter(None, [group.name]))


def _with_options(run: Callable[..., Any], *, reads: bool) -> Callable[..., Any]:
    added = {"output": Output} | ({"watch": Watch} if reads else {})

    @functools.wraps(run)
    def command(*, output: Format | None = None, watch: float | None = None, **options: Any) -> Any:
        options["as_json"] = options["as_json"] or output in (Format.JSON, Format.YAML)
        with formatted(output):
            return run(**options) if watch is None else _repeat(run, options, watch)

    own = list(inspect.signature(run, eval_str=True).parameters.values())
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in added.items()
    ]
    command.__signature__ = inspect.Signature([*own, *more])  # type: ignore[attr-defined]
    command.__annotations__ = {item.name: item.annotation for item in (*own, *more)}
    return command


def _repeat(run: Callable[..., Any], options: dict[str, Any], seconds: float) -> None:
    """Run until Ctrl-C; on a terminal each result takes the place of the one before."""
    try:
        while True:
            if sys.stdout.isatty():
                Console().clear()
            with suppress(typer.Exit):  # its code says what was found, which may be another thing the next time
                run(**options)
            sys.stdout.flush()
            time.sleep(seconds)
    except KeyboardInterrupt:
        stderr.print()
