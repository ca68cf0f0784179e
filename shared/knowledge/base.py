"""The vector base as a port. Adapters: Qdrant Edge in this process (edge.py), a Qdrant server (server.py)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from shared.contracts.knowledge import Chunk, Search, point_id

DENSE, SPARSE = "dense", "bm25"
CANDIDATES = 50  # of each kind before they are fused
RRF_K = 2  # Qdrant's own default; how well it does: docs/explanation/retrieval.md


@dataclass(frozen=True, slots=True)
class Embedded:
    """A chunk with its vector, as version `since` brings it."""

    chunk: Chunk
    vector: Sequence[float]  # unit length
    since: int

    @property
    def id(self) -> str:
        return point_id(self.chunk.id, self.since)


@dataclass(frozen=True, slots=True)
class Question:
    """What is searched for, both ways. `about`: the vector that similarity is measured to, where it is another one."""

    text: str
    vector: Sequence[float]
    about: Sequence[float] | None = None


@dataclass(frozen=True, slots=True)
class Hit:
    """A chunk that a search found.

    `score` orders the hits of one question. `similarity` is the cosine of the chunk's vector and the question's, in
    every way of searching: only it can be held against a threshold, as a fused rank does not say how near a hit is.
    """

    chunk: Chunk
    score: float
    since: int
    similarity: float


@dataclass(frozen=True, slots=True)
class Kept:
    """A point whole, as a backup keeps it. The words' own vector is made again from the text."""

    point: Embedded
    until: int


@dataclass(frozen=True, slots=True)
class Placed:
    """Where a point stands between versions."""

    id: str
    since: int
    until: int


class KnowledgeBase(Protocol):
    """Versioned points in collections, one collection an embedding model.

    Every call may be repeated. All raise TransientError when the base does not answer, PermanentError when it refuses.
    """

    async def prepare(self, collection: str, dimensions: int) -> None:
        """Make the collection unless it is there."""
        ...

    async def upsert(self, collection: str, points: Sequence[Embedded]) -> None: ...

    async def search(self, collection: str, question: Question, version: int, limit: int, mode: Search) -> list[Hit]:
        """The best chunks of what `version` shows, best first, each with its similarity."""
        ...

    async def touched(self, collection: str, version: int) -> list[Placed]:
        """Points that came or left with `version`."""
        ...

    async def place(self, collection: str, ids: Sequence[str], until: int) -> None:
        """Say with which version these points left; OPEN takes it back."""
        ...

    async def retire_before(self, collection: str, version: int) -> None:
        """Everything that came before `version` and has not left yet leaves with it."""
        ...

    async def delete(self, collection: str, ids: Sequence[str]) -> None: ...

    async def forget(self, collection: str, version: int) -> None:
        """Delete what neither `version` nor a later one shows."""
        ...

    async def collections(self) -> list[str]:
        """Names of those that are there."""
        ...

    async def page(self, collection: str, after: str | None, limit: int, /) -> tuple[list[Kept], str | None]:
        """`limit` points whole, from the cursor `after` on, and the cursor of the next page; None at the end."""
        ...

    async def put_back(self, collection: str, points: Sequence[Kept], /) -> None:
        """Points as they were."""
        ...

    async def drop(self, collection: str, /) -> None:
        """The collection is not there any more, whether or not it was."""
        ...

    async def count(self, collection: str, version: int) -> int:
        """How many points `version` shows."""
        ...

    async def settle(self, collection: str, /) -> None:
        """Make everything durable, and build the indexes that pay."""
        ...

    async def point_alias(self, collection: str, /) -> None:
        """Tell others which collection is live, where the engine has aliases; ours is the live pointer."""
        ...

    async def ready(self) -> bool: ...

    async def close(self) -> None: ...


def is_measured_by_score(question: Question, mode: Search) -> bool:
    """Whether the engine's own score is the similarity; else the vectors of the hits are asked for."""
    return mode == "dense" and question.about is None


def similarity(question: Question, vector: Sequence[float]) -> float:
    """The cosine of the question's vector, or of what it is about, and a chunk's; 0 where one of them is nothing."""
    asked = np.asarray(question.vector if question.about is None else question.about, dtype=np.float64)
    found = np.asarray(vector, dtype=np.float64)
    length = float(np.linalg.norm(asked) * np.linalg.norm(found))
    return float(asked @ found) / length if length else 0.0


def payload_of(point: Embedded, until: int) -> dict[str, object]:
    return point.chunk.model_dump(mode="json", exclude_none=True) | {"since": point.since, "until": until}


def kept_of(payload: dict[str, object], vector: Sequence[float]) -> Kept:
    """The point that `payload_of` and its vector were made from."""
    hit = hit_of(payload, 0.0, 0.0)
    return Kept(Embedded(hit.chunk, vector, hit.since), int(str(payload["until"])))


def hit_of(payload: dict[str, object], score: float, similarity: float) -> Hit:
    fields = {name: value for name, value in payload.items() if name not in ("since", "until")}
    return Hit(Chunk.model_validate(fields), score, int(str(payload["since"])), similarity)
