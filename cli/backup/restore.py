"""Restore a backup into an empty stack whose services are stopped. Can be killed anywhere and run again."""

import asyncio
import io
import tarfile
import time
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from nats.js.errors import APIError, NotFoundError

from cli.backup import files, timers
from cli.backup.chain_check import ChainCheck, parse_heads
from cli.backup.encryption import BackupKey
from cli.backup.erasures import repeat_erasures
from cli.backup.files import ProgressCallback
from cli.backup.manifest import Manifest, StreamPart, VectorPart
from cli.errors import CommandError
from services.approval.ehr_tasks.hold import DecisionHold, write_hold
from services.approval.filing.last_restore import RestoreRecord, write_last_restore
from shared.contracts.drafters import Declared
from shared.contracts.errors import TransientError
from shared.contracts.events import name_of
from shared.knowledge.backup_point import BackupPoint
from shared.knowledge.vector_store import VectorStore
from shared.messaging import snapshots
from shared.messaging.connection import NatsConnection, sort_api_error
from shared.messaging.drafter_registry import BUCKET as DRAFTERS_BUCKET
from shared.messaging.drafter_registry import STREAM as DRAFTERS
from shared.messaging.erasures import ListedErasure
from shared.messaging.event_store import STREAM as TRAIL
from shared.messaging.event_store import EventStore
from shared.messaging.provision import StreamStorage, placement_error, provision, stream_configs
from shared.messaging.replica_status import wait_until_in_sync
from shared.messaging.snapshots import UNFINISHED, Json, SnapshotRefusedError, StreamSnapshot
from shared.messaging.topology import MOVED, all_consumers

# Streams that hold messages as soon as a stack has started.
STARTUP_STREAMS = (
    *("TIMERS", "REFRESH_TIMERS", "KV_reconciled", "KV_sessions", "ADVISORIES", "ALERTS", UNFINISHED),
    f"KV_{DRAFTERS_BUCKET}",
)
PLACEMENT_TIMEOUT_S, PLACEMENT_RETRY_S = 30.0, 0.5  # servers that have just started may not know each other yet
BATCH_SIZE = 200


@dataclass(frozen=True, slots=True)
class RestoreTarget:
    """The stack to restore into. `bus` is a connection of the admin user."""

    bus: NatsConnection
    base: VectorStore
    declared: Path | None  # folder that declares the knowledge base, of an embedded stack
    storage: StreamStorage = field(default_factory=StreamStorage)
    erasures: tuple[ListedErasure, ...] = ()  # oldest first
    now: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """Counts of what was restored."""

    cases: int
    events: int
    points: int
    timers: int
    broken: int  # events whose chain was broken when the backup was made
    erased: int  # cases erased after the backup was made, and erased again
    repeated: tuple[str, ...]  # consumers that moved during the backup and were rewound


async def restore(
    source: Path,
    manifest: Manifest,
    key: BackupKey | None,
    target: RestoreTarget,
    report_progress: ProgressCallback,
    *,
    replace: bool,
) -> RestoreResult:
    """Restore streams, consumers, vectors and timers, and verify the chains. The files must have been verified.

    Raises CommandError when the stack is not empty (unless `replace`) or in use, or when a chain is not valid
    afterwards; PermanentError, TransientError.
    """
    bus, storage = target.bus, with_previous_placement(manifest, target.storage)
    await _claim_stack(bus, manifest.id, storage, replace=replace)
    await _restore_streams(source, manifest, key, bus, storage, report_progress)
    rewinds = [item for item in manifest.rewinds if (item.stream, item.consumer) not in MOVED]
    for item in rewinds:
        await snapshots.reset_consumer(bus, item.stream, item.consumer, item.floor)
    erased = await repeat_erasures(bus, list(target.erasures), target.now)
    for vectors in manifest.vectors:
        await _vectors(target.base, vectors, files.read_blocks(source, vectors.file, key), report_progress)
    if manifest.declared is not None and target.declared is not None:
        _extract_declaration(target.declared, b"".join(files.read_blocks(source, manifest.declared, key)))
    await _record_restore(bus, manifest, target.now)
    timer_count = await timers.restore_timers(bus)
    chains = await _verify(source, manifest, key, bus, report_progress)
    await bus.jetstream.delete_stream(UNFINISHED)
    points = sum(item.points for item in manifest.vectors)
    repeated = tuple(item.consumer for item in rewinds)
    return RestoreResult(len(chains.heads), chains.events, points, timer_count, len(chains.broken), erased, repeated)


