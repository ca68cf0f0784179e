"""Connect to a running stack: the one on a data directory, or the one that the environment names."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from cli.contexts import ensure_no_context
from cli.errors import CommandError
from cli.settings import RemoteStackSettings, remote_stack
from cli.stack.access import default_data_dir, read_access
from cli.stack.ehr_settings import stack_ehr
from cli.stack.secrets import load_or_create
from shared.clinical.fhir_client import FhirClient
from shared.contracts.errors import TransientError
from shared.messaging.connection import NatsConnection, connect
from shared.runtime.settings import EhrSettings

T = TypeVar("T")


@asynccontextmanager
async def open_bus(data_dir: Path | None, user: str) -> AsyncIterator[NatsConnection]:
    """Connect to NATS as `user`. For a remote stack the environment must hold the seed of that user.

    Raises CommandError when no stack is named or running, TransientError, PermanentError.
    """
    if (settings := remote_stack(data_dir)) is None:
        ensure_no_context(data_dir)
        async with open_embedded_bus(data_dir or default_data_dir(), user) as connection:
            yield connection
        return
    connection = await connect(settings.nats_url, user, read_seed(settings), ca_file=settings.nats_ca_file)
    try:
        yield connection
    finally:
        await connection.close()


@asynccontextmanager
async def open_embedded_bus(data_dir: Path, user: str) -> AsyncIterator[NatsConnection]:
    """Connect to NATS of the stack on `data_dir`. Raises CommandError when the stack does not run."""
    access = read_access(data_dir)
    seeds = load_or_create(data_dir).seeds
    try:
        connection = await connect(access.nats_url, user, seeds[user])
    except TransientError:
        raise CommandError("The stack does not answer. Start it with: countersign up") from None
    try:
        yield connection
    finally:
        await connection.close()


def run_with_bus(data_dir: Path | None, work: Callable[[NatsConnection], Awaitable[T]]) -> T:
    """Run `work` with a NATS connection of the operator, and return its result."""

    async def connected() -> T:
        async with open_bus(data_dir, "operator") as connection:
            return await work(connection)

    return asyncio.run(connected())


def open_ehr(data_dir: Path | None, scope: str = "") -> FhirClient:
    """Return a client of the stack's EHR, authorized as its services are; `scope` is asked for instead of theirs.

    Raises CommandError.
    """
    if remote_stack(data_dir) is not None:
        settings = EhrSettings()
    else:
        ensure_no_context(data_dir)
        directory = (data_dir or default_data_dir()).absolute()
        settings = stack_ehr(read_access(directory), directory)
    return (settings.model_copy(update={"scope": scope}) if scope else settings).connect()


def read_seed(settings: RemoteStackSettings) -> str:
    """Return the nkey seed that the settings hold or name. Raises CommandError when there is none."""
    try:
        text = settings.nats_seed_file.read_text() if settings.nats_seed_file else settings.nats_seed.get_secret_value()
    except OSError as error:
        raise CommandError(f"{settings.nats_seed_file} cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise CommandError(f"{settings.nats_seed_file} does not hold an nkey seed: it is no text.") from None
    if not text.strip():
        raise CommandError("Set COUNTERSIGN_NATS_SEED_FILE to the file with the nkey seed of the NATS user.")
    return text.strip()
