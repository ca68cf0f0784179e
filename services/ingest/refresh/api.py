"""REST API for refreshes of the knowledge base: start one, follow it, upload a document."""

from typing import Any

from fastapi import APIRouter, UploadFile
from pydantic import BaseModel, ConfigDict, Field

from services.ingest.dependencies import AnyRole, Operator, Refreshes
from services.ingest.documents.formats import LARGEST
from shared.contracts.knowledge import SOURCE
from shared.runtime.limits import KB, takes
from shared.runtime.rates import RateLimit

router = APIRouter(prefix="/v1/knowledge", tags=["ingest", "knowledge"])


class Wanted(BaseModel):
    """What is to be refreshed: one source, or all."""

    model_config = ConfigDict(extra="forbid")

    source: str | None = Field(default=None, pattern=SOURCE)
    full: bool = Field(default=False, description="embed everything again")
    judge: bool = Field(default=False, description="only ask the golden queries again")


class Begun(BaseModel):
    """Where the refresh can be watched."""

    refresh: str
    refresh_url: str


class Uploaded(Begun):
    document: str


@router.post("/refreshes", status_code=202, summary="Look at the sources now")
async def refresh(who: Operator, refreshes: Refreshes, wanted: Wanted | None = None) -> Begun:
    wanted = wanted or Wanted()
    ref = await refreshes.request(wanted.source, who.subject, full=wanted.full, judge=wanted.judge)
    return Begun(refresh=ref.id, refresh_url=f"/v1/knowledge/refreshes/{ref.id}")


@router.get("/refreshes/{id}", summary="How a refresh goes, or how it ended")
async def show(id: str, _: AnyRole, refreshes: Refreshes) -> dict[str, Any]:
    return await refreshes.show(id)


@router.post("/documents", status_code=202, summary="Hand in one document")
@takes(LARGEST + 64 * KB, RateLimit("uploads", 60, 1.0))  # the parts of a form have headers
async def upload(file: UploadFile, who: Operator, refreshes: Refreshes) -> Uploaded:
    data = await file.read(LARGEST + 1)
    ref, name = await refreshes.upload(file.filename or "", data, who.subject)
    return Uploaded(refresh=ref.id, refresh_url=f"/v1/knowledge/refreshes/{ref.id}", document=name)