def with_previous_placement(manifest: Manifest, storage: StreamStorage) -> StreamStorage:
    """Return `storage`, with the previous placement for streams that it does not name. Pure."""
    before = {part.name: tuple((part.config.get("placement") or {}).get("tags") or ()) for part in manifest.streams}
    return replace(storage, tags=before | dict(storage.tags))


async def unfinished_restore(bus: NatsConnection) -> str | None:
    """Return the id of the backup whose restore was not finished, if any."""
    try:
        info = await bus.jetstream.stream_info(UNFINISHED)
    except NotFoundError:
        return None
    return (info.config.metadata or {}).get("backup", "")


async def _claim_stack(bus: NatsConnection, id: str, storage: StreamStorage, *, replace: bool) -> None:
    """Mark the stack as being restored. Raises CommandError when it is in use or not empty."""
    begun = await unfinished_restore(bus)
    if begun is not None and begun != id and not replace:
        raise CommandError("A restore of another backup was begun here: finish that one, or add --replace.")
    busy = await _active_services(bus)
    if busy:
        raise CommandError(f"Services are at work on this stack ({', '.join(busy)}): stop them first.")
    held = [] if begun == id or replace else await _non_empty_streams(bus)
    if held:
        raise CommandError(
            f"The stack is not empty ({', '.join(held)}): what it holds would be lost. Restore into an empty stack, or "
            "add --replace."
        )
    if begun != id:
        if begun is not None:
            await bus.jetstream.delete_stream(UNFINISHED)
        await _write_marker(bus, id, storage)


async def _write_marker(bus: NatsConnection, id: str, storage: StreamStorage) -> None:
    """Create the marker with the placement of the event stream, so that a placement error appears before any change."""
    try:
        await bus.jetstream.add_stream(
            name=UNFINISHED,
            subjects=["countersign.restoring"],
            metadata={"backup": id},
            num_replicas=storage.replicas,
            placement=storage.placement(TRAIL),
        )
    except APIError as error:
        raise placement_error(error.err_code, TRAIL, storage) or sort_api_error(error, "restoring") from None


async def _active_services(bus: NatsConnection) -> list[str]:
    """Return the services that currently request messages."""
    found = set()
    for item in all_consumers():
        try:
            info = await bus.jetstream.consumer_info(item.stream, item.name)
        except NotFoundError:
            continue
        if info.num_waiting:
            found.add(item.service)
    return sorted(found)


async def _non_empty_streams(bus: NatsConnection) -> list[str]:
    """Return the streams that ever held a message, except those that every start writes to."""
    streams = [str(item.config.name) for item in await bus.jetstream.streams_info() if item.state.last_seq]
    left_out = {*STARTUP_STREAMS, *(() if await _somebody_moved_drafters(bus) else (DRAFTERS,))}
    return sorted(name for name in streams if name not in left_out)


async def _somebody_moved_drafters(bus: NatsConnection) -> bool:
    """Return whether the stream has more than what drafters declare when they start."""
    try:
        info = await bus.jetstream.stream_info(DRAFTERS, subjects_filter=">")
    except NotFoundError:
        return False
    return not all(subject.endswith(f".{name_of(Declared)}") for subject in info.state.subjects or {})


