"""The documents of a version are listed once, as changes, and can be read for every version that was listed."""

from collections.abc import AsyncIterator

import pytest

from shared.contracts.knowledge import DocumentEntry, Fingerprint
from shared.knowledge import version_documents
from shared.knowledge.document_index import DocumentIndex
from shared.knowledge.version_documents import VersionDocuments
from shared.messaging.connection import NatsConnection
from tests.support.server import NatsServer

pytestmark = [pytest.mark.connected, pytest.mark.timeout(60)]


@pytest.fixture
async def bus(nats: NatsServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[NatsConnection]:
    monkeypatch.setattr(version_documents, "PAGE", 2)
    await nats.provision()
    found = await nats.connect("admin")
    await DocumentIndex(found).add_sources(["library"])
    yield found
    await found.close()


async def index(bus: NatsConnection, version: int, *, removed: bool = False, **digests: str) -> None:
    """Put documents with their digests into the index, as a refresh does."""
    entries = [
        DocumentEntry(
            source="library",
            document=name,
            fingerprint=Fingerprint(digest=digest),
            collection="c",
            target=version,
            refresh="r",
            change="removed" if removed else "changed",
        )
        for name, digest in digests.items()
    ]
    await DocumentIndex(bus).put(entries)


async def listed(documents: VersionDocuments, version: int) -> dict[str, str] | None:
    found = await documents.of(version)
    return {item.document: item.digest for item in found} if found is not None else None


async def test_each_version_has_its_documents_after_later_ones(bus: NatsConnection) -> None:
    documents = VersionDocuments(bus)
    await index(bus, 7, a="a7", b="b7", c="c7")  # the versions before were made by an earlier release
    await documents.put(7)
    await index(bus, 8, d="d8")  # a refresh that failed
    await index(bus, 9, a="a9")
    await index(bus, 9, c="c7", removed=True)
    await documents.put(9)
    await documents.put(10)  # nothing has changed
    await index(bus, 11, c="c11")
    await documents.put(11)
    assert await listed(documents, 7) == {"a": "a7", "b": "b7", "c": "c7"}
    assert await listed(documents, 9) == {"a": "a9", "b": "b7", "d": "d8"}
    assert await listed(documents, 10) == await listed(documents, 9)
    assert await listed(documents, 11) == {"a": "a9", "b": "b7", "c": "c11", "d": "d8"}
    assert await listed(documents, 6) is None
    assert await listed(documents, 8) is None


async def test_a_version_that_is_listed_stays_as_it_is(bus: NatsConnection) -> None:
    documents = VersionDocuments(bus)
    await index(bus, 1, a="a1")
    await documents.put(1)
    await index(bus, 2, a="a2")
    await documents.put(1)  # it is evaluated again while the next one is being made
    assert await listed(documents, 1) == {"a": "a1"}
    await index(bus, 3, a="a3")
    await documents.put(2)  # delivered again when the index is that of a later version
    assert await listed(documents, 2) is None
    await documents.put(3)
    assert await listed(documents, 3) == {"a": "a3"}
