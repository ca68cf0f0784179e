"""`countersign ehr`: let the EHR notify Countersign.

Modules that connect to the EHR are imported when a command runs, so that `--help` stays fast.
"""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cli.errors import CommandError
from cli.options import AsJson, DataDir
from cli.output import emit
from cli.runtime import run_async

app = typer.Typer(no_args_is_help=True, help="Let the EHR notify Countersign.")
TYPES = ("Encounter", "Task")


@app.callback()
def ehr() -> None:
    """Let the EHR notify Countersign."""


@app.command()
def subscribe(
    endpoint: Annotated[str, typer.Option("--endpoint", help="URL of /v1/fhir/notifications as the EHR reaches it")],
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", help="file with a token of role `ingest`; without it no header is set"),
    ] = None,
    topic: Annotated[
        list[str] | None, typer.Option("--topic", help="Encounter=URL or Task=URL: topic of the R4 backport to use")
    ] = None,
    types: Annotated[list[str] | None, typer.Option("--type", help="Encounter or Task; default: both")] = None,
    data_dir: DataDir = None,
    as_json: AsJson = False,
) -> None:
    """Create the Subscriptions that the EHR supports, and reactivate those that have stopped.

    Exit code 1: one is not supported or was refused.
    """
    from cli.connections import open_ehr
    from cli.ehr.subscriptions import SubscriptionResult, parse_topics
    from cli.ehr.subscriptions import subscribe as ensure

    if not endpoint.startswith(("http://", "https://")):
        raise CommandError("--endpoint must be an http or https address.")
    if unknown := [item for item in types or [] if item not in TYPES]:
        raise CommandError(f"--type: {unknown[0]} is neither Encounter nor Task.")
    try:
        topics = parse_topics(topic or [])
        token = token_file.read_text().strip() if token_file is not None else None
    except ValueError as error:
        raise CommandError(f"--topic: {error}.") from None
    except OSError as error:
        raise CommandError(f"{token_file} cannot be read ({error.strerror}).") from None

    async def run() -> list[SubscriptionResult]:
        client = open_ehr(data_dir, SCOPE)
        try:
            return await ensure(client, tuple(types or TYPES), endpoint, token, topics)
        finally:
            await client.close()

    found = run_async(run())
    lines = [f"{item.type}: {item.outcome}{f' ({item.id})' if item.id else ''}: {item.says}" for item in found]
    emit([asdict(item) for item in found], as_json, "\n".join(lines))
    if any(item.outcome in ("unsupported", "refused") for item in found):
        raise typer.Exit(1)


SCOPE = "system/Subscription.crus"  # all that the command needs
