"""A Qdrant server through qdrant-client; `:memory:` is the client's own engine, for tests."""

from collections.abc import Awaitable, Sequence
from typing import Any, TypeVar

import httpx
from qdrant_client import AsyncQdrantClient, models
from qdrant_client.http.exceptions import ApiException, ResponseHandlingException, UnexpectedResponse

from shared.contracts.failures import PermanentError, TransientError
from shared.contracts.knowledge import OPEN, Search
from shared.knowledge.base import (
    CANDIDATES,
    DENSE,
    RRF_K,
    SPARSE,
    Embedded,
    Hit,
    Kept,
    Placed,
    Question,
    hit_of,
    is_measured_by_score,
    kept_of,
    payload_of,
    similarity,
)
from shared.knowledge.sparse import BM25

T = TypeVar("T")
ALIAS = "countersign-live"
PAGE = 1000
TIMEOUT = 30


class ServerBase:
    """Collections of a Qdrant server at `url`."""

    def __init__(self, url: str, api_key: str | None = None) -> None:
        where: dict[str, Any] = {"location": url} if url == ":memory:" else {"url": url, "timeout": TIMEOUT}
        self._client = AsyncQdrantClient(**where, api_key=api_key, check_compatibility=False)

    async def prepare(self, collection: str, dimensions: int) -> None:
        if await _sorted(self._client.collection_exists(collection)):
            return
        await _sorted(
            self._client.create_collection(
                collection,
                vectors_config={DENSE: models.VectorParams(size=dimensions, distance=models.Distance.COSINE)},
                sparse_vectors_config={SPARSE: models.SparseVectorParams(modifier=models.Modifier.IDF)},
            )
        )
        for field in ("since", "until"):
            await _sorted(
                self._client.create_payload_index(collection, field, models.PayloadSchemaType.INTEGER, wait=True)
            )

    async def upsert(self, collection: str, points: Sequence[Embedded]) -> None:
        await self.put_back(collection, [Kept(point, OPEN) for point in points])

    async def put_back(self, collection: str, points: Sequence[Kept]) -> None:
        made = [
            models.PointStruct(
                id=point.id,
                vector={DENSE: list(point.vector), SPARSE: _sparse(BM25.embed_document(point.chunk.embedded))},
                payload=payload_of(point, kept.until),
            )
            for kept in points
            for point in (kept.point,)
        ]
        await _sorted(self._client.upsert(collection, made, wait=True))

    async def search(self, collection: str, question: Question, version: int, limit: int, mode: Search) -> list[Hit]:
        visible = _visible(version)
        dense = list(question.vector)
        sparse = _sparse(BM25.embed_query(question.text))
        request: dict[str, Any] = {"query": dense, "using": DENSE, "query_filter": visible}
        if mode == "sparse":
            request |= {"query": sparse, "using": SPARSE}
        elif mode == "hybrid":
            prefetch = [
                models.Prefetch(query=dense, using=DENSE, limit=CANDIDATES, filter=visible),
                models.Prefetch(query=sparse, using=SPARSE, limit=CANDIDATES, filter=visible),
            ]
            request = {"prefetch": prefetch, "query": models.RrfQuery(rrf=models.Rrf(k=RRF_K))}
        by_score = is_measured_by_score(question, mode)
        request |= {"limit": limit, "with_payload": True, "with_vectors": False if by_score else [DENSE]}
        found = await _sorted(self._client.query_points(collection, **request))
        return [
            hit_of(
                dict(point.payload or {}),
                point.score,
                point.score if by_score else similarity(question, _dense(point.vector)),
            )
            for point in found.points
        ]

    async def touched(self, collection: str, version: int) -> list[Placed]:
        either = models.Filter(should=[_is("since", version), _is("until", version)])
        found: list[Placed] = []
        offset: Any = None
        while True:
            page, offset = await _sorted(
                self._client.scroll(
                    collection, scroll_filter=either, limit=PAGE, offset=offset, with_payload=["since", "until"]
                )
            )
            found += [
                Placed(str(item.id), int((item.payload or {})["since"]), int((item.payload or {})["until"]))
                for item in page
            ]
            if offset is None:
                return found

    async def place(self, collection: str, ids: Sequence[str], until: int) -> None:
        if ids:
            await _sorted(self._client.set_payload(collection, {"until": until}, points=list(ids), wait=True))

    async def retire_before(self, collection: str, version: int) -> None:
        older = models.Filter(must=[_range("since", lt=version), _is("until", OPEN)])
        await _sorted(self._client.set_payload(collection, {"until": version}, points=older, wait=True))

    async def delete(self, collection: str, ids: Sequence[str]) -> None:
        if ids:
            await _sorted(self._client.delete(collection, models.PointIdsList(points=list(ids)), wait=True))

    async def forget(self, collection: str, version: int) -> None:
        gone = models.FilterSelector(filter=models.Filter(must=[_range("until", lte=version)]))
        await _sorted(self._client.delete(collection, gone, wait=True))

    async def count(self, collection: str, version: int) -> int:
        if not await _sorted(self._client.collection_exists(collection)):
            return 0
        return (await _sorted(self._client.count(collection, _visible(version), exact=True))).count

    async def drop(self, collection: str) -> None:
        await _sorted(self._client.delete_collection(collection))

    async def settle(self, _collection: str) -> None:
        return None  # every write waited for; the server builds its indexes by itself

    async def point_alias(self, collection: str) -> None:
        change = models.CreateAliasOperation(
            create_alias=models.CreateAlias(collection_name=collection, alias_name=ALIAS)
        )
        await _sorted(self._client.update_collection_aliases([change]))

    async def collections(self) -> list[str]:
        found = await _sorted(self._client.get_collections())
        return sorted(item.name for item in found.collections)

    async def page(self, collection: str, after: str | None, limit: int) -> tuple[list[Kept], str | None]:
        found, following = await _sorted(
            self._client.scroll(collection, offset=after, limit=limit, with_payload=True, with_vectors=[DENSE])
        )
        points = [kept_of(dict(item.payload or {}), _dense(item.vector)) for item in found]
        return points, None if following is None else str(following)

    async def ready(self) -> bool:
        try:
            await self._client.get_collections()
        except (ApiException, httpx.HTTPError):
            return False
        return True

    async def close(self) -> None:
        await self._client.close()


async def _sorted(call: Awaitable[T]) -> T:
    """The answer of `call`, its failures sorted into ours. Their texts may quote payloads and are dropped."""
    try:
        return await call
    except UnexpectedResponse as error:
        status = error.status_code or 500
        if status >= 500 or status in (408, 429):
            raise TransientError(f"the vector base answered {status}") from None
        raise PermanentError(f"the vector base answered {status}") from None
    except (ResponseHandlingException, httpx.HTTPError) as error:
        raise TransientError(f"the vector base does not answer ({type(error).__name__})") from None
    except ValueError:  # the client's own engine says so when a collection is missing
        raise PermanentError("the vector base refused") from None


def _dense(vector: Any) -> list[float]:
    return list(vector[DENSE])


def _sparse(vector: Any) -> models.SparseVector:
    return models.SparseVector(indices=list(vector.indices), values=list(vector.values))


def _is(field: str, value: int) -> models.FieldCondition:
    return models.FieldCondition(key=field, match=models.MatchValue(value=value))


def _range(field: str, **bounds: float) -> models.FieldCondition:
    return models.FieldCondition(key=field, range=models.Range(**bounds))


def _visible(version: int) -> models.Filter:
    return models.Filter(must=[_range("since", lte=version), _range("until", gt=version)])
