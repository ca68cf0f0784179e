"""Query the knowledge base. Drafts, golden queries and people all search through this module."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.contracts.errors import PermanentError
from shared.contracts.knowledge import RelevanceThreshold, SearchMode
from shared.inference.embeddings import Embedder
from shared.inference.triton import INTERACTIVE_PRIORITY
from shared.knowledge.live import LiveBucket
from shared.knowledge.vector_store import SearchHit, VectorQuery, VectorStore
from shared.messaging.connection import NatsConnection

QUERY_DEADLINE_S = 10.0
HITS_PER_QUERY = 5  # passages considered for each query
CITATIONS_PER_QUERY = 2  # of these, the maximum cited


@dataclass(frozen=True, slots=True)
class VersionRef:
    """A version with its collection, embedding model and search settings."""

    version: int
    collection: str
    embedder: str
    search: SearchMode
    relevance: RelevanceThreshold = field(default_factory=RelevanceThreshold)


@dataclass(frozen=True, slots=True)
class Query:
    """A query text. `about`: the text that similarity is measured to, where it is not the whole query."""

    text: str
    about: str | None = None


class NoSuchVersionError(PermanentError):
    """No version is live, or the requested version does not exist."""


class Retriever:
    """Embed queries and search a version of the knowledge base."""

    def __init__(self, bus: NatsConnection, embedder: Embedder, base: VectorStore) -> None:
        self._embedder = embedder
        self._base = base
        self._live = LiveBucket(bus)

    async def resolve(self, version: int | None = None) -> VersionRef:
        """Return the given version, or the live one.

        Raises NoSuchVersionError.
        """
        if version is not None:
            record = await self._live.version(version)
            if record is None:
                raise NoSuchVersionError(f"there is no version {version}")
            return VersionRef(version, record.collection, record.embedder, record.search, record.relevance)
        live, _ = await self._live.live()
        if live is None:
            raise NoSuchVersionError("no version of the knowledge base is live")
        return VersionRef(live.version, live.collection, live.embedder, live.search, live.relevance)

    async def search(
        self, text: str, at: VersionRef, *, limit: int, priority: int = INTERACTIVE_PRIORITY
    ) -> list[SearchHit]:
        """Return the best chunks for `text` in version `at`, best first, each with its similarity."""
        (hits,) = await self.search_batch([Query(text)], at, limit=limit, priority=priority)
        return hits

    async def search_batch(
        self, queries: Sequence[Query], at: VersionRef, *, limit: int, priority: int = INTERACTIVE_PRIORITY
    ) -> list[list[SearchHit]]:
        """Return the hits of `search` for each query. The queries are embedded in one batch."""
        texts = list(dict.fromkeys(text for item in queries for text in (item.text, item.about or item.text)))
        if not texts:
            return []
        embedded = await self._embedder.embed(at.embedder, texts, priority=priority, deadline=QUERY_DEADLINE_S)
        vectors = dict(zip(texts, (vector.tolist() for vector in embedded), strict=True))
        vector_queries = [
            VectorQuery(item.text, vectors[item.text], None if item.about is None else vectors[item.about])
            for item in queries
        ]
        return list(
            await asyncio.gather(
                *(self._base.search(at.collection, query, at.version, limit, at.search) for query in vector_queries)
            )
        )


def most_similar(hits: Sequence[SearchHit]) -> list[SearchHit]:
    """Return the hits that a draft may cite, most similar first."""
    return sorted(hits[:HITS_PER_QUERY], key=lambda hit: -hit.similarity)[:CITATIONS_PER_QUERY]
