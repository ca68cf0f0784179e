"""The two ends of a backup: a stack that runs, one that is stopped, and one that is spread over machines."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from cli.backup.restore import Target
from cli.backup.vectors import FromBase, FromStack, Vectors
from cli.bus import bus
from cli.client import api
from cli.errors import CommandError
from cli.stack import nats
from cli.stack.access import ERASURES, default_data_dir
from cli.stack.lock import held
from cli.stack.ports import free_port
from cli.stack.secrets import load_or_make
from shared.contracts.failures import Failure
from shared.knowledge.base import KnowledgeBase
from shared.messaging.connection import Bus, connect
from shared.messaging.erasures import ErasureList, Listed
from shared.messaging.placement import Tags, read_placement
from shared.messaging.provision import Keeping
from shared.runtime.settings import QdrantSettings


class Spread(BaseSettings):
    """A stack whose parts are reached by address. Variables are the services' own."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_", extra="ignore", frozen=True)

    nats_url: str = ""
    nats_ca_file: Path | None = None
    erasure_dir: Path | None = Field(default=None, description="folder of the list of erasures")
    nats_seed: SecretStr = Field(default=SecretStr(""), description="of user backup, or admin to restore")
    nats_seed_file: Path | None = None
    nats_replicas: int = Field(default=1, description="of streams that are restored")
    nats_placement: Annotated[Tags, NoDecode, BeforeValidator(read_placement)] = Field(
        default={}, validate_default=False, description="the tags of the servers that each stream may be on"
    )

    @property
    def keeping(self) -> Keeping:
        return Keeping(self.nats_replicas, self.nats_placement)

    @property
    def seed(self) -> str:
        """Raises CommandError when there is none."""
        try:
            text = self.nats_seed_file.read_text() if self.nats_seed_file else self.nats_seed.get_secret_value()
        except OSError as error:
            raise CommandError(f"{self.nats_seed_file} cannot be read ({error.strerror}).") from None
        if not text.strip():
            raise CommandError("Set COUNTERSIGN_NATS_SEED_FILE: the nkey seed of the user to connect as.")
        return text.strip()


@dataclass(frozen=True, slots=True)
class Source:
    """What a backup is taken from."""

    bus: Bus
    vectors: Vectors
    declared: Path | None


def spread(data_dir: Path | None) -> Spread | None:
    """Its settings, where the environment names a NATS server and the command no data directory."""
    found = Spread()
    return found if found.nats_url and data_dir is None else None


@asynccontextmanager
async def source(data_dir: Path | None) -> AsyncIterator[Source]:
    """The stack to back up. One that is stopped is read by a server of our own on its directory."""
    async with AsyncExitStack() as stack:
        if (settings := spread(data_dir)) is not None:
            connection = await _reach(stack, settings, "backup")
            yield Source(connection, FromBase(_base(stack, None)), None)
            return
        directory = _existing(data_dir)
        declared = directory / "knowledge"
        if stack.enter_context(held(directory)):
            connection = await _serve(stack, directory, "backup")
            yield Source(connection, FromBase(_base(stack, directory)), declared)
            return
        connection = await stack.enter_async_context(bus(directory, "backup"))
        if QdrantSettings().url:
            yield Source(connection, FromBase(_base(stack, None)), declared)
        else:
            call = await stack.enter_async_context(api(directory, "operator"))
            yield Source(connection, FromStack(call), declared)


@asynccontextmanager
async def target(data_dir: Path | None) -> AsyncIterator[Target]:
    """The stack to fill: a data directory that no stack runs on, or the servers that the environment names."""
    async with AsyncExitStack() as stack:
        if (settings := spread(data_dir)) is not None:
            connection = await _reach(stack, settings, "admin")
            yield Target(connection, _base(stack, None), None, settings.keeping)
            return
        directory = (data_dir or default_data_dir()).absolute()
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            ours = stack.enter_context(held(directory))
        except OSError as error:
            raise CommandError(f"The data directory {directory} cannot be used: {error.strerror}.") from None
        if not ours:
            raise CommandError(f"A stack is running on {directory}: stop it first.")
        connection = await _serve(stack, directory, "admin")
        yield Target(connection, _base(stack, directory), directory / "knowledge")


def _existing(data_dir: Path | None) -> Path:
    directory = (data_dir or default_data_dir()).absolute()
    if not (directory / "secrets.json").exists():
        raise CommandError(f"No stack has been started on {directory}. Start one: countersign up")
    return directory


async def _reach(stack: AsyncExitStack, settings: Spread, user: str) -> Bus:
    try:
        connection = await connect(settings.nats_url, user, settings.seed, ca_file=settings.nats_ca_file)
    except Failure as failure:
        raise CommandError(f"COUNTERSIGN_NATS_URL: {failure.reason}.") from None
    stack.push_async_callback(connection.close)
    return connection


async def _serve(stack: AsyncExitStack, directory: Path, user: str) -> Bus:
    """A server on the directory of a stopped stack, for as long as the command runs."""
    secrets = load_or_make(directory)
    logs = directory / "logs"
    logs.mkdir(exist_ok=True)
    ports = nats.NatsPorts(free_port(), free_port())
    server = nats.make_child(directory, secrets, ports, logs)
    await server.start()
    stack.push_async_callback(server.stop)
    connection = await connect(f"nats://127.0.0.1:{ports.client}", user, secrets.seeds[user])
    stack.push_async_callback(connection.close)
    return connection


def _base(stack: AsyncExitStack, directory: Path | None) -> KnowledgeBase:
    """The vectors: a server where the environment names one, else the directory's own."""
    try:
        base = QdrantSettings(directory=directory / "qdrant" if directory is not None else None).connect()
    except OSError as error:
        raise CommandError(f"COUNTERSIGN_QDRANT_API_KEY_FILE: {error.filename} cannot be read.") from None
    stack.push_async_callback(base.close)
    return base


def read_erasures(data_dir: Path | None, folder: Path | None) -> list[Listed] | None:
    """What was erased: of the folder that is named, else of the stack's own; None: there is no list.

    Raises CommandError.
    """
    named = folder or Spread().erasure_dir
    if named is None and spread(data_dir) is None:
        named = (data_dir or default_data_dir()).absolute() / ERASURES
    elif named is not None and not named.is_dir():
        raise CommandError(f"The folder of erasures {named} is not there.")
    if named is None or not named.is_dir():
        return None
    try:
        return ErasureList(named).read()
    except Failure as failure:
        raise CommandError(f"{named}: {failure.reason}.") from None


def inside(folder: Path, data_dir: Path | None) -> bool:
    """Whether a backup would lie in the directory that it is of."""
    return spread(data_dir) is None and os.path.commonpath(
        [folder.absolute(), (data_dir or default_data_dir()).absolute()]
    ) == str((data_dir or default_data_dir()).absolute())
