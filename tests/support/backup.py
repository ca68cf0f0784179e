"""Back up a server and restore it into another one, in this process."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cli.backup import files, manifest
from cli.backup.create import BackupRequest, create_backup
from cli.backup.files import ProgressCallback
from cli.backup.manifest import Manifest
from cli.backup.restore import RestoreResult, RestoreTarget, restore
from cli.backup.vector_export import StoreVectors
from shared.contracts.knowledge import Chunk
from shared.knowledge.embedded_qdrant import EmbeddedQdrant
from shared.knowledge.vector_store import EmbeddedChunk
from shared.messaging.connection import NatsConnection
from shared.messaging.erasures import ListedErasure
from shared.messaging.provision import StreamStorage
from tests.support.server import NatsServer

COLLECTION = "knowledge-embedder"


def no_progress(_what: str, _done: int, _total: int | None) -> None: ...


@asynccontextmanager
async def as_user(server: NatsServer, user: str) -> AsyncIterator[NatsConnection]:
    bus = await server.connect(user)
    yield bus
    await bus.close()


def set_environment(patch: pytest.MonkeyPatch, server: NatsServer, user: str) -> None:
    """Set the environment variables by which commands reach a stack on other machines."""
    seed = server.directory / f"{user}.seed"
    seed.write_text(server.secrets.seeds[user])
    patch.setenv("COUNTERSIGN_NATS_URL", server.url)
    patch.setenv("COUNTERSIGN_NATS_SEED_FILE", str(seed))
    if server.ca_file is not None:
        patch.setenv("COUNTERSIGN_NATS_CA_FILE", str(server.ca_file))
    patch.setenv("COUNTERSIGN_NATS_MONITOR_URL", f"http://127.0.0.1:{server.ports.monitor}")
    patch.setenv("COUNTERSIGN_QDRANT_URL", ":memory:")


async def timers(server: NatsServer, case_id: str) -> list[dict[str, str]]:
    """Those of a case's review, as headers."""
    async with as_user(server, "admin") as bus:
        found = await bus.direct_get(
            "TIMERS", {"seq": 1, "next_by_subj": f"timers.escalation.{case_id}.*", "batch": 10}
        )
        return [dict(message.headers or {}) for message in found]


async def knowledge(folder: Path) -> EmbeddedQdrant:
    base = EmbeddedQdrant(folder)
    await base.ensure_collection(COLLECTION, 4)
    chunk = Chunk(id="c1", source="s", document="d.md", title="t", text="weigh every morning")
    await base.upsert(COLLECTION, [EmbeddedChunk(chunk, (1.0, 0.0, 0.0, 0.0), 1)])
    return base


async def back_up(
    server: NatsServer, folder: Path, tell: ProgressCallback = no_progress, recipient: Path | None = None
) -> Manifest:
    base = await knowledge(folder.parent / "vectors")
    async with as_user(server, "backup") as bus:
        wanted = BackupRequest(folder, bus, StoreVectors(base), f"backup-{folder.name}", datetime.now(UTC), recipient)
        made = await create_backup(wanted, tell)
    await base.close()
    return made


async def restore_backup(
    server: NatsServer,
    folder: Path,
    tell: ProgressCallback = no_progress,
    *,
    replace: bool = False,
    storage: StreamStorage | None = None,
    erasures: tuple[ListedErasure, ...] = (),
) -> RestoreResult:
    found = manifest.read(folder)
    files.verify_files(folder, found, tell)
    base = EmbeddedQdrant(server.directory / "qdrant")
    async with as_user(server, "admin") as bus:
        target = RestoreTarget(bus, base, None, storage or StreamStorage(), erasures)
        done = await restore(folder, found, None, target, tell, replace=replace)
    assert await base.count(COLLECTION, 1) == 1
    await base.close()
    return done
