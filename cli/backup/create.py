"""Create a backup of a running stack. Nothing is paused; a restore corrects what changed during the backup.

Streams are read one after the other. If a consumer acknowledged a message after the stream with its effect was read,
the effect would be missing. So the positions of all consumers are recorded before and compared after: a consumer that
moved is rewound by the restore and processes those messages again, which is safe for every step. Data is read after
what refers to it: artifacts after the events, vectors after the pointer to the live version.
"""

import io
import tarfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from cli.backup import files, manifest
from cli.backup.chain_check import ChainCheck
from cli.backup.encryption import create_key
from cli.backup.files import BackupFolder, ProgressCallback
from cli.backup.manifest import ChainHeads, Manifest, Rewind, StreamPart, VectorPart
from cli.backup.vector_export import VectorSource
from shared.messaging import snapshots
from shared.messaging.connection import NatsConnection
from shared.messaging.declared_buckets import BUCKETS
from shared.messaging.event_store import STREAM as TRAIL
from shared.messaging.event_store import EventStore
from shared.messaging.snapshots import Position
from shared.messaging.topology import STREAMS, all_consumers

# After a restore everyone signs in again, and what requests have done since is not there.
EXCLUDED_BUCKETS = ("sessions", "idempotency")
BACKED_UP_STREAMS = (
    *(item.name for item in STREAMS),
    *(f"KV_{name}" for name in BUCKETS if name not in EXCLUDED_BUCKETS),
)


@dataclass(frozen=True, slots=True)
class BackupRequest:
    """What to back up, and how."""

    to: Path
    bus: NatsConnection
    vectors: VectorSource
    id: str
    now: datetime
    recipient: Path | None = None  # PEM file of the public key to encrypt to
    declared: Path | None = None  # folder that declares the knowledge base, of an embedded stack


async def create_backup(request: BackupRequest, report_progress: ProgressCallback) -> Manifest:
    """Create the backup; it is complete when this returns. If killed, it leaves a folder that no restore accepts.

    Raises CommandError, PermanentError, TransientError.
    """
    key, sealed = (None, None) if request.recipient is None else create_key(request.recipient)
    files.start_backup(request.to)
    folder = BackupFolder(request.to, key)
    before = await consumer_positions(request.bus)
    streams = []
    for number, name in enumerate(BACKED_UP_STREAMS):
        report_progress(f"stream {name}", number, len(BACKED_UP_STREAMS))
        streams.append(await _stream(request.bus, folder, name))
    trail = await _trail(request.bus, folder, next(item for item in streams if item.name == TRAIL), report_progress)
    vectors = [
        await _collection(request, folder, name, report_progress) for name in await request.vectors.collections()
    ]
    declared = _archive_declaration(request.declared, folder)
    made = Manifest(
        id=request.id,
        made_at=request.now,
        countersign=version("countersign"),
        nats=str(request.bus.client.connected_server_version),
        sealed=sealed,
        streams=tuple(streams),
        rewinds=consumers_to_rewind(before, await consumer_positions(request.bus)),
        vectors=tuple(vectors),
        declared=declared,
        trail=trail,
        files=tuple(folder.parts),
    )
    manifest.write(request.to, made)
    files.finish_backup(request.to)
    return made


async def consumer_positions(bus: NatsConnection) -> dict[tuple[str, str], Position | None]:
    """Return the position of every durable consumer, by stream and name."""
    return {(item.stream, item.name): await snapshots.position(bus, item.stream, item.name) for item in all_consumers()}


def consumers_to_rewind(
    before: Mapping[tuple[str, str], Position | None], after: Mapping[tuple[str, str], Position | None]
) -> tuple[Rewind, ...]:
    """Return the previous positions of the consumers that moved in between."""
    return tuple(
        Rewind(stream=stream, consumer=name, floor=stood.floor if stood else 0)
        for (stream, name), stood in before.items()
        if after[stream, name] != stood
    )


async def _stream(bus: NatsConnection, folder: BackupFolder, name: str) -> StreamPart:
    file = f"streams/{name}.snapshot"
    with folder.file(file) as sink:
        described = await snapshots.snapshot(bus, name, sink.write)
    return StreamPart(file=file, config=described.config, state=described.state)


async def _trail(
    bus: NatsConnection, folder: BackupFolder, stream: StreamPart, report_progress: ProgressCallback
) -> ChainHeads:
    """Write the chain heads up to the last event of the snapshot. Broken chains are backed up too, and reported."""
    last = int(stream.state["last_seq"])
    chains = ChainCheck()
    async for page in EventStore(bus, "backup").pages("discharge.>"):
        chains.add(item for item in page if item.sequence <= last)
        report_progress("reading the chains", chains.events, int(stream.state["messages"]))
        if page[-1].sequence >= last:
            break
    file = "chains.jsonl"
    with folder.file(file) as sink:
        for line in chains.lines():
            sink.write(line)
    broken = tuple(chains.broken)
    return ChainHeads(file=file, cases=len(chains.heads), events=chains.events, broken=broken)


async def _collection(
    request: BackupRequest, folder: BackupFolder, name: str, report_progress: ProgressCallback
) -> VectorPart:
    file = f"vectors/{name}.jsonl.z"
    packing = zlib.compressobj(1)
    points = dimensions = 0
    after: str | None = None
    with folder.file(file) as sink:
        while True:
            page, after = await request.vectors.page(name, after)
            for point in page:
                sink.write(packing.compress(point.model_dump_json(exclude_none=True).encode() + b"\n"))
                dimensions = len(point.to_stored.point.vector)
            points += len(page)
            report_progress(f"vectors {name}", points, None)
            if after is None:
                break
        sink.write(packing.flush())
    return VectorPart(file=file, collection=name, dimensions=dimensions, points=points)


def _archive_declaration(source: Path | None, folder: BackupFolder) -> str | None:
    """Archive the folder that declares the knowledge base and holds its uploads.

    Without it, the next refresh would treat those documents as deleted.
    """
    if source is None or not source.is_dir():
        return None
    file = "knowledge.tar"
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(source, arcname=".")
    with folder.file(file) as sink:
        sink.write(packed.getvalue())
    return file
