"""`countersign doctor`: looks at everything, and says what to do."""

import json
import logging
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from cli.doctor.findings import Finding
from cli.doctor.run import run_checks
from cli.doctor.target import find_target

SIGNS = {"ok": "[green]ok     [/]", "warning": "[yellow]warning[/]", "fault": "[red]FAULT  [/]"}


async def run_doctor(data_dir: Path | None, *, as_json: bool) -> bool:
    """Look, print as it is found, and return whether there is no fault."""
    logging.getLogger("shared.messaging.connection").setLevel(logging.ERROR)
    place = find_target(data_dir)
    found: list[Finding] = []
    errors = Console(stderr=True)
    with errors.status("looking …") as status:
        console = Console(soft_wrap=True, highlight=False)
        async for finding in run_checks(place, lambda what: status.update(f"looking at {what} …")):
            if not as_json:
                _show(console, finding, first=not found or found[-1].group != finding.group)
            found.append(finding)
    faults = sum(finding.level == "fault" for finding in found)
    warnings = sum(finding.level == "warning" for finding in found)
    if as_json:
        counts = {"healthy": not faults, "faults": faults, "warnings": warnings}
        print(json.dumps(counts | {"findings": [asdict(finding) for finding in found]}))
    else:
        print(f"\n{faults} faults, {warnings} warnings, {len(found) - faults - warnings} fine")
    return not faults


def _show(console: Console, finding: Finding, *, first: bool) -> None:
    if first:
        console.print(f"\n[bold]{finding.group}[/]")
    console.print(f"  {SIGNS[finding.level]} {escape(finding.what)}: {escape(finding.says)}")
    if finding.do:
        console.print(f"          → {escape(finding.do)}")
