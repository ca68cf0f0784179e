"""Vector store port and its types.

Adapters: `embedded_qdrant.py` (Qdrant's engine in this process) and `qdrant_server.py` (a Qdrant server).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from shared.contracts.knowledge import Chunk, SearchMode, point_id

DENSE, SPARSE = "dense", "bm25"
CANDIDATES_PER_METHOD = 50  # dense and sparse each, before fusion
RRF_K = 2  # Qdrant's own default; how well it does: docs/explanation/retrieval.md


@dataclass(frozen=True, slots=True)
class EmbeddedChunk:
    """A chunk with its vector, valid from version `since`."""

    chunk: Chunk
    vector: Sequence[float]  # unit length
    since: int

    @property
    def id(self) -> str:
        return point_id(self.chunk.id, self.since)


@dataclass(frozen=True, slots=True)
class VectorQuery:
    """A query for dense and sparse search.

    `about` is the vector that similarity is measured to, where it differs from `vector`.
    """

    text: str
    vector: Sequence[float]
    about: Sequence[float] | None = None


@dataclass(frozen=True, slots=True)
class SearchHit:
    """A chunk that a search found.

    `score` orders the hits of one query. `similarity` is the cosine of the chunk's vector and the query's, in every
    search mode: only it can be compared with a threshold, as a fused rank does not say how near a hit is.
    """

    chunk: Chunk
    score: float
    since: int
    similarity: float


@dataclass(frozen=True, slots=True)
class StoredPoint:
    """A complete point as a backup stores it. The sparse vector is computed again from the text."""

    point: EmbeddedChunk
    until: int


@dataclass(frozen=True, slots=True)
class PointValidity:
    """The versions in which a point is valid: `since <= version < until`."""

    id: str
    since: int
    until: int


@dataclass(frozen=True, slots=True)
class ChunkFilter:
    """The chunks that are valid in `version`, of one document where `source` and `document` are given."""

    version: int
    source: str | None = None
    document: str | None = None

    @property
    def equal(self) -> dict[str, str]:
        """Return the payload fields that must have a value."""
        named = {"source": self.source, "document": self.document}
        return {name: value for name, value in named.items() if value is not None}


class VectorStore(Protocol):
    """Store versioned points in collections, one collection for each embedding model.

    Every call may be repeated. All raise TransientError when the store does not answer, PermanentError when it refuses.
    """

    async def ensure_collection(self, collection: str, dimensions: int) -> None:
        """Create the collection if it does not exist."""
        ...

    async def upsert(self, collection: str, points: Sequence[EmbeddedChunk]) -> None: ...

    async def search(
        self, collection: str, question: VectorQuery, version: int, limit: int, mode: SearchMode
    ) -> list[SearchHit]:
        """Return the best chunks that are valid in `version`, best first, each with its similarity."""
        ...

    async def changed_in(self, collection: str, version: int) -> list[PointValidity]:
        """Return the points that became valid or invalid with `version`."""
        ...

    async def set_valid_until(self, collection: str, ids: Sequence[str], until: int) -> None:
        """Set the version from which these points are invalid; STILL_VALID makes them valid again."""
        ...

    async def expire_before(self, collection: str, version: int) -> None:
        """Make every point that became valid before `version`, and still is, invalid from it."""
        ...

    async def delete(self, collection: str, ids: Sequence[str]) -> None: ...

    async def purge(self, collection: str, version: int) -> None:
        """Delete the points that neither `version` nor a later one shows."""
        ...

    async def collections(self) -> list[str]:
        """Return the names of the existing collections."""
        ...

    async def page(self, collection: str, after: str | None, limit: int, /) -> tuple[list[StoredPoint], str | None]:
        """Return up to `limit` complete points after the cursor `after`, and the next cursor (None at the end)."""
        ...

    async def restore(self, collection: str, points: Sequence[StoredPoint], /) -> None:
        """Write points as a backup stored them."""
        ...

    async def chunks(
        self, collection: str, wanted: ChunkFilter, after: str | None, limit: int, /, *, text: bool
    ) -> tuple[list[Chunk], str | None]:
        """Return a page of chunks without vectors, and the cursor of the next. Without `text`, theirs is empty."""
        ...

    async def drop(self, collection: str, /) -> None:
        """Delete the collection; succeed also when it does not exist."""
        ...

    async def count(self, collection: str, version: int) -> int:
        """Return how many points are valid in `version`."""
        ...

    async def flush(self, collection: str, /) -> None:
        """Make all writes durable and build indexes where they pay."""
        ...

    async def point_alias(self, collection: str, /) -> None:
        """Point the engine's alias at the live collection, for other readers; ours is the live pointer."""
        ...

    async def ready(self) -> bool: ...

    async def close(self) -> None: ...


def is_measured_by_score(question: VectorQuery, mode: SearchMode) -> bool:
    """Return whether the engine's score is the similarity; otherwise the hits' vectors are needed."""
    return mode == "dense" and question.about is None


def similarity(question: VectorQuery, vector: Sequence[float]) -> float:
    """Return the cosine of a chunk's vector and the query's (its `about` where set); 0 for a zero vector."""
    asked = np.asarray(question.vector if question.about is None else question.about, dtype=np.float64)
    found = np.asarray(vector, dtype=np.float64)
    length = float(np.linalg.norm(asked) * np.linalg.norm(found))
    return float(asked @ found) / length if length else 0.0


def payload_of(point: EmbeddedChunk, until: int) -> dict[str, object]:
    return point.chunk.model_dump(mode="json", exclude_none=True) | {"since": point.since, "until": until}


def point_of(payload: dict[str, object], vector: Sequence[float]) -> StoredPoint:
    """Return the point that `payload_of` and its vector were made from."""
    hit = hit_of(payload, 0.0, 0.0)
    return StoredPoint(EmbeddedChunk(hit.chunk, vector, hit.since), int(str(payload["until"])))


FIELDS_WITHOUT_TEXT = ["id", "source", "document", "title", "path", "url", "since"]


def chunk_of(payload: dict[str, object]) -> Chunk:
    """Return the chunk of a payload; its text is empty where that was not read."""
    return hit_of({"text": ""} | payload, 0.0, 0.0).chunk


def hit_of(payload: dict[str, object], score: float, similarity: float) -> SearchHit:
    fields = {name: value for name, value in payload.items() if name not in ("since", "until")}
    return SearchHit(Chunk.model_validate(fields), score, int(str(payload["since"])), similarity)
