"""Makes a backup of a running stack. Nothing is paused; what moves meanwhile is made right when it is put back.

Streams are read one after the other, while work goes on. A consumer that acknowledged a message after its effect's
stream was read would lose that effect. So positions are noted before anything is read and compared afterwards: who has
moved is put back to where it stood, and what it did since is done again, which every step may be. What is referred to
is read after what refers to it: artifacts after the trail, vectors after the pointer to what is live.
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
from cli.backup.manifest import Manifest, Rewind, StreamPart, Trail, VectorPart
from cli.backup.vector_export import VectorSource
from shared.messaging import snapshots
from shared.messaging.connection import Bus
from shared.messaging.journal import STREAM as TRAIL
from shared.messaging.journal import Journal
from shared.messaging.snapshots import Position
from shared.messaging.topology import BUCKETS, STREAMS, all_consumers

EXCLUDED_BUCKETS = ("sessions",)  # after a restore everybody signs in again
BACKED_UP_STREAMS = (
    *(item.name for item in STREAMS),
    *(f"KV_{name}" for name in BUCKETS if name not in EXCLUDED_BUCKETS),
)


@dataclass(frozen=True, slots=True)
class BackupRequest:
    """What is to be backed up, and how."""

    to: Path
    bus: Bus
    vectors: VectorSource
    id: str
    now: datetime
    recipient: Path | None = None  # PEM file of the public key that the backup is sealed to
    declared: Path | None = None  # the folder that declares the knowledge base, where it is ours to keep


async def create_backup(wanted: BackupRequest, tell: ProgressCallback) -> Manifest:
    """Make it; complete when this returns. Killed half-way it leaves a folder that no restore takes.

    Raises CommandError, PermanentError, TransientError.
    """
    seal, sealed = (None, None) if wanted.recipient is None else create_key(wanted.recipient)
    files.start_backup(wanted.to)
    folder = BackupFolder(wanted.to, seal)
    before = await consumer_positions(wanted.bus)
    streams = []
    for number, name in enumerate(BACKED_UP_STREAMS):
        tell(f"stream {name}", number, len(BACKED_UP_STREAMS))
        streams.append(await _stream(wanted.bus, folder, name))
    trail = await _trail(wanted.bus, folder, next(item for item in streams if item.name == TRAIL), tell)
    vectors = [await _collection(wanted, folder, name, tell) for name in await wanted.vectors.collections()]
    declared = _archive_declaration(wanted.declared, folder)
    made = Manifest(
        id=wanted.id,
        made_at=wanted.now,
        countersign=version("countersign"),
        nats=str(wanted.bus.client.connected_server_version),
        sealed=sealed,
        streams=tuple(streams),
        rewinds=consumers_to_rewind(before, await consumer_positions(wanted.bus)),
        vectors=tuple(vectors),
        declared=declared,
        trail=trail,
        files=tuple(folder.parts),
    )
    manifest.write(wanted.to, made)
    files.finish_backup(wanted.to)
    return made


async def consumer_positions(bus: Bus) -> dict[tuple[str, str], Position | None]:
    """Where every durable consumer stands, by stream and name."""
    return {(item.stream, item.name): await snapshots.position(bus, item.stream, item.name) for item in all_consumers()}


def consumers_to_rewind(
    before: Mapping[tuple[str, str], Position | None], after: Mapping[tuple[str, str], Position | None]
) -> tuple[Rewind, ...]:
    """Where consumers go back to that moved in between."""
    return tuple(
        Rewind(stream=stream, consumer=name, floor=stood.floor if stood else 0)
        for (stream, name), stood in before.items()
        if after[stream, name] != stood
    )


async def _stream(bus: Bus, folder: BackupFolder, name: str) -> StreamPart:
    file = f"streams/{name}.snapshot"
    with folder.file(file) as sink:
        described = await snapshots.take(bus, name, sink.write)
    return StreamPart(file=file, config=described.config, state=described.state)


async def _trail(bus: Bus, folder: BackupFolder, stream: StreamPart, tell: ProgressCallback) -> Trail:
    """The chains up to the snapshot's last event. What does not hold is backed up all the same, and said."""
    last = int(stream.state["last_seq"])
    chains = ChainCheck()
    async for page in Journal(bus, "backup").pages("discharge.>"):
        chains.add(item for item in page if item.sequence <= last)
        tell("reading the chains", chains.events, int(stream.state["messages"]))
        if page[-1].sequence >= last:
            break
    file = "chains.jsonl"
    with folder.file(file) as sink:
        for line in chains.lines():
            sink.write(line)
    broken = tuple(chains.broken)
    return Trail(file=file, cases=len(chains.heads), events=chains.events, broken=broken)


async def _collection(wanted: BackupRequest, folder: BackupFolder, name: str, tell: ProgressCallback) -> VectorPart:
    file = f"vectors/{name}.jsonl.z"
    packing = zlib.compressobj(1)
    points = dimensions = 0
    after: str | None = None
    with folder.file(file) as sink:
        while True:
            page, after = await wanted.vectors.page(name, after)
            for point in page:
                sink.write(packing.compress(point.model_dump_json(exclude_none=True).encode() + b"\n"))
                dimensions = len(point.to_stored.point.vector)
            points += len(page)
            tell(f"vectors {name}", points, None)
            if after is None:
                break
        sink.write(packing.flush())
    return VectorPart(file=file, collection=name, dimensions=dimensions, points=points)


def _archive_declaration(source: Path | None, folder: BackupFolder) -> str | None:
    """The folder that declares the knowledge base and holds what was uploaded: without it, the next refresh would find
    those documents gone.
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
