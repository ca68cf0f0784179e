"""`countersign provision`: create the streams, buckets and consumers of an installation."""

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.errors import CommandError
from cli.options import AsJson
from cli.output import emit

if TYPE_CHECKING:
    from shared.messaging.provision import Change


def provision(
    url: Annotated[
        str, typer.Option("--nats-url", envvar="COUNTERSIGN_NATS_URL", help="NATS server; separate several with commas")
    ],
    seed: Annotated[
        Path, typer.Option("--seed-file", envvar="COUNTERSIGN_NATS_SEED_FILE", help="nkey seed of the admin user")
    ],
    ca_file: Annotated[
        Path | None,
        typer.Option(
            "--nats-ca-file",
            envvar="COUNTERSIGN_NATS_CA_FILE",
            help="CA of a tls:// server; default: the system's CAs",
        ),
    ] = None,
    replicas: Annotated[int, typer.Option(envvar="COUNTERSIGN_NATS_REPLICAS", help="replicas of each stream")] = 1,
    tags: Annotated[
        list[str] | None,
        typer.Option(
            "--tag",
            envvar="COUNTERSIGN_NATS_PLACEMENT",
            help="tag that servers must carry to hold a stream (data residency), repeatable: region:eu applies to all "
            "streams, DISCHARGE=storage:worm adds a tag for one, KNOWLEDGE=* lets one be anywhere. Replaces the "
            "tags of the last run.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Create or update streams, buckets and consumers, and print what changed. Deletes nothing."""
    from cli.stack.secrets import read_seed_file
    from shared.messaging.connection import connect
    from shared.messaging.placement import read_placement
    from shared.messaging.provision import StreamStorage
    from shared.messaging.provision import provision as provision_streams

    async def run() -> "list[Change]":
        bus = await connect(url, "admin", text, ca_file=ca_file)
        try:
            return await provision_streams(bus, storage)
        finally:
            await bus.close()

    if not seed.is_file():
        raise CommandError(f"{seed} does not exist. Create it with: countersign secrets init")
    text = read_seed_file(seed)
    try:
        storage = StreamStorage(replicas, read_placement(",".join(tags or ())))
    except ValueError as error:
        raise CommandError(f"--tag (COUNTERSIGN_NATS_PLACEMENT): {error}.") from None
    changes = asyncio.run(run())

    def show() -> None:
        for change in changes:
            print(f"{change.action:10}{change.what}{': ' + ', '.join(change.differs) if change.differs else ''}")

    emit([asdict(change) for change in changes], as_json, show)
