"""A running stack as a command reaches it: on this machine's data directory, or where the environment names NATS."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cli.backup.places import spread
from cli.bus import bus
from cli.stack.access import default_data_dir, read_access
from shared.clinical.fhir_client import FhirClient
from shared.messaging.connection import Bus, connect
from shared.runtime.settings import EhrSettings


@asynccontextmanager
async def reach(data_dir: Path | None, user: str) -> AsyncIterator[Bus]:
    """The bus, as `user`; elsewhere the seed in the environment has to be that user's.

    Raises CommandError when no stack is named or runs, TransientError, PermanentError.
    """
    if (settings := spread(data_dir)) is None:
        async with bus(data_dir or default_data_dir(), user) as connection:
            yield connection
        return
    connection = await connect(settings.nats_url, user, settings.seed, ca_file=settings.nats_ca_file)
    try:
        yield connection
    finally:
        await connection.close()


def reach_ehr(data_dir: Path | None) -> FhirClient:
    """Its EHR; the token, where it wants one, is in the environment. Raises CommandError when no stack runs."""
    if spread(data_dir) is not None:
        return EhrSettings().connect()
    return EhrSettings(url=read_access(data_dir or default_data_dir()).ehr_url).connect()
