"""The knowledge base over HTTP: status, history, search, going back."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field

from services.evaluator.service import KnowledgeService
from shared.contracts.knowledge import RelevanceThreshold, SearchMode
from shared.knowledge.backup_point import BackupPoint
from shared.knowledge.live import VersionRecord
from shared.runtime.authentication import ROLES, Authenticator, Caller


class Passage(BaseModel):
    """A chunk that was found."""

    id: str
    source: str
    document: str
    title: str
    path: list[str]
    text: str
    url: str | None
    score: float
    since: int
    similarity: float = Field(description="cosine of the question and the passage")
    cited: bool = Field(description="whether it is similar enough for a draft to cite it for a problem of that name")


class Answers(BaseModel):
    """The best passages of one version, best first, and how similar one must be to be cited."""

    version: int
    relevance: RelevanceThreshold
    items: list[Passage]


class Versions(BaseModel):
    live: int | None
    items: list[VersionRecord]


class Points(BaseModel):
    """A page of a collection, whole; `next` is None at the end."""

    items: list[BackupPoint]
    next: str | None


class RollBack(BaseModel):
    """Which version is to be live."""

    model_config = ConfigDict(extra="forbid")

    to: int = Field(ge=1)


class RolledBack(BaseModel):
    version: int
    since: datetime
    by: str


def make_router(desk: KnowledgeService, guard: Authenticator) -> APIRouter:
    router = APIRouter(prefix="/v1/knowledge", tags=["knowledge"])
    reader = Annotated[Caller, Depends(guard.require(*ROLES))]
    operator = Annotated[Caller, Depends(guard.require("operator"))]

    @router.get("", summary="What is live and since when, what is newest, what is going on")
    async def status(_: reader) -> dict[str, Any]:
        return await desk.status()

    @router.get("/versions", summary="Every version that was judged, newest first")
    async def versions(_: reader) -> Versions:
        found = await desk.status()
        return Versions(live=found["live"]["version"] if found["live"] else None, items=await desk.history())

    @router.get("/search", summary="The best passages of the live version, or of another")
    async def search(
        _: reader,
        q: Annotated[str, Query(min_length=1, max_length=2000)],
        at: Annotated[int | None, Query(ge=1)] = None,
        k: Annotated[int, Query(ge=1, le=50)] = 5,
        mode: SearchMode | None = None,
    ) -> Answers:
        where, hits = await desk.search(q, at, k, mode)
        items = [
            Passage(
                **{"url": None} | hit.chunk.model_dump(mode="json"),
                score=hit.score,
                since=hit.since,
                similarity=hit.similarity,
                cited=hit.similarity >= where.relevance.threshold,
            )
            for hit in hits
        ]
        return Answers(version=where.version, relevance=where.relevance, items=items)

    @router.get("/collections", summary="Names of the collections of vectors")
    async def collections(_: operator) -> list[str]:
        return await desk.collections()

    @router.get("/collections/{collection}/points", summary="A collection page by page, for a backup")
    async def points(
        _: operator, collection: str, after: str | None = None, limit: Annotated[int, Query(ge=1, le=1000)] = 500
    ) -> Points:
        items, following = await desk.points(collection, after, limit)
        return Points(items=items, next=following)

    @router.post("/rollback", summary="Make an earlier version live again")
    async def roll_back(wanted: RollBack, who: operator) -> RolledBack:
        live = await desk.roll_back(wanted.to, who.subject)
        return RolledBack(version=live.version, since=live.since, by=live.by)

    return router
