"""The API of what may be done to a document after its filing: read it, correct it, append to it, retract it."""

from typing import Annotated

from fastapi import APIRouter, Depends, Header, Response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from services.approval.api import LONGEST_TEXT, Decided, Parts, RepeatKey, problem_of, seen
from services.approval.corrections_desk import CorrectionsDesk
from services.approval.gate import Settled
from services.approval.refusal import Refused
from services.approval.rights import READERS
from services.approval.views import gone
from shared.contracts.case import fold
from shared.contracts.errors import ErasedError
from shared.contracts.events import Resolution
from shared.runtime.authentication import Caller
from shared.runtime.problems import ProblemError
from shared.runtime.request_limits import TEXT_MAX_BODY_BYTES, limit_endpoint

Words = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
Seen = Annotated[str | None, Header(alias="If-Match", description="the document's digest, as the ETag had it")]


class StandingDocument(BaseModel):
    """A signed document as it stands. `digest` is what `If-Match` must carry: it changes with each addendum, too."""

    case_id: str
    digest: str
    text: str
    addenda: list[str] = Field(description="texts of its addenda, oldest first")
    document_reference: str | None
    retraction_requested_by: str | None


class _Signed(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reason: Words = Field(description="why, in the physician's words; they stay with us")
    written: list[str] = Field(
        default=[],
        max_length=1000,
        description="SHA-256 of each sentence of your own that the record does not support and that may stand; a "
        "refusal names them",
    )
    resolutions: list[Resolution] = Field(
        default=[],
        max_length=1000,
        description="of sentences of the draft that the record does not support and that come back",
    )

    @property
    def settled(self) -> Settled:
        return Settled({item.sentence: item.how for item in self.resolutions}, (), frozenset(self.written))


class Amend(_Signed):
    """Sign a corrected text."""

    text: str = Field(min_length=1, max_length=LONGEST_TEXT, description="the whole document as it is to stand")


class Addend(_Signed):
    """Sign an addendum."""

    text: str = Field(
        min_length=1,
        max_length=LONGEST_TEXT,
        description="the addendum; the line that says who the patient is is put above it",
    )


class Retract(BaseModel):
    """Ask for a retraction."""

    model_config = ConfigDict(extra="forbid")

    reason: Words


def make_corrections_router(parts: Parts) -> APIRouter:
    router = APIRouter(tags=["after filing"])
    desk = CorrectionsDesk(parts.desk)
    _add_reading(router, parts, desk)
    _add_signing(router, parts, desk)
    _add_retracting(router, parts, desk)
    return router


def _add_reading(router: APIRouter, parts: Parts, desk: CorrectionsDesk) -> None:
    clinician = Annotated[Caller, Depends(parts.guard.require(*READERS))]

    @router.get("/v1/cases/{case_id}/document", summary="The signed document as it stands, with its addenda")
    async def show_document(case_id: str, response: Response, who: clinician) -> StandingDocument:
        try:
            history = await parts.desk.look(case_id, who)
        except Refused as refused:
            raise problem_of(refused) from None
        case = fold(history)
        try:
            found = await desk.standing(case_id, case)
        except ErasedError:
            raise gone(history) from None
        if found is None:
            raise ProblemError(404, "No document is signed yet", f"The case is {case.state}.")
        response.headers["ETag"] = f'"{found.seen}"'
        return StandingDocument(
            case_id=case_id,
            digest=found.seen,
            text=found.text,
            addenda=list(found.addenda),
            document_reference=case.document.document_reference if case.document else None,
            retraction_requested_by=case.retraction.actor if case.state == "filed" and case.retraction else None,
        )


def _add_signing(router: APIRouter, parts: Parts, desk: CorrectionsDesk) -> None:
    clinician = Annotated[Caller, Depends(parts.guard.require(*READERS))]

    @router.post(
        "/v1/cases/{case_id}/amendments",
        summary="Sign a corrected text",
        description="It replaces the document in the chart, which becomes superseded. Signed as an approval is.",
    )
    @limit_endpoint(TEXT_MAX_BODY_BYTES)
    async def amend(case_id: str, body: Amend, by: clinician, if_match: Seen = None, key: RepeatKey = None) -> Decided:
        parts.check_recent(by)
        try:
            event = await desk.amend(case_id, _seen(if_match), by, body.text, body.reason, body.settled, key)
        except Refused as refused:
            raise problem_of(refused) from None
        return Decided(case_id=case_id, state="approved", by=by.subject, signed=event.signed)

    @router.post(
        "/v1/cases/{case_id}/addenda",
        summary="Sign an addendum",
        description="It is filed as a document of its own that appends to the one in the chart, which stays current.",
    )
    @limit_endpoint(TEXT_MAX_BODY_BYTES)
    async def addend(
        case_id: str, body: Addend, by: clinician, if_match: Seen = None, key: RepeatKey = None
    ) -> Decided:
        parts.check_recent(by)
        try:
            event = await desk.addend(case_id, _seen(if_match), by, body.text, body.reason, body.settled, key)
        except Refused as refused:
            raise problem_of(refused) from None
        return Decided(case_id=case_id, state="approved", by=by.subject, signed=event.signed)


def _add_retracting(router: APIRouter, parts: Parts, desk: CorrectionsDesk) -> None:
    clinician = Annotated[Caller, Depends(parts.guard.require(*READERS))]

    @router.post(
        "/v1/cases/{case_id}/retraction",
        summary="Ask for a retraction: the first of two people",
        description="For a document that should not exist: another patient's, or of a stay that goes on. Any physician "
        "of the department may ask. Nothing changes in the chart until a second person confirms.",
    )
    async def request_retraction(
        case_id: str, body: Retract, by: clinician, if_match: Seen = None, key: RepeatKey = None
    ) -> Decided:
        parts.check_recent(by)
        try:
            await desk.request_retraction(case_id, _seen(if_match), by, body.reason, key)
        except Refused as refused:
            raise problem_of(refused) from None
        return Decided(case_id=case_id, state="filed", by=by.subject)

    @router.post(
        "/v1/cases/{case_id}/retraction/confirm",
        summary="Confirm a retraction: the second of two people",
        description="Whoever may sign for the case and did not ask for it. Every document of the case becomes "
        "entered-in-error in the chart.",
    )
    async def confirm_retraction(case_id: str, by: clinician, if_match: Seen = None, key: RepeatKey = None) -> Decided:
        parts.check_recent(by)
        try:
            await desk.retract(case_id, _seen(if_match), by, key)
        except Refused as refused:
            raise problem_of(refused) from None
        return Decided(case_id=case_id, state="retracted", by=by.subject)


def _seen(if_match: str | None) -> str:
    """Raises Problem when it is missing: one signs against exactly what one saw."""
    return seen(if_match, "document")