async def _restore_streams(
    source: Path,
    manifest: Manifest,
    key: BackupKey | None,
    bus: NatsConnection,
    storage: StreamStorage,
    report_progress: ProgressCallback,
) -> None:
    """Restore the streams of the backup, create all others empty, and wait until every replica has them."""
    names = {str(item.name) for item in stream_configs(storage)}
    backed_up = {part.name for part in manifest.streams}
    for name in names - backed_up:  # of a later version: its subjects belonged to another stream
        await snapshots.remove(bus, name)
    for number, part in enumerate(manifest.streams):
        report_progress(f"stream {part.name}", number, len(manifest.streams))
        await _stream(bus, part, storage, files.read_blocks(source, part.file, key))
    await provision(bus, storage)
    await wait_until_in_sync(bus, names, lambda done: report_progress("replicas", done, len(names)))


async def _record_restore(bus: NatsConnection, manifest: Manifest, now: datetime) -> None:
    """Hold the decisions made in the EHR, and record which events the backup had."""
    await write_hold(bus, DecisionHold(held=True, by="restore", why=f"backup {manifest.id} was restored", at=now))
    last = (await bus.jetstream.stream_info(TRAIL)).state.last_seq
    await write_last_restore(bus, RestoreRecord(backup=manifest.id, backed_up=manifest.made_at, at=now, last=last))


async def _stream(bus: NatsConnection, part: StreamPart, storage: StreamStorage, blocks: Iterator[bytes]) -> None:
    """Restore a stream with its final placement, so that it is never on other servers."""
    where = {"num_replicas": storage.replicas, "placement": {"tags": list(storage.tags[part.name])}}
    await snapshots.remove(bus, part.name)
    deadline = time.monotonic() + PLACEMENT_TIMEOUT_S
    while True:
        try:
            state: Json = await snapshots.restore(bus, StreamSnapshot(part.config | where, part.state), blocks)
            break
        except SnapshotRefusedError as refused:  # nothing of `blocks` was read
            error = placement_error(refused.code, part.name, storage)
            if not isinstance(error, TransientError) or time.monotonic() > deadline:
                raise error or refused from None
        await asyncio.sleep(PLACEMENT_RETRY_S)
    if state["last_seq"] < part.state["last_seq"]:
        raise CommandError(f"Stream {part.name} is incomplete: {state['last_seq']} of {part.state['last_seq']}.")


async def _vectors(
    base: VectorStore, part: VectorPart, blocks: Iterator[bytes], report_progress: ProgressCallback
) -> None:
    await base.drop(part.collection)
    if not part.points:
        return
    await base.ensure_collection(part.collection, part.dimensions)
    batch: list[BackupPoint] = []
    done = 0
    for line in files.split_lines(_decompressed(blocks)):
        batch.append(BackupPoint.model_validate_json(line))
        if len(batch) == BATCH_SIZE or done + len(batch) == part.points:
            await base.restore(part.collection, [item.to_stored for item in batch])
            done += len(batch)
            batch.clear()
            report_progress(f"vectors {part.collection}", done, part.points)
    await base.flush(part.collection)


def _decompressed(blocks: Iterator[bytes]) -> Iterator[bytes]:
    packing = zlib.decompressobj()
    for block in blocks:
        yield packing.decompress(block)
    yield packing.flush()


def _extract_declaration(folder: Path, packed: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")


async def _verify(
    source: Path, manifest: Manifest, key: BackupKey | None, bus: NatsConnection, report_progress: ProgressCallback
) -> ChainCheck:
    """Verify that every valid chain is still valid, and that no event is missing. Raises CommandError."""
    chains = ChainCheck(parse_heads(files.split_lines(files.read_blocks(source, manifest.trail.file, key))))
    async for page in EventStore(bus, "restore").pages("discharge.>"):
        chains.add(page)
        report_progress("verifying the chains", chains.events, None)
    if chains.expected:
        lost = sorted({case for case, _ in chains.expected})
        raise CommandError(
            f"The restored event stream lacks the last events of {len(lost)} cases, for example {lost[0]}."
        )
    broken = sorted(set(chains.broken) - set(manifest.trail.broken))
    if broken:
        raise CommandError(f"The restored event stream differs: event {broken[0]} has a wrong previous digest.")
    return chains
