"""The documents of each version of the knowledge base, kept for ever: a draft that cites a version can be explained
when its passages are purged. Keys `documents.<version>.<page>` of the bucket `live`.

A version lists the documents that have changed since the one that it `follows`, so that a night without changes costs
nothing.
"""

from collections.abc import Iterator, Sequence

from pydantic import Field

from shared.contracts.knowledge import DocumentEntry
from shared.contracts.model import Model
from shared.knowledge.document_index import DocumentIndex
from shared.knowledge.live import BUCKET
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection

PREFIX = "documents"
LAST = f"{PREFIX}.last"  # the newest version that is listed
PAGE = 500  # documents in a message


class ListedDocument(Model):
    """A document of a version."""

    source: str = Field(description="source that it comes from")
    document: str = Field(description="its name in the source")
    digest: str = Field(description="SHA-256 of its content; empty where the source had none")
    passages: int = Field(description="passages that it was split into")
    unreadable: bool = Field(default=False, description="its newest content could not be read: the one before is used")
    removed: bool = Field(default=False, description="it is gone from the source")

    @classmethod
    def of(cls, entry: DocumentEntry) -> "ListedDocument":
        return cls(
            source=entry.source,
            document=entry.document,
            digest=entry.fingerprint.digest,
            passages=len(entry.chunks),
            unreadable=entry.unreadable is not None,
            removed=entry.removed,
        )


class ListedVersion(Model):
    """The newest version that is listed."""

    version: int


class DocumentsPage(Model):
    """A part of the documents that have changed with a version."""

    follows: int  # version whose documents are the others; 0: these are all
    pages: int
    documents: tuple[ListedDocument, ...]


class VersionDocuments:
    """Lists the documents of a version, and reads the list."""

    def __init__(self, bus: NatsConnection) -> None:
        self._bucket = Bucket(bus, BUCKET)
        self._index = DocumentIndex(bus)

    async def put(self, version: int) -> None:
        """List the documents of the newest complete version. One that is listed already stays as it is."""
        stored = await self._bucket.get(LAST)
        follows = ListedVersion.read(stored.value).version if stored is not None else 0
        if version <= follows:
            return
        changed = []
        for source in await self._index.sources():
            async for entry in self._index.entries(source):
                if entry.target > version:
                    return  # the index is that of a later version
                if entry.target > follows and not (entry.removed and not follows):
                    changed.append(ListedDocument.of(entry))
        pages = list(_pages(changed))
        for number, documents in enumerate(pages, 1):
            page = DocumentsPage(follows=follows, pages=len(pages), documents=tuple(documents))
            await self._bucket.put(f"{PREFIX}.{version}.{number}", page.model_dump_json().encode())
        # Last, so that a version counts as listed when it is: a process that died before makes the same list again.
        await self._bucket.put(LAST, ListedVersion(version=version).model_dump_json().encode())

    async def of(self, version: int) -> list[ListedDocument] | None:
        """Return the documents of a version; None where it was made before versions were listed."""
        found: dict[tuple[str, str], ListedDocument] = {}
        while version:
            first = await self._page(version, 1)
            if first is None:
                return None
            for number in range(1, first.pages + 1):
                page = first if number == 1 else await self._page(version, number)
                for item in page.documents if page is not None else ():
                    found.setdefault((item.source, item.document), item)  # the newest comes first
            version = first.follows
        return [found[key] for key in sorted(found) if not found[key].removed]

    async def _page(self, version: int, number: int) -> DocumentsPage | None:
        stored = await self._bucket.get(f"{PREFIX}.{version}.{number}")
        return DocumentsPage.read(stored.value) if stored is not None else None


def _pages(documents: Sequence[ListedDocument]) -> Iterator[Sequence[ListedDocument]]:
    """Yield pages, at least one."""
    for start in range(0, len(documents) or 1, PAGE):
        yield documents[start : start + PAGE]
