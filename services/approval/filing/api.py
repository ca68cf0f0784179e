"""REST API of signed documents on their way to the chart."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Response
from pydantic import BaseModel, Field

from services.approval.dependencies import Api, Clinician, Watcher
from services.approval.filing.service import UnfiledEntry
from services.approval.review.api import DecisionResult
from services.approval.review.problems import CONFLICT, ERASED, UNKNOWN_CASE, DecisionRoute
from shared.runtime.list_pages import After, Next
from shared.runtime.problems import problem_responses
from shared.runtime.response_headers import with_headers

router = APIRouter(tags=["filing"], route_class=DecisionRoute)
DOWNLOAD: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "the document as a file",
        "content": {"text/plain": {"schema": {"type": "string"}}, "application/pdf": {}},
        **with_headers({"Content-Disposition": "name of the file"})[200],
    }
}
MEDIA_TYPES = {"text": "text/plain; charset=utf-8", "pdf": "application/pdf"}


class UnfiledList(BaseModel):
    """A page of signed documents that are not in the chart yet, oldest first."""

    items: list[UnfiledEntry]
    total: int = Field(description="how many there are on all pages")
    next: Next


@router.get("/v1/unfiled", summary="Signed documents that are not in the chart yet, and why")
async def list_unfiled(
    who: Watcher, api: Api, after: After = None, limit: Annotated[int, Query(ge=1, le=200)] = 50
) -> UnfiledList:
    items, following = await api.chart.unfiled(who, limit, after)
    return UnfiledList(items=items, total=api.chart.count_unfiled(who), next=following)


@router.post(
    "/v1/cases/{case_id}/filing/retry",
    summary="File the signed document again",
    description="For one that is held, once what stopped it is corrected; one that waits is tried at once.",
    responses=problem_responses(UNKNOWN_CASE | CONFLICT),
)
async def retry_filing(case_id: str, by: Watcher, api: Api) -> DecisionResult:
    await api.chart.release(case_id, by)
    return DecisionResult(case_id=case_id, state="approved", by=by.subject)


@router.post(
    "/v1/cases/{case_id}/filing/confirm",
    summary="Confirm that the signed document was transferred to the chart by hand",
    description="For installations without a way into the chart (COUNTERSIGN_WRITE_BACK=none), and for a document "
    "that is held. Nothing is checked: the event names who confirms it.",
    responses=problem_responses(UNKNOWN_CASE | CONFLICT),
)
async def confirm_filing(case_id: str, by: Watcher, api: Api) -> DecisionResult:
    event = await api.chart.confirm_transfer(case_id, by)
    return DecisionResult(case_id=case_id, state="filed" if event.event == "filed" else "retracted", by=by.subject)


@router.get(
    "/v1/cases/{case_id}/document/{form}",
    summary="Download the signed document",
    response_class=Response,
    responses=DOWNLOAD | problem_responses(UNKNOWN_CASE | ERASED),
)
async def download(
    case_id: str,
    form: Annotated[Literal["text", "pdf"], Path(description="form of the file")],
    who: Clinician,
    api: Api,
    addendum: Annotated[int | None, Query(ge=1, description="number of the addendum; none: the document")] = None,
) -> Response:
    found = await api.chart.download(case_id, who, form, addendum)
    headers = {
        "Content-Disposition": f'attachment; filename="{found.name}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(found.content, media_type=MEDIA_TYPES[form], headers=headers)
