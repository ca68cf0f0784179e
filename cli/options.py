"""Options and arguments that several commands share."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

DataDir = Annotated[
    Path | None,
    typer.Option("--data-dir", help="data directory of the stack; default: COUNTERSIGN_DATA_DIR, else .countersign"),
]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON on stdout")]
CaseId = Annotated[str, typer.Argument(metavar="CASE", help="case id")]
By = Annotated[
    str | None, typer.Option("--by", help="name to record as the one who acts; default: the user of this machine")
]
EhrUrl = Annotated[
    str | None,
    typer.Option("--ehr-url", help="FHIR R4 base URL of the EHR; default: the one of the stack, a sandbox unless set"),
]


def actor_name(by: str | None) -> str:
    """Return the name to record: `by`, else the user of this machine."""
    try:
        return (by or getpass.getuser()).strip() or "operator"
    except OSError:  # a container's user may have no name
        return "operator"
