"""`countersign doctor`: check a stack, and print what to do about each problem.

By HTTP where a context is active: what approval can see with its rights. With NATS, an admin key and the settings of
the services, or on the machine of an embedded stack: everything.
"""

import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.markup import escape

from cli.contexts import active_context
from cli.options import AsJson, DataDir
from cli.output import emit, stderr
from cli.runtime import run_async

if TYPE_CHECKING:
    from shared.runtime.checks.findings import Finding, Findings

LEVELS = {
    "ok": "[green]ok     [/]",
    "warning": "[yellow]warning[/]",
    "fault": "[red]FAULT  [/]",
    "unknown": "[dim]unknown[/]",
}


def doctor(as_json: AsJson = False, data_dir: DataDir = None) -> None:
    """Check connections, permissions, streams and consumers, and print how to fix each problem."""
    if not run_async(run_doctor(data_dir, as_json=as_json)):
        raise typer.Exit(1)


async def run_doctor(data_dir: Path | None, *, as_json: bool) -> bool:
    """Run every check, print each finding as it comes, and return whether there is no fault."""
    logging.getLogger("shared.messaging.connection").setLevel(logging.ERROR)
    found: list[Finding] = []
    with stderr.status("checking …") as status:
        console = Console(soft_wrap=True, highlight=False)
        async for finding in _findings(data_dir, lambda what: status.update(f"checking {what} …")):
            if not as_json:
                _print_finding(console, finding, first=not found or found[-1].group != finding.group)
            found.append(finding)
    faults = sum(finding.level == "fault" for finding in found)
    warnings = sum(finding.level == "warning" for finding in found)
    unknown = sum(finding.level == "unknown" for finding in found)
    counts = {"healthy": not faults, "faults": faults, "warnings": warnings, "unknown": unknown}
    text = f"\n{faults} faults, {warnings} warnings, {len(found) - faults - warnings - unknown} ok"
    text += f", {unknown} not known" if unknown else ""
    emit(counts | {"findings": [asdict(finding) for finding in found]}, as_json, text)
    return not faults


def _findings(data_dir: Path | None, report_progress: Callable[[str], None]) -> "Findings":
    """Return the checks by NATS where the environment names a server, else those by HTTP of the active context."""
    from cli.settings import remote_stack

    if remote_stack(data_dir) is None and (context := active_context(data_dir)) is not None:
        from cli.doctor import by_http

        return by_http.run_checks(context, report_progress)
    from cli.doctor.run import run_checks
    from cli.doctor.target import find_target

    return run_checks(find_target(data_dir), report_progress)


def _print_finding(console: Console, finding: "Finding", *, first: bool) -> None:
    if first:
        console.print(f"\n[bold]{finding.group}[/]")
    console.print(f"  {LEVELS[finding.level]} {escape(finding.what)}: {escape(finding.says)}")
    if finding.do:
        console.print(f"          → {escape(finding.do)}")
