"""Sources and targets of a backup: a running stack, a stopped one, or one on several machines."""

import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from cli.backup.restore import RestoreTarget
from cli.backup.vector_export import ApiVectors, StoreVectors, VectorSource
from cli.client import open_api
from cli.connections import open_embedded_bus, read_seed
from cli.contexts import ensure_no_context
from cli.errors import CommandError
from cli.settings import RemoteStackSettings, remote_stack
from cli.stack import nats
from cli.stack.access import ERASURES, default_data_dir
from cli.stack.lock import try_lock
from cli.stack.nats_config import SYNC_ALWAYS, SYNC_FOR_RESTORE
from cli.stack.ports import free_port
from cli.stack.secrets import load_or_create
from shared.contracts.errors import CountersignError
from shared.knowledge.vector_store import VectorStore
from shared.messaging.connection import NatsConnection, connect
from shared.messaging.erasures import ErasureList, ListedErasure
from shared.messaging.provision import StreamStorage
from shared.runtime.settings import QdrantSettings


@dataclass(frozen=True, slots=True)
class BackupSource:
    """The stack that a backup is made of."""

    bus: NatsConnection
    vectors: VectorSource
    declared: Path | None


@asynccontextmanager
async def open_source(data_dir: Path | None) -> AsyncIterator[BackupSource]:
    """Open the stack to back up. For a stopped one, a NATS server is started on its directory."""
    async with AsyncExitStack() as stack:
        if (settings := remote_stack(data_dir)) is not None:
            connection = await _connect(stack, settings, "backup")
            yield BackupSource(connection, StoreVectors(_vector_store(stack, None)), None)
            return
        directory = _existing_data_dir(data_dir)
        declared = directory / "knowledge"
        if stack.enter_context(try_lock(directory)):
            connection = await _start_server(stack, directory, "backup", SYNC_ALWAYS)
            yield BackupSource(connection, StoreVectors(_vector_store(stack, directory)), declared)
            return
        connection = await stack.enter_async_context(open_embedded_bus(directory, "backup"))
        if QdrantSettings().url:
            yield BackupSource(connection, StoreVectors(_vector_store(stack, None)), declared)
        else:
            call = await stack.enter_async_context(open_api(directory, "operator"))
            yield BackupSource(connection, ApiVectors(call), declared)


@asynccontextmanager
async def open_target(data_dir: Path | None) -> AsyncIterator[RestoreTarget]:
    """Open the stack to restore into: a data directory of a stopped stack, or the servers of the environment."""
    async with AsyncExitStack() as stack:
        if (settings := remote_stack(data_dir)) is not None:
            connection = await _connect(stack, settings, "admin")
            yield RestoreTarget(
                connection,
                _vector_store(stack, None),
                None,
                StreamStorage(settings.nats_replicas, settings.nats_placement),
            )
            return
        directory = (data_dir or default_data_dir()).absolute()
        try:
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            ours = stack.enter_context(try_lock(directory))
        except OSError as error:
            raise CommandError(f"The data directory {directory} cannot be used: {error.strerror}.") from None
        if not ours:
            raise CommandError(f"A stack is running on {directory}: stop it first.")
        stack.callback(os.sync)  # when the server has ended: what it restored is on disk
        connection = await _start_server(stack, directory, "admin", SYNC_FOR_RESTORE)
        yield RestoreTarget(connection, _vector_store(stack, directory), directory / "knowledge")


def _existing_data_dir(data_dir: Path | None) -> Path:
    ensure_no_context(data_dir)
    directory = (data_dir or default_data_dir()).absolute()
    if not (directory / "secrets.json").exists():
        raise CommandError(f"No stack has been started on {directory}. Start one with: countersign up")
    return directory


async def _connect(stack: AsyncExitStack, settings: RemoteStackSettings, user: str) -> NatsConnection:
    try:
        connection = await connect(settings.nats_url, user, read_seed(settings), ca_file=settings.nats_ca_file)
    except CountersignError as failure:
        raise CommandError(f"COUNTERSIGN_NATS_URL: {failure.reason}.") from None
    stack.push_async_callback(connection.close)
    return connection


async def _start_server(stack: AsyncExitStack, directory: Path, user: str, sync_interval: str) -> NatsConnection:
    """Start a NATS server on the directory of a stopped stack, for as long as the command runs."""
    secrets = load_or_create(directory)
    logs = directory / "logs"
    logs.mkdir(exist_ok=True)
    ports = nats.NatsPorts(free_port(), free_port())
    server = nats.make_process(directory, secrets, ports, logs, sync_interval)
    await server.start()
    stack.push_async_callback(server.stop)
    connection = await connect(f"nats://127.0.0.1:{ports.client}", user, secrets.seeds[user])
    stack.push_async_callback(connection.close)
    return connection


def _vector_store(stack: AsyncExitStack, directory: Path | None) -> VectorStore:
    """Open the vector store: the Qdrant server that the environment names, else the one in the directory."""
    try:
        base = QdrantSettings(directory=directory / "qdrant" if directory is not None else None).connect()
    except OSError as error:
        raise CommandError(f"COUNTERSIGN_QDRANT_API_KEY_FILE: {error.filename} cannot be read.") from None
    stack.push_async_callback(base.close)
    return base


def read_erasures(data_dir: Path | None, folder: Path | None) -> list[ListedErasure] | None:
    """Return the list of erasures in `folder`, else in the stack's own folder; None if there is no list.

    Raises CommandError.
    """
    named = folder or RemoteStackSettings().erasure_dir
    if named is None and remote_stack(data_dir) is None:
        named = (data_dir or default_data_dir()).absolute() / ERASURES
    elif named is not None and not named.is_dir():
        raise CommandError(f"The folder of erasures {named} is not there.")
    if named is None or not named.is_dir():
        return None
    try:
        return ErasureList(named).read()
    except CountersignError as failure:
        raise CommandError(f"{named}: {failure.reason}.") from None


def is_in_data_dir(folder: Path, data_dir: Path | None) -> bool:
    """Return whether `folder` is in the data directory that would be backed up."""
    return remote_stack(data_dir) is None and os.path.commonpath(
        [folder.absolute(), (data_dir or default_data_dir()).absolute()]
    ) == str((data_dir or default_data_dir()).absolute())
