"""REST API of the knowledge base: status, versions, search; rollback, promotion and pin of people."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Path, Query
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.evaluator.dependencies import AnyRole, Editor, Knowledge, Operator
from shared.contracts.knowledge import LiveMove, RelevanceThreshold, SearchMode
from shared.knowledge.backup_point import BackupPoint
from shared.knowledge.live import LivePointer, VersionRecord
from shared.knowledge.version_documents import ListedDocument
from shared.runtime.api_route import ApiRoute
from shared.runtime.problems import ProblemError, problem_responses

router = APIRouter(prefix="/v1/knowledge", tags=["knowledge"], route_class=ApiRoute)

UNKNOWN_VERSION = {404: "there is no such version", 410: "the version is no longer kept"}
CONFLICT = {409: "no version is live, another one is pinned, or the version is in another state"}

Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]  # RFC 3339, to the second


class KnowledgeStatus(BaseModel):
    """The live and the newest version, and refreshes in progress."""

    live: LivePointer | None = Field(description="the version that searches see")
    passages: int = Field(description="of the live version")
    newest: VersionRecord | None = Field(description="the version that was evaluated last")
    refreshing: str | None = Field(description="id of the refresh that runs")
    waiting: list[str] = Field(description="ids of the refreshes that wait for it")
    paused_until: Timestamp | None = Field(description="when batches are embedded again: the end of the peak hours")
    file: str | None = Field(description="path of the file that declares the sources")
    problem: str | None = Field(description="what is wrong with that file")


class Passage(BaseModel):
    """A chunk that was found."""

    id: str = Field(description="id of the passage")
    source: str
    document: str = Field(description="name of its document")
    title: str = Field(description="title of its document")
    path: list[str] = Field(description="headings above it")
    text: str = Field(description="the passage")
    url: str | None
    score: float = Field(description="similarity to the question")
    since: int = Field(description="version in which it appeared")
    similarity: float = Field(description="cosine of the question and the passage")
    cited: bool = Field(description="whether it is similar enough for a draft to cite it for a problem of that name")


class SearchResults(BaseModel):
    """The best passages of one version, best first, and the similarity that is required for citing."""

    version: int = Field(description="number of the version that was searched")
    relevance: RelevanceThreshold
    items: list[Passage]


class Versions(BaseModel):
    live: int | None = Field(description="what is live now; null: nothing is")
    items: list[VersionRecord]


class VersionDetails(VersionRecord):
    """A version, whether or not it can still be searched."""

    searchable: bool = Field(description="whether its passages are kept")
    listed: list[ListedDocument] | None = Field(
        description="its documents with their digests; null: it was made before they were recorded"
    )


class Collections(BaseModel):
    """Names of all collections."""

    items: list[str]


class Points(BaseModel):
    """A page of a collection, whole; `next` is None at the end."""

    items: list[BackupPoint]
    next: str | None


Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class RollBack(BaseModel):
    """Which version is to be live."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"to": 41, "reason": "version 42 lost the renal guideline", "pin": True}]},
    )

    to: int = Field(ge=1, description="number of the version")
    reason: Annotated[str, StringConstraints(strip_whitespace=True, max_length=500)] = ""
    pin: bool = Field(default=False, description="pin it, so that no refresh goes live in its place; needs a reason")


class Promote(BaseModel):
    """Which version that was held back is to be live, and why."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"version": 42, "reason": "the golden queries are of last year"}]},
    )

    version: int = Field(ge=1, description="number of the version")
    reason: Reason


class SetPin(BaseModel):
    """Which version is to stay live, and why."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"version": 41, "reason": "audit this week"}]}
    )

    version: int = Field(ge=1, description="the version that is live now: another one is refused")
    reason: Reason


