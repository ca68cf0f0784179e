"""Options and arguments that several commands share."""

import getpass
from pathlib import Path
from typing import Annotated

import typer

from cli.errors import CommandError

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


def ensure_by_is_unset(by: str | None) -> None:
    """Raise CommandError where `--by` is given to a command that works by HTTP."""
    if by is not None:
        raise CommandError("By HTTP, the person is recorded that the token belongs to: leave out --by.")


def actor_name(by: str | None) -> str:
    """Return the name to record: `by`, else the user of this machine."""
    try:
        return (by or getpass.getuser()).strip() or "operator"
    except OSError:  # a container's user may have no name
        return "operator"
