"""Run Qdrant's engine in this process: one directory for each collection, one process at a time."""

import asyncio
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import qdrant_edge as edge

from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.knowledge import STILL_VALID, Chunk, SearchMode
from shared.knowledge.sparse import BM25
from shared.knowledge.vector_store import (
    CANDIDATES_PER_METHOD,
    DENSE,
    FIELDS_WITHOUT_TEXT,
    RRF_K,
    SPARSE,
    ChunkFilter,
    EmbeddedChunk,
    PointValidity,
    SearchHit,
    StoredPoint,
    VectorQuery,
    chunk_of,
    hit_of,
    is_measured_by_score,
    payload_of,
    point_of,
    similarity,
)

T = TypeVar("T")
PAGE_SIZE = 1000
COMPLETE_MARKER = "complete"  # in a collection's directory once it is complete


class EmbeddedQdrant:
    """Store collections as folders of `directory`.

    Writes are serialized; searches run concurrently with them.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._shards: dict[str, edge.EdgeShard] = {}
        self._unfinished: set[str] = set()  # being created: its directory exists and must not be opened yet
        self._making = asyncio.Lock()
        self._writing = asyncio.Lock()

    async def ensure_collection(self, collection: str, dimensions: int) -> None:
        async with self._making:
            if self._find(collection) is not None:
                return
            self._unfinished.add(collection)
            try:
                self._shards[collection] = await asyncio.to_thread(_create, self._directory / collection, dimensions)
            finally:
                self._unfinished.discard(collection)

    async def upsert(self, collection: str, points: Sequence[EmbeddedChunk]) -> None:
        await self.restore(collection, [StoredPoint(point, STILL_VALID) for point in points])

    async def restore(self, collection: str, points: Sequence[StoredPoint]) -> None:
        made = [
            edge.Point(
                point.id,
                {DENSE: list(point.vector), SPARSE: BM25.embed_document(point.chunk.text_to_embed)},
                payload_of(point, kept.until),
            )
            for kept in points
            for point in (kept.point,)
        ]
        await self._update(collection, edge.UpdateOperation.upsert_points(made))

    async def collections(self) -> list[str]:
        return await asyncio.to_thread(_complete, self._directory)

    async def page(self, collection: str, after: str | None, limit: int) -> tuple[list[StoredPoint], str | None]:
        request = edge.ScrollRequest(offset=after, limit=limit, with_payload=True, with_vector=True)
        found, following = await self._call(collection, lambda shard: shard.scroll(request))
        points = [point_of(dict(item.payload or {}), _dense(item.vector)) for item in found]
        return points, None if following is None else str(following)

    async def chunks(
        self, collection: str, wanted: ChunkFilter, after: str | None, limit: int, *, text: bool
    ) -> tuple[list[Chunk], str | None]:
        among = [_is(name, value) for name, value in wanted.equal.items()]
        fields = True if text else edge.PayloadSelector.Include(FIELDS_WITHOUT_TEXT)
        request = edge.ScrollRequest(
            offset=after, limit=limit, filter=_visible(wanted.version, *among), with_payload=fields
        )
        found, following = await self._call(collection, lambda shard: shard.scroll(request))
        return [chunk_of(dict(item.payload or {})) for item in found], None if following is None else str(following)

    async def search(
        self, collection: str, question: VectorQuery, version: int, limit: int, mode: SearchMode
    ) -> list[SearchHit]:
        request = _request(question, version, limit, mode)
        found = await self._call(collection, lambda shard: shard.query(request))
        if is_measured_by_score(question, mode):
            return [hit_of(dict(point.payload or {}), point.score, point.score) for point in found]
        return [
            hit_of(dict(point.payload or {}), point.score, similarity(question, _dense(point.vector)))
            for point in found
        ]

    async def changed_in(self, collection: str, version: int) -> list[PointValidity]:
        either = edge.Filter(should=[_is("since", version), _is("until", version)])
        return await self._call(collection, lambda shard: _scroll(shard, either))

    async def set_valid_until(self, collection: str, ids: Sequence[str], until: int) -> None:
        if ids:
            await self._update(collection, edge.UpdateOperation.set_payload(list(ids), {"until": until}))

    async def expire_before(self, collection: str, version: int) -> None:
        older = edge.Filter(must=[_range("since", lt=version), _is("until", STILL_VALID)])
        await self._update(collection, edge.UpdateOperation.set_payload_by_filter(older, {"until": version}))

    async def delete(self, collection: str, ids: Sequence[str]) -> None:
        if ids:
            await self._update(collection, edge.UpdateOperation.delete_points(list(ids)))

    async def purge(self, collection: str, version: int) -> None:
        gone = edge.Filter(must=[_range("until", lte=version)])
        await self._update(collection, edge.UpdateOperation.delete_points_by_filter(gone))

    async def count(self, collection: str, version: int) -> int:
        if self._find(collection) is None:
            return 0
        request = edge.CountRequest(filter=_visible(version))
        return await self._call(collection, lambda shard: shard.count(request))

    async def drop(self, collection: str) -> None:
        async with self._making, self._writing:
            if (shard := self._find(collection)) is not None:
                await asyncio.to_thread(shard.close)
                del self._shards[collection]
            await asyncio.to_thread(shutil.rmtree, self._directory / collection, ignore_errors=True)

    async def flush(self, collection: str) -> None:
        async with self._writing:
            await self._call(collection, _make_durable)

    async def point_alias(self, _collection: str) -> None:
        return None

    async def ready(self) -> bool:
        return True

    async def close(self) -> None:
        async with self._writing:
            for shard in self._shards.values():
                await asyncio.to_thread(shard.close)
            self._shards.clear()

    def _find(self, collection: str) -> edge.EdgeShard | None:
        folder = self._directory / collection
        if collection in self._unfinished:
            return None
        if collection not in self._shards and (folder / COMPLETE_MARKER).exists():
            try:
                self._shards[collection] = edge.EdgeShard.load(str(folder))
            except Exception:  # noqa: BLE001 - the engine has no error type of its own
                raise TransientError(f"collection {collection} cannot be opened: is another process on it?") from None
        return self._shards.get(collection)

    async def _call(self, collection: str, work: Callable[[edge.EdgeShard], T]) -> T:
        shard = self._find(collection)
        if shard is None:
            raise PermanentError(f"no such collection: {collection}")
        try:
            return await asyncio.to_thread(work, shard)
        except Exception:  # noqa: BLE001 - the engine has no error type of its own; its words may quote a payload
            raise PermanentError("the vector store refused the request") from None

    async def _update(self, collection: str, operation: edge.UpdateOperation) -> None:
        async with self._writing:
            await self._call(collection, lambda shard: shard.update(operation))


def _make_durable(shard: edge.EdgeShard) -> None:
    shard.flush()
    shard.optimize()


def _dense(vector: Any) -> list[float]:
    return list(vector[DENSE])


def _complete(directory: Path) -> list[str]:
    return sorted(marker.parent.name for marker in directory.glob(f"*/{COMPLETE_MARKER}"))


def _create(folder: Path, dimensions: int) -> edge.EdgeShard:
    if folder.exists():  # a process died while creating it, so it is empty
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    config = edge.EdgeConfig(
        vectors={DENSE: edge.EdgeVectorParams(size=dimensions, distance=edge.Distance.Cosine)},
        # Mapped files, which the kernel can evict; by default the sparse index is held in memory.
        sparse_vectors={SPARSE: edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf, memory=edge.Memory.Cached)},
        id_tracker_memory=edge.Memory.Cached,
    )
    shard = edge.EdgeShard.create(str(folder), config)
    for field in ("since", "until"):
        shard.update(edge.UpdateOperation.create_field_index(field, edge.PayloadSchemaType.Integer))
    shard.flush()
    (folder / COMPLETE_MARKER).touch()
    return shard


def _is(field: str, value: int | str) -> Any:
    return edge.FieldCondition(field, match=edge.MatchValue(value))


def _range(field: str, **bounds: float) -> Any:
    return edge.FieldCondition(field, range=edge.RangeFloat(**bounds))


def _visible(version: int, *further: Any) -> edge.Filter:
    return edge.Filter(must=[_range("since", lte=version), _range("until", gt=version), *further])


def _request(question: VectorQuery, version: int, limit: int, mode: SearchMode) -> edge.QueryRequest:
    visible = _visible(version)
    dense = edge.Query.Nearest(list(question.vector), using=DENSE)
    sparse = edge.Query.Nearest(BM25.embed_query(question.text), using=SPARSE)
    vectors = None if is_measured_by_score(question, mode) else [DENSE]
    if mode != "hybrid":
        query = dense if mode == "dense" else sparse
        return edge.QueryRequest(limit=limit, query=query, filter=visible, with_payload=True, with_vector=vectors)
    # IDF is computed within the version, without expired points.
    among = edge.SearchParams(idf=edge.IdfParams(corpus=visible))
    return edge.QueryRequest(
        limit=limit,
        prefetches=[
            edge.Prefetch(limit=CANDIDATES_PER_METHOD, query=dense, filter=visible),
            edge.Prefetch(limit=CANDIDATES_PER_METHOD, query=sparse, filter=visible, params=among),
        ],
        query=edge.Fusion.Rrf(k=RRF_K),  # type: ignore[arg-type]
        with_payload=True,
        with_vector=vectors,
    )


def _scroll(shard: edge.EdgeShard, wanted: edge.Filter) -> list[PointValidity]:
    found: list[PointValidity] = []
    offset: Any = None
    fields = edge.PayloadSelector.Include(["since", "until"])
    while True:
        request = edge.ScrollRequest(offset=offset, limit=PAGE_SIZE, filter=wanted, with_payload=fields)
        page, offset = shard.scroll(request)
        found += [PointValidity(str(item.id), *_version_fields(dict(item.payload or {}))) for item in page]
        if offset is None:
            return found


def _version_fields(payload: dict[str, Any]) -> tuple[int, int]:
    return int(payload["since"]), int(payload["until"])