class RemovePin(BaseModel):
    """Why refreshes may go live again."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "the audit is over"}]})

    reason: Reason


class RolledBack(BaseModel):
    version: int = Field(description="number of the version that is live now")
    since: datetime = Field(description="since when it is live")
    by: str


class Moves(BaseModel):
    """What people did to the live version, newest first."""

    items: list[LiveMove]


@router.get(
    "", summary="What is live and since when, what is newest, what is going on", response_model_exclude_unset=True
)
async def status(_: AnyRole, knowledge: Knowledge) -> KnowledgeStatus:
    return KnowledgeStatus.model_validate(await knowledge.status())


@router.get("/versions", summary="Every version that was judged, newest first")
async def versions(_: AnyRole, knowledge: Knowledge) -> Versions:
    found = await knowledge.status()
    return Versions(live=found["live"]["version"] if found["live"] else None, items=await knowledge.history())


@router.get(
    "/versions/{version}",
    summary="How a version was judged, and its documents, also when its passages are no longer kept",
    responses=problem_responses(UNKNOWN_VERSION),
)
async def version_details(
    _: AnyRole, knowledge: Knowledge, version: Annotated[int, Path(ge=1, description="number of the version")]
) -> VersionDetails:
    record, listed = await knowledge.version(version)
    oldest = await knowledge.oldest_retained_version()
    return VersionDetails(**record.model_dump(), searchable=version >= oldest, listed=listed)


@router.get(
    "/search",
    summary="The best passages of the live version, or of another",
    responses=problem_responses(UNKNOWN_VERSION),
)
async def search(
    _: AnyRole,
    knowledge: Knowledge,
    q: Annotated[str, Query(min_length=1, max_length=2000, description="the question")],
    at: Annotated[int | None, Query(ge=1, description="version; default: the live one")] = None,
    k: Annotated[int, Query(ge=1, le=50, description="passages, at most")] = 5,
    mode: Annotated[SearchMode | None, Query(description="default: that of the version")] = None,
) -> SearchResults:
    where, hits = await knowledge.search(q, at, k, mode)
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
    return SearchResults(version=where.version, relevance=where.relevance, items=items)


@router.get("/collections", summary="Names of the collections of vectors")
async def collections(_: Operator, knowledge: Knowledge) -> Collections:
    return Collections(items=await knowledge.collections())


@router.get(
    "/collections/{collection}/points",
    summary="A collection page by page, for a backup",
    responses=problem_responses({404: "there is no such collection"}),
)
async def points(
    _: Operator,
    knowledge: Knowledge,
    collection: Annotated[str, Path(description="name of the collection")],
    after: str | None = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 500,
) -> Points:
    items, following = await knowledge.points(collection, after, limit)
    return Points(items=items, next=following)


@router.get("/moves", summary="Who rolled back, promoted, pinned and unpinned, newest first")
async def moves(_: AnyRole, knowledge: Knowledge) -> Moves:
    return Moves(items=await knowledge.live_version.moves())


@router.post(
    "/rollback", summary="Make an earlier version live again", responses=problem_responses(UNKNOWN_VERSION | CONFLICT)
)
async def roll_back(body: RollBack, who: Editor, knowledge: Knowledge) -> RolledBack:
    if body.pin and not body.reason:
        raise ProblemError(422, "A pin needs a reason")
    live = await knowledge.live_version.roll_back(body.to, who.subject, body.reason, pin=body.pin)
    return RolledBack(version=live.version, since=live.since, by=live.by)


@router.post(
    "/promote",
    summary="Make a version live that the evaluation has held back",
    responses=problem_responses(UNKNOWN_VERSION | CONFLICT),
)
async def promote(body: Promote, who: Editor, knowledge: Knowledge) -> LivePointer:
    return await knowledge.live_version.promote(body.version, who.subject, body.reason)


@router.post(
    "/pin",
    summary="Keep the live version live: refreshes are evaluated and held back",
    responses=problem_responses(CONFLICT),
)
async def pin(body: SetPin, who: Editor, knowledge: Knowledge) -> LivePointer:
    return await knowledge.live_version.pin(body.version, who.subject, body.reason)


@router.post("/unpin", summary="Let refreshes go live again", responses=problem_responses(CONFLICT))
async def unpin(body: RemovePin, who: Editor, knowledge: Knowledge) -> LivePointer:
    return await knowledge.live_version.unpin(who.subject, body.reason)
