"""A process that dies between any two writes of a refresh: live is untouched, and the restart completes it, whole."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from shared.contracts.knowledge import STILL_VALID, point_id
from shared.knowledge.document_index import DocumentIndex
from shared.knowledge.version_documents import VersionDocuments
from shared.messaging import pull_subscriber
from shared.messaging.connection import NatsConnection
from shared.messaging.topology_model import Consumer
from tests.support.embedder import HashEmbedder
from tests.support.knowledge import TOPICS, KnowledgeStack, Library, running
from tests.support.server import NatsServer
from tests.support.stack import until

pytestmark = [pytest.mark.connected, pytest.mark.system, pytest.mark.timeout(180)]

WRITES = (1, 2, 3, 5, 6, 8, 9, 10, 13, 20, *range(28, 37))  # a refresh of this library writes 36 times


class Death:
    """Every write hangs from the `at`-th on, before or after it reached the server, as if the process were no more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
        self._at = at
        self._count = 0
        self._armed = False
        self.came = asyncio.Event()
        real = NatsConnection.publish

        async def publish(bus: NatsConnection, subject: str, *args: Any, **sent: Any) -> Any:
            if not self._armed or subject.startswith("$JS."):
                return await real(bus, subject, *args, **sent)
            self._count += 1
            if self._count < self._at:
                return await real(bus, subject, *args, **sent)
            if self._count == self._at and self._at % 2:
                await real(bus, subject, *args, **sent)
            self.came.set()
            return await asyncio.Event().wait()

        monkeypatch.setattr(NatsConnection, "publish", publish)

    def arm(self) -> None:
        self._armed = True

    def disarm(self) -> None:
        self._armed = False


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages of the dead come back soon, and nobody waits for their work."""
    monkeypatch.setattr(Consumer, "ack_wait", 1.5)
    monkeypatch.setattr(pull_subscriber, "STOP_TIMEOUT_S", 0.05)


@pytest.mark.parametrize("at", WRITES)
@pytest.mark.usefixtures("quick")
async def test_a_death_anywhere_leaves_live_and_the_restart_completes(
    nats: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    library = Library(tmp_path / "library", (*TOPICS, "plague", "ague", "dropsy"))
    library.declare(promotion={"mrr": 0.5, "margin": 1.0})
    await nats.provision()
    async with running(nats, library.file) as knowledge:
        assert (await knowledge.refresh())["state"] == "promoted"
    for topic in TOPICS:
        library.write(topic, "sun and air")
    (library.documents / "plague.md").unlink()
    death = Death(monkeypatch, at)
    refresh = ""
    async with running(nats, library.file) as knowledge:
        death.arm()
        begun = asyncio.create_task(knowledge.begin())
        await asyncio.wait(
            [begun, asyncio.create_task(death.came.wait())], return_when=asyncio.ALL_COMPLETED, timeout=3
        )
        refresh = begun.result() if begun.done() else ""
        begun.cancel()
        assert death.came.is_set(), "the refresh writes less often than this: nobody died"
        death.disarm()
        assert await knowledge.live() in (1, 2)
        if not await _promoted(knowledge):
            assert "rest and water" in (await knowledge.search("care of gout"))[0]["text"]
        death.arm()
    death.disarm()
    if at % 2:  # another change while it was dead must not be lost or doubled either
        library.write("gout", "cherries")
    async with running(nats, library.file) as knowledge:
        if refresh:
            await knowledge.ended(refresh)
        await knowledge.refresh()

        async def idle() -> bool:
            return (await knowledge.status())["refreshing"] is None

        await until(idle, "the next in the row")  # its end is on the trail first, then it gives up its turn
        await check(knowledge, library)


async def _promoted(knowledge: KnowledgeStack) -> bool:
    return await knowledge.live() == 2


async def check(knowledge: KnowledgeStack, library: Library) -> None:
    """What is live shows each chunk of each document once, and nothing else; earlier versions are as they were."""
    live = await knowledge.live()
    assert live is not None
    bus = await knowledge.bus()
    indexed = {entry.document: entry async for entry in DocumentIndex(bus).entries("library") if not entry.removed}
    listed = {item.document: item.digest for item in await VersionDocuments(bus).of(live) or ()}
    assert listed == {name: entry.fingerprint.digest for name, entry in indexed.items()}
    wanted = [
        point_id(chunk, since) async for entry in DocumentIndex(bus).entries("library") for chunk, since in entry.chunks
    ]
    await bus.close()
    assert len(wanted) == len(set(wanted)) == 2 * len(list(library.documents.glob("*.md")))
    shown: list[str] = []
    for version in range(1, live + 1):
        for point in await knowledge.base.changed_in("knowledge-embedder", version):
            if point.since == version and point.until == STILL_VALID:
                shown.append(point.id)
    assert sorted(shown) == sorted(wanted)
    assert await knowledge.base.count("knowledge-embedder", live) == len(wanted)
    assert await knowledge.base.count("knowledge-embedder", 1) == 46
    found = [item["text"] for item in await knowledge.search("care of gout", k=50)]
    assert len(found) == len(set(found))


async def test_a_base_that_lost_points_is_repaired_before_it_is_judged(nats: NatsServer, tmp_path: Path) -> None:
    """As after a power cut: the bus has every batch as indexed, the base does not have all of them."""
    library = Library(tmp_path / "library")
    await nats.provision()
    embedder = HashEmbedder()
    async with running(nats, library.file, embedder) as knowledge:
        real = knowledge.base.changed_in
        lost: list[str] = []

        async def touched(collection: str, version: int) -> Any:
            if not lost:
                lost.extend(point.id for point in (await real(collection, version))[:3])
                await knowledge.base.delete(collection, lost)
            return await real(collection, version)

        knowledge.base.changed_in = touched  # type: ignore[method-assign]
        result = await knowledge.refresh()
        assert (result["state"], result["repaired"], result["passages"]) == ("promoted", 3, 40)


async def test_the_bus_killed_in_the_middle_loses_and_doubles_nothing(nats: NatsServer, tmp_path: Path) -> None:
    library = Library(tmp_path / "library", tuple(f"{topic}{number}" for topic in TOPICS for number in range(8)))
    await nats.provision()
    async with running(nats, library.file) as knowledge:
        refresh = await knowledge.begin()

        async def some() -> bool:
            return len(knowledge.embedder.texts) >= 60

        await until(some, "a few batches")
        nats.kill()
        nats.start()
        result = await knowledge.ended(refresh)
        assert (result["state"], result["passages"]) == ("promoted", 320)
