"""How commands reach the bus of a running stack, as one of its users."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cli.errors import CommandError
from cli.stack.access import read_access
from cli.stack.secrets import load_or_make
from shared.contracts.errors import TransientError
from shared.messaging.connection import Bus, connect


@asynccontextmanager
async def bus(data_dir: Path, user: str) -> AsyncIterator[Bus]:
    """The bus of the stack on `data_dir`, as one of its users."""
    access = read_access(data_dir)
    seeds = load_or_make(data_dir).seeds
    try:
        connection = await connect(access.nats_url, user, seeds[user])
    except TransientError:
        raise CommandError("The stack does not answer. Start it: countersign up") from None
    try:
        yield connection
    finally:
        await connection.close()
