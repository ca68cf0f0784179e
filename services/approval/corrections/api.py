"""REST API of filed documents: read, correct, append, retract."""

from typing import Annotated

from fastapi import APIRouter, Header, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.approval.dependencies import Api, Clinician, IdempotencyKey, parse_if_match
from services.approval.review.api import LONGEST_TEXT, DecisionResult, WrittenSentences
from services.approval.review.problems import ERASED, SIGNATURE, UNKNOWN_CASE, DecisionRoute, gone
from services.approval.review.signing_rules import ResolvedItems
from shared.contracts.case import fold
from shared.contracts.errors import ErasedError
from shared.contracts.events import Resolution
from shared.runtime.problems import ProblemError, problem_responses
from shared.runtime.request_limits import TEXT_MAX_BODY_BYTES, limit_endpoint
from shared.runtime.response_headers import with_etag

router = APIRouter(tags=["after filing"], route_class=DecisionRoute)

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
IfMatch = Annotated[str | None, Header(alias="If-Match", description="the document's digest, as the ETag had it")]


class CurrentDocument(BaseModel):
    """A signed document as it stands. `digest` is what `If-Match` must carry: it changes with each addendum, too."""

    case_id: str
    digest: str
    text: str = Field(description="the document as it is in the chart")
    addenda: list[str] = Field(description="texts of its addenda, oldest first")
    document_reference: str | None
    retraction_requested_by: str | None = Field(description="who asked for a retraction; null: nobody")


class _Signed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: Words = Field(description="why, in the physician's words; they stay with us")
    written: WrittenSentences = []
    resolutions: list[Resolution] = Field(
        default=[],
        max_length=1000,
        description="of sentences of the draft that the record does not support and that come back",
    )

    @property
    def resolved(self) -> ResolvedItems:
        return ResolvedItems({item.sentence: item.how for item in self.resolutions}, (), frozenset(self.written))


class Amend(_Signed):
    """Sign a corrected text."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"text": "Discharge summary\n…", "reason": "the dose of bisoprolol was wrong"}]}
    )

    text: str = Field(min_length=1, max_length=LONGEST_TEXT, description="the whole document as it is to stand")


class AddendumRequest(_Signed):
    """Sign an addendum."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"text": "The culture of 3 June stayed negative.", "reason": "result after the discharge"}]
        }
    )

    text: str = Field(
        min_length=1,
        max_length=LONGEST_TEXT,
        description="the addendum; the line that says who the patient is is put above it",
    )


class Retract(BaseModel):
    """Ask for a retraction."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "filed for another patient"}]})

    reason: Words


@router.get(
    "/v1/cases/{case_id}/document",
    summary="The signed document as it stands, with its addenda",
    responses=with_etag("of the document, for `If-Match`") | problem_responses(UNKNOWN_CASE | ERASED),
)
async def show_document(case_id: str, response: Response, who: Clinician, api: Api) -> CurrentDocument:
    history = await api.cases.authorized_history(case_id, who)
    case = fold(history)
    try:
        found = await api.corrections.current_document(case_id, case)
    except ErasedError:
        raise gone(history) from None
    if found is None:
        raise ProblemError(404, "No document is signed yet", f"The case is {case.state}.")
    response.headers["ETag"] = f'"{found.seen}"'
    return CurrentDocument(
        case_id=case_id,
        digest=found.seen,
        text=found.text,
        addenda=list(found.addenda),
        document_reference=case.document.document_reference if case.document else None,
        retraction_requested_by=case.retraction.actor if case.state == "filed" and case.retraction else None,
    )


@router.post(
    "/v1/cases/{case_id}/amendments",
    summary="Sign a corrected text",
    description="It replaces the document in the chart, which becomes superseded. Signed as an approval is.",
    responses=problem_responses(SIGNATURE),
)
@limit_endpoint(TEXT_MAX_BODY_BYTES)
async def amend(
    case_id: str, body: Amend, by: Clinician, api: Api, if_match: IfMatch = None, key: IdempotencyKey = None
) -> DecisionResult:
    seen = parse_if_match(if_match, "document")
    event = await api.corrections.amend(case_id, seen, by, body.text, body.reason, body.resolved, key)
    return DecisionResult(case_id=case_id, state="approved", by=by.subject, signed=event.signed)


@router.post(
    "/v1/cases/{case_id}/addenda",
    summary="Sign an addendum",
    description="It is filed as a document of its own that appends to the one in the chart, which stays current.",
    responses=problem_responses(SIGNATURE),
)
@limit_endpoint(TEXT_MAX_BODY_BYTES)
async def addend(
    case_id: str, body: AddendumRequest, by: Clinician, api: Api, if_match: IfMatch = None, key: IdempotencyKey = None
) -> DecisionResult:
    seen = parse_if_match(if_match, "document")
    event = await api.corrections.addend(case_id, seen, by, body.text, body.reason, body.resolved, key)
    return DecisionResult(case_id=case_id, state="approved", by=by.subject, signed=event.signed)


@router.post(
    "/v1/cases/{case_id}/retraction",
    summary="Ask for a retraction: the first of two people",
    description="For a document that should not exist: another patient's, or of a stay that goes on. Any physician "
    "of the department may ask. Nothing changes in the chart until a second person confirms.",
    responses=problem_responses(SIGNATURE),
)
async def request_retraction(
    case_id: str, body: Retract, by: Clinician, api: Api, if_match: IfMatch = None, key: IdempotencyKey = None
) -> DecisionResult:
    await api.corrections.request_retraction(case_id, parse_if_match(if_match, "document"), by, body.reason, key)
    return DecisionResult(case_id=case_id, state="filed", by=by.subject)


@router.post(
    "/v1/cases/{case_id}/retraction/confirm",
    summary="Confirm a retraction: the second of two people",
    description="Whoever may sign for the case and did not ask for it. Every document of the case becomes "
    "entered-in-error in the chart.",
    responses=problem_responses(SIGNATURE),
)
async def confirm_retraction(
    case_id: str, by: Clinician, api: Api, if_match: IfMatch = None, key: IdempotencyKey = None
) -> DecisionResult:
    await api.corrections.retract(case_id, parse_if_match(if_match, "document"), by, key)
    return DecisionResult(case_id=case_id, state="retracted", by=by.subject)
