"""Use a Qdrant server through qdrant-client; `:memory:` selects the client's own engine, for tests."""

from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

import httpx
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

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
ALIAS = "countersign-live"
PAGE_SIZE = 1000
TIMEOUT_S = 30


class QdrantServer:
    """Store collections on the Qdrant server at `url`."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        where: dict[str, Any] = {"location": url} if url == ":memory:" else {"url": url, "timeout": TIMEOUT_S}
        self._client = AsyncQdrantClient(**where, api_key=api_key, check_compatibility=False)

    async def ensure_collection(self, collection: str, dimensions: int) -> None:
        if await _translate_errors(self._client.collection_exists(collection)):
            return
        await _translate_errors(
            self._client.create_collection(
                collection,
                vectors_config={DENSE: models.VectorParams(size=dimensions, distance=models.Distance.COSINE)},
                sparse_vectors_config={SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)},
            )
        )
        for field in ("since", "until"):
            await _translate_errors(
                self._client.create_payload_index(collection, field, models.PayloadSchemaType.INTEGER, wait=True)
            )

    async def upsert(self, collection: str, points: Sequence[EmbeddedChunk]) -> None:
        await self.restore(collection, [StoredPoint(point, STILL_VALID) for point in points])

    async def restore(self, collection: str, points: Sequence[StoredPoint]) -> None:
        made = [
            models.PointStruct(
                id=point.id,
                vector={DENSE: list(point.vector), SPARSE: _sparse(BM25.embed_document(point.chunk.text_to_embed))},
                payload=payload_of(point, kept.until),
            )
            for kept in points
            for point in (kept.point,)
        ]
        await _translate_errors(self._client.upsert(collection, made, wait=True))

    async def chunks(
        self, collection: str, wanted: ChunkFilter, after: str | None, limit: int, *, text: bool
    ) -> tuple[list[Chunk], str | None]:
        among = [_is(name, value) for name, value in wanted.equal.items()]
        found, following = await _translate_errors(
            self._client.scroll(
                collection,
                scroll_filter=_visible(wanted.version, *among),
                offset=after,
                limit=limit,
                with_payload=True if text else FIELDS_WITHOUT_TEXT,
            )
        )
        return [chunk_of(dict(item.payload or {})) for item in found], None if following is None else str(following)

    async def search(
        self, collection: str, question: VectorQuery, version: int, limit: int, mode: SearchMode
    ) -> list[SearchHit]:
        visible = _visible(version)
        dense = list(question.vector)
        sparse = _sparse(BM25.embed_query(question.text))
        request: dict[str, Any] = {"query": dense, "using": DENSE, "query_filter": visible}
        if mode == "sparse":
            request |= {"query": sparse, "using": SPARSE}
        elif mode == "hybrid":
            prefetch = [
                models.Prefetch(query=dense, using=DENSE, limit=CANDIDATES_PER_METHOD, filter=visible),
                models.Prefetch(query=sparse, using=SPARSE, limit=CANDIDATES_PER_METHOD, filter=visible),
            ]
            request = {"prefetch": prefetch, "query": models.RrfQuery(rrf=models.Rrf(k=RRF_K))}
        by_score = is_measured_by_score(question, mode)
        request |= {"limit": limit, "with_payload": True, "with_vectors": False if by_score else [DENSE]}
        found = await _translate_errors(self._client.query_points(collection, **request))
        return [
            hit_of(
                dict(point.payload or {}),
                point.score,
                point.score if by_score else similarity(question, _dense(point.vector)),
            )
            for point in found.points
        ]

    async def changed_in(self, collection: str, version: int) -> list[PointValidity]:
        either = models.Filter(should=[_is("since", version), _is("until", version)])
        found: list[PointValidity] = []
        offset: Any = None
        while True:
            page, offset = await _translate_errors(
                self._client.scroll(
                    collection, scroll_filter=either, limit=PAGE_SIZE, offset=offset, with_payload=["since", "until"]
                )
            )
            found += [
                PointValidity(str(item.id), int((item.payload or {})["since"]), int((item.payload or {})["until"]))
                for item in page
            ]
            if offset is None:
                return found

    async def set_valid_until(self, collection: str, ids: Sequence[str], until: int) -> None:
        if ids:
            await _translate_errors(self._client.set_payload(collection, {"until": until}, points=list(ids), wait=True))

    async def expire_before(self, collection: str, version: int) -> None:
        older = models.Filter(must=[_range("since", lt=version), _is("until", STILL_VALID)])
        await _translate_errors(self._client.set_payload(collection, {"until": version}, points=older, wait=True))

    async def delete(self, collection: str, ids: Sequence[str]) -> None:
        if ids:
            await _translate_errors(self._client.delete(collection, models.PointIdsList(points=list(ids)), wait=True))

    async def purge(self, collection: str, version: int) -> None:
        gone = models.FilterSelector(filter=models.Filter(must=[_range("until", lte=version)]))
        await _translate_errors(self._client.delete(collection, gone, wait=True))

    async def count(self, collection: str, version: int) -> int:
        if not await _translate_errors(self._client.collection_exists(collection)):
            return 0
        return (await _translate_errors(self._client.count(collection, _visible(version), exact=True))).count

    async def drop(self, collection: str) -> None:
        await _translate_errors(self._client.delete_collection(collection))

    async def flush(self, _collection: str) -> None:
        return None  # every write was awaited, and the server builds its indexes by itself

    async def point_alias(self, collection: str) -> None:
        change = models.CreateAliasOperation(
            create_alias=models.CreateAlias(collection_name=collection, alias_name=ALIAS)
        )
        await _translate_errors(self._client.update_collection_aliases([change]))

    async def collections(self) -> list[str]:
        found = await _translate_errors(self._client.get_collections())
        return sorted(item.name for item in found.collections)

    async def page(self, collection: str, after: str | None, limit: int) -> tuple[list[StoredPoint], str | None]:
        found, following = await _translate_errors(
            self._client.scroll(collection, offset=after, limit=limit, with_payload=True, with_vectors=[DENSE])
        )
        points = [point_of(dict(item.payload or {}), _dense(item.vector)) for item in found]
        return points, None if following is None else str(following)

    async def ready(self) -> bool:
        try:
            await self._client.get_collections()
        except (ApiException, httpx.HTTPError):
            return False
        return True

    async def close(self) -> None:
        await self._client.close()


async def _translate_errors(call: Awaitable[T]) -> T:
    """Await `call` and convert its errors into ours. Their messages may quote payloads and are dropped."""
    try:
        return await call
    except UnexpectedResponse as error:
        status = error.status_code or 500
        if status >= 500 or status in (408, 429):
            raise TransientError(f"the vector store answered {status}") from None
        raise PermanentError(f"the vector store answered {status}") from None
    except (ResponseHandlingException, httpx.HTTPError) as error:
        raise TransientError(f"the vector store does not answer ({type(error).__name__})") from None
    except ValueError:  # raised by the client's own engine for a missing collection
        raise PermanentError("the vector store refused the request") from None


def _dense(vector: Any) -> list[float]:
    return list(vector[DENSE])


def _sparse(vector: Any) -> models.SparseVector:
    return models.SparseVector(indices=list(vector.indices), values=list(vector.values))


def _is(field: str, value: int | str) -> models.FieldCondition:
    return models.FieldCondition(key=field, match=models.MatchValue(value=value))


def _range(field: str, **bounds: float) -> models.FieldCondition:
    return models.FieldCondition(key=field, range=models.Range(**bounds))


def _visible(version: int, *further: models.FieldCondition) -> models.Filter:
    return models.Filter(must=[_range("since", lte=version), _range("until", gt=version), *further])
