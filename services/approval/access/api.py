"""REST API of the access log, for auditors."""

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from fastapi.responses import Response, StreamingResponse
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from services.approval.access.exports import (
    FILE_NAMES,
    MEDIA_TYPES,
    Format,
    choose_format,
    csv_lines,
    fhir_bundle,
)
from services.approval.access.filter import AccessFilter, StoredEntry, parse_cursor
from services.approval.dependencies import Api, ApiDependencies, Auditor
from shared.contracts.access_log import AccessLogEvent
from shared.contracts.subjects import CASE_ID
from shared.runtime.api_route import ApiRoute
from shared.runtime.authentication import Caller
from shared.runtime.idempotency import without_idempotency_key
from shared.runtime.problems import ProblemError, problem_responses

COMMON = {
    401: "no token, or one that is not valid",
    403: "the token has not the role auditor",
    422: "the request is not valid",
    503: "NATS does not answer: repeat the request",
}
FORMATS = "`json` is a page; `csv` and `fhir` (a Bundle of R4 AuditEvents) are everything that matches"
EXPORTS: dict[int | str, dict[str, Any]] = {
    200: {"description": "a page, or an export", "content": {"text/csv": {}, "application/fhir+json": {}}}
}

router = APIRouter(tags=["access"], route_class=ApiRoute, responses=problem_responses(COMMON))

Reference = Annotated[
    str, Field(min_length=1, max_length=128, pattern=r"^((Patient|Encounter)/)?[A-Za-z0-9.\-]{1,64}$")
]


class AccessEntries(BaseModel):
    """A page of the access log, latest first."""

    items: list[StoredEntry]
    next: str | None = Field(description="cursor of the page after it; null: this is the end")
    searched_to: AwareDatetime | None = Field(
        description="time of the oldest entry that was read: a page with a `next` may have fewer entries than `limit`, "
        "even none, where the search stopped at this time"
    )


class AccessCriteria(BaseModel):
    """Criteria that all have to match exactly. An unknown one is refused."""

    model_config = ConfigDict(extra="forbid")

    subject: str | None = Field(
        default=None, min_length=1, max_length=200, description="the person, as the sign-in names them"
    )
    case: str | None = Field(default=None, pattern=f"^{CASE_ID}$", description="case id")
    action: AccessLogEvent | None = Field(default=None, description="what was done")
    since: AwareDatetime | None = Field(default=None, description="inclusive")
    until: AwareDatetime | None = Field(default=None, description="exclusive")
    after: str | None = Field(default=None, max_length=19, description="cursor from `next`")
    limit: int = Field(default=50, ge=1, le=500)
    format: Format | None = Field(default=None, description=FORMATS)

    def to_filter(self, cases: frozenset[str] | None = None) -> AccessFilter:
        """Return the filter; `cases`: what the case has to be among, besides."""
        if self.case is not None:
            cases = frozenset({self.case}) & (cases if cases is not None else {self.case})
        return AccessFilter(self.subject, cases, self.action, self.since, self.until)


class SearchAccess(AccessCriteria):
    """A search whose patient or stay must not stand in a URL."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"patient": "Patient/123", "since": "2026-11-01T00:00:00Z"}]}
    )

    patient: Reference | None = Field(default=None, description="id or reference of the Patient in the EHR")
    encounter: Reference | None = Field(default=None, description="id or reference of the Encounter in the EHR")


@router.get(
    "/v1/access",
    summary="The access log: who looked at what, signed in, exported, was refused",
    description="Latest first. Auditors of single departments get the entries about cases of those, and no others. "
    "`Accept: text/csv` and `application/fhir+json` export as `format` does; an export is logged itself.",
    response_model=AccessEntries,
    responses=EXPORTS,
)
async def search_access(
    who: Auditor,
    api: Api,
    query: Annotated[AccessCriteria, Query()],
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response | AccessEntries:
    return await answer(api, who, query.to_filter(), choose_format(query.format, accept), query.after, query.limit)


@router.post(
    "/v1/access/search",
    summary="Search the access log by patient or stay",
    description="As `GET /v1/access`, with the criteria in the body: ids of patients and stays do not belong in URLs. "
    "They are resolved to cases by the case events; nothing is written.",
    response_model=AccessEntries,
    responses=EXPORTS,
)
@without_idempotency_key
async def search_access_by_patient(
    body: SearchAccess,
    who: Auditor,
    api: Api,
    accept: Annotated[str | None, Header(include_in_schema=False)] = None,
) -> Response | AccessEntries:
    cases: frozenset[str] | None = None
    if body.patient or body.encounter:
        found = await api.access_log.cases_of(who, body.patient, body.encounter)
        cases = frozenset(item.case_id for item in found)
    return await answer(api, who, body.to_filter(cases), choose_format(body.format, accept), body.after, body.limit)


async def answer(
    api: ApiDependencies, who: Caller, wanted: AccessFilter, format: Format, after: str | None, limit: int
) -> Response | AccessEntries:
    """Return a page, or an export. Raises ProblemError 422 for a cursor of something else."""
    if format != "json":
        return await export(api, who, wanted, format)
    try:
        before = parse_cursor(after)
    except ValueError:
        raise ProblemError(422, "The request is not valid", "after is not a cursor of this list.") from None
    page = await api.access_log.page(who, wanted, before, limit)
    following = str(page.before) if page.before is not None else None
    return AccessEntries(items=page.items, next=following, searched_to=page.searched_to)


async def export(api: ApiDependencies, who: Caller, wanted: AccessFilter, format: Format) -> StreamingResponse:
    """Return everything that matches, once the export is in the access log."""
    windows = await api.access_log.export(who, wanted, format)
    stream = csv_lines(windows) if format == "csv" else fhir_bundle(windows, api.organization, api.clock())
    headers = {
        "Content-Disposition": f'attachment; filename="{FILE_NAMES[format]}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(stream, media_type=MEDIA_TYPES[format], headers=headers)
