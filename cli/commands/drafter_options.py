"""Arguments and options that the commands of `countersign drafters` share."""

from typing import Annotated

import typer

PATH = "/v1/drafters"
SHOWN = 12  # characters of a digest

Configuration = Annotated[
    str, typer.Argument(metavar="CONFIGURATION", help="digest of the configuration, or its first characters")
]
Document = Annotated[str, typer.Option("--document", help="name of the kind of document")]
Reason = Annotated[str, typer.Option("--reason", help="recorded with your name; no patient data")]
