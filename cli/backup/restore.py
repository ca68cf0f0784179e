"""Puts a backup back into a stack that is empty, its services stopped. May be killed anywhere and run again."""

import io
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nats.js.errors import NotFoundError

from cli.backup import clocks, files
from cli.backup.chains import Chains, expected
from cli.backup.files import Tell
from cli.backup.manifest import Manifest, VectorPart
from cli.backup.sealing import Seal
from cli.errors import CommandError
from shared.knowledge.base import KnowledgeBase
from shared.knowledge.kept import KeptPoint
from shared.messaging import snapshots
from shared.messaging.connection import Bus
from shared.messaging.journal import Journal
from shared.messaging.provision import Keeping, provision
from shared.messaging.snapshots import UNFINISHED, Described, Json
from shared.messaging.topology import all_consumers

# What a stack that has only just been started holds too.
OWN_ACCORD = ("TIMERS", "KV_reconciled", "KV_sessions", "ADVISORIES", "ALERTS", UNFINISHED)
BATCH = 200


@dataclass(frozen=True, slots=True)
class Target:
    """Where a backup is put back to. `bus` is the administrator's."""

    bus: Bus
    base: KnowledgeBase
    declared: Path | None  # folder of the knowledge base's declaration, where it is ours to fill
    replicas: int = 1


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put back."""

    cases: int
    events: int
    points: int
    timers: int
    broken: int  # events whose chain did not hold when the backup was made, and does not now
    repeated: tuple[str, ...]  # consumers that had moved during the backup, and do again what they did meanwhile


async def restore(
    source: Path, manifest: Manifest, seal: Seal | None, target: Target, tell: Tell, *, replace: bool
) -> Restored:
    """Everything as it was. The files have been checked.

    Raises CommandError when the stack is not empty (unless `replace`) or in use, and when the chains do not hold
    afterwards; PermanentError, TransientError.
    """
    bus = target.bus
    await _take_over(bus, manifest.id, replace=replace)
    for number, part in enumerate(manifest.streams):
        tell(f"stream {part.name}", number, len(manifest.streams))
        await _stream(target, Described(part.config, part.state), files.contents(source, part.file, seal))
    await provision(bus, Keeping(target.replicas))
    for item in manifest.rewinds:
        await snapshots.rewind(bus, item.stream, item.consumer, item.floor)
    for vectors in manifest.vectors:
        await _vectors(target.base, vectors, files.contents(source, vectors.file, seal), tell)
    if manifest.declared is not None and target.declared is not None:
        _declare(target.declared, b"".join(files.contents(source, manifest.declared, seal)))
    timers = await clocks.set_clocks(bus)
    chains = await _verify(source, manifest, seal, bus, tell)
    await bus.jetstream.delete_stream(UNFINISHED)
    points = sum(item.points for item in manifest.vectors)
    repeated = tuple(item.consumer for item in manifest.rewinds)
    return Restored(len(chains.heads), chains.events, points, timers, len(chains.broken), repeated)


async def unfinished(bus: Bus) -> str | None:
    """Id of the backup whose restore was begun and not finished."""
    try:
        info = await bus.jetstream.stream_info(UNFINISHED)
    except NotFoundError:
        return None
    return (info.config.metadata or {}).get("backup", "")


async def _take_over(bus: Bus, id: str, *, replace: bool) -> None:
    """The stack is ours to fill, and says so until it is filled."""
    begun = await unfinished(bus)
    if begun is not None and begun != id and not replace:
        raise CommandError("A restore of another backup was begun here: finish that one, or say --replace.")
    busy = await _busy(bus)
    if busy:
        raise CommandError(f"Services are at work on this stack ({', '.join(busy)}): stop them first.")
    held = [] if begun == id or replace else await _held(bus)
    if held:
        raise CommandError(
            f"The stack is not empty ({', '.join(held)}): what it holds would be lost. Restore into an empty one, or "
            "say --replace."
        )
    if begun != id:
        if begun is not None:
            await bus.jetstream.delete_stream(UNFINISHED)
        await bus.jetstream.add_stream(name=UNFINISHED, subjects=["countersign.restoring"], metadata={"backup": id})


async def _busy(bus: Bus) -> list[str]:
    """Services that wait for messages right now."""
    found = set()
    for item in all_consumers():
        try:
            info = await bus.jetstream.consumer_info(item.stream, item.name)
        except NotFoundError:
            continue
        if info.num_waiting:
            found.add(item.service)
    return sorted(found)


async def _held(bus: Bus) -> list[str]:
    """Streams in which something was ever stored, beyond what every start stores."""
    streams = await bus.jetstream.streams_info()
    return sorted(
        str(item.config.name) for item in streams if item.state.last_seq and item.config.name not in OWN_ACCORD
    )


async def _stream(target: Target, described: Described, blocks: Iterator[bytes]) -> None:
    name = described.config["name"]
    with suppress(NotFoundError):
        await target.bus.jetstream.delete_stream(name)
    state: Json = await snapshots.put_back(target.bus, described, blocks, replicas=target.replicas)
    if state["last_seq"] < described.state["last_seq"]:
        raise CommandError(f"Stream {name} came back incomplete: {state['last_seq']} of {described.state['last_seq']}.")


async def _vectors(base: KnowledgeBase, part: VectorPart, blocks: Iterator[bytes], tell: Tell) -> None:
    await base.drop(part.collection)
    if not part.points:
        return
    await base.prepare(part.collection, part.dimensions)
    batch: list[KeptPoint] = []
    done = 0
    for line in files.lines(_unpacked(blocks)):
        batch.append(KeptPoint.model_validate_json(line))
        if len(batch) == BATCH or done + len(batch) == part.points:
            await base.put_back(part.collection, [item.kept for item in batch])
            done += len(batch)
            batch.clear()
            tell(f"vectors {part.collection}", done, part.points)
    await base.settle(part.collection)


def _unpacked(blocks: Iterator[bytes]) -> Iterator[bytes]:
    packing = zlib.decompressobj()
    for block in blocks:
        yield packing.decompress(block)
    yield packing.flush()


def _declare(folder: Path, packed: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")


async def _verify(source: Path, manifest: Manifest, seal: Seal | None, bus: Bus, tell: Tell) -> Chains:
    """Every chain holds that held, and has every event that it had. Raises CommandError."""
    chains = Chains(expected(files.lines(files.contents(source, manifest.trail.file, seal))))
    async for page in Journal(bus, "restore").pages("discharge.>"):
        chains.add(page)
        tell("verifying the chains", chains.events, None)
    if chains.expected:
        lost = sorted({case for case, _ in chains.expected})
        raise CommandError(f"The trail came back without the last events of {len(lost)} cases, {lost[0]} for one.")
    broken = sorted(set(chains.broken) - set(manifest.trail.broken))
    if broken:
        raise CommandError(f"The trail came back changed: event {broken[0]} does not follow from the one before it.")
    return chains
