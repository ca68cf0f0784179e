"""REST API for refreshes of the knowledge base: start one, follow it, upload a document."""

from typing import Annotated, Literal

from fastapi import APIRouter, File, Path, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from services.ingest.dependencies import AnyRole, Editor, Refreshes
from services.ingest.documents.formats import MAX_DOCUMENT_BYTES
from shared.contracts.knowledge import SOURCE_PATTERN, DocumentCounts, QueryResult, RetrievalMetrics, UnreadableDocument
from shared.runtime.api_route import ApiRoute
from shared.runtime.idempotency import without_idempotency_key
from shared.runtime.problems import problem_responses
from shared.runtime.rate_limits import RateLimit
from shared.runtime.request_limits import KB, limit_endpoint

router = APIRouter(prefix="/v1/knowledge", tags=["ingest", "knowledge"], route_class=ApiRoute)

Timestamp = Annotated[str, Field(json_schema_extra={"format": "date-time"})]  # RFC 3339, as it was recorded


FILE = "HTML, PDF, DOCX, Markdown or text"
RefreshId = Annotated[str, Path(description="id of the refresh")]


class RefreshRequest(BaseModel):
    """What to refresh: one source, or all."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"source": "guidelines", "full": False}]})

    source: str | None = Field(default=None, pattern=SOURCE_PATTERN)
    full: bool = Field(default=False, description="embed everything again")
    judge: bool = Field(default=False, description="only evaluate the golden queries again")


class RefreshStarted(BaseModel):
    """Where the status of the refresh can be read."""

    refresh: str
    refresh_url: str


class Uploaded(RefreshStarted):
    document: str = Field(description="name under which it is stored")


class Chunks(BaseModel):
    """How many chunks a refresh writes, leaves as they are, and takes out."""

    embedded: int = Field(description="passages that are embedded")
    kept: int = Field(description="passages that stay as they are")
    removed: int = Field(description="passages that are taken out")


class RefreshStatus(BaseModel):
    """Progress of a refresh, or its result."""

    refresh: str
    sources: list[str] = Field(description="names of the sources; empty before it was started")
    state: Literal[
        "waiting", "preparing", "embedding", "settling", "judging", "promoted", "held-back", "skipped", "failed"
    ] = Field(description="the current step, or how it ended")
    ended: bool = Field(description="whether it has ended")
    reason: str | None = Field(description="why it was skipped, held back or failed")
    attempt: int = Field(description="number of the attempt, from 1")
    again_at: Timestamp | None = Field(description="when a failed attempt is repeated")
    documents: DocumentCounts | None = Field(description="documents by what became of them; null: not known yet")
    unreadable: list[UnreadableDocument] = Field(description="documents that were left out")
    chunks: Chunks | None = Field(description="passages; null: not known yet")
    batches: int = Field(description="batches to embed")
    batches_done: int = Field(description="batches that are embedded")
    version: int | None = Field(description="the version that it makes")
    passages: int | None = Field(description="passages of that version, once it is indexed")
    repaired: int = Field(description="passages that were missing and embedded again")
    metrics: RetrievalMetrics | None = Field(description="of the new version")
    live_metrics: RetrievalMetrics | None = Field(description="of the live version, evaluated beside it")
    worst: list[QueryResult] = Field(description="the golden queries that did worst; ten at most")
    seconds: float | None = Field(description="from the request to the end")
    live_version: int | None = Field(description="the version that is live now")


@router.post(
    "/refreshes",
    status_code=202,
    summary="Start a refresh",
    responses=problem_responses({404: "there is no such source", 409: "there is nothing to evaluate"}),
)
async def refresh(who: Editor, refreshes: Refreshes, body: RefreshRequest | None = None) -> RefreshStarted:
    body = body or RefreshRequest()
    ref = await refreshes.request(body.source, who.subject, full=body.full, judge=body.judge)
    return RefreshStarted(refresh=ref.id, refresh_url=f"/v1/knowledge/refreshes/{ref.id}")


@router.get(
    "/refreshes/{id}",
    summary="Progress of a refresh, or its result",
    response_model_exclude_unset=True,
    responses=problem_responses({404: "there is no such refresh, or it is too long ago"}),
)
async def show(id: RefreshId, _: AnyRole, refreshes: Refreshes) -> RefreshStatus:
    return RefreshStatus.model_validate(await refreshes.show(id))


@router.post(
    "/documents",
    status_code=202,
    summary="Hand in one document",
    responses=problem_responses({409: "uploads are not enabled"}),
)
@limit_endpoint(MAX_DOCUMENT_BYTES + 64 * KB, RateLimit("uploads", 60, 1.0))  # the parts of a form have headers
@without_idempotency_key
async def upload(file: Annotated[UploadFile, File(description=FILE)], who: Editor, refreshes: Refreshes) -> Uploaded:
    data = await file.read(MAX_DOCUMENT_BYTES + 1)
    ref, name = await refreshes.upload(file.filename or "", data, who.subject)
    return Uploaded(refresh=ref.id, refresh_url=f"/v1/knowledge/refreshes/{ref.id}", document=name)
