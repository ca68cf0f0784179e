"""Refreshes over HTTP: begin one, watch it, hand in a document."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from services.ingest.documents.formats import MAX_DOCUMENT_BYTES
from services.ingest.refresh.service import RefreshService
from shared.contracts.knowledge import SOURCE_PATTERN
from shared.runtime.authentication import ROLES, Authenticator, Caller
from shared.runtime.rate_limits import RateLimit
from shared.runtime.request_limits import KB, limit_endpoint


class Wanted(BaseModel):
    """What is to be refreshed: one source, or all."""

    model_config = ConfigDict(extra="forbid")

    source: str | None = Field(default=None, pattern=SOURCE_PATTERN)
    full: bool = Field(default=False, description="embed everything again")
    judge: bool = Field(default=False, description="only ask the golden queries again")


class Begun(BaseModel):
    """Where the refresh can be watched."""

    refresh: str
    refresh_url: str


class Uploaded(Begun):
    document: str


def make_router(desk: RefreshService, guard: Authenticator) -> APIRouter:
    router = APIRouter(prefix="/v1/knowledge", tags=["knowledge"])
    reader = Annotated[Caller, Depends(guard.require(*ROLES))]
    operator = Annotated[Caller, Depends(guard.require("operator"))]

    @router.post("/refreshes", status_code=202, summary="Look at the sources now")
    async def refresh(who: operator, wanted: Wanted | None = None) -> Begun:
        wanted = wanted or Wanted()
        ref = await desk.request(wanted.source, who.subject, full=wanted.full, judge=wanted.judge)
        return Begun(refresh=ref.id, refresh_url=f"/v1/knowledge/refreshes/{ref.id}")

    @router.get("/refreshes/{id}", summary="How a refresh goes, or how it ended")
    async def show(id: str, _: reader) -> dict[str, Any]:
        return await desk.show(id)

    @router.post("/documents", status_code=202, summary="Hand in one document")
    @limit_endpoint(MAX_DOCUMENT_BYTES + 64 * KB, RateLimit("uploads", 60, 1.0))  # the parts of a form have headers
    async def upload(file: UploadFile, who: operator) -> Uploaded:
        data = await file.read(MAX_DOCUMENT_BYTES + 1)
        ref, name = await desk.upload(file.filename or "", data, who.subject)
        return Uploaded(refresh=ref.id, refresh_url=f"/v1/knowledge/refreshes/{ref.id}", document=name)

    return router
