"""The page of a case after its filing: the document as it stands, and the forms that correct, append and retract."""

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form
from fastapi.responses import RedirectResponse, Response

from services.approval.corrections import rules as correction_rules
from services.approval.dependencies import Api, ApiDependencies, Clinician
from services.approval.review import edits, text_diff
from services.approval.review.api import LONGEST_TEXT
from services.approval.review.authorization import denial
from services.approval.review.autosave import AutosavedDraft
from services.approval.review.errors import DecisionRefusedError, StepUpRequiredError
from services.approval.review.problems import problem_of
from services.approval.web.render import PageRoute
from shared.contracts.case import Case, latest_document
from shared.contracts.corrections import Retracted, RetractionRequested
from shared.contracts.draft import Draft
from shared.contracts.events import Actor
from shared.contracts.subjects import CaseRef
from shared.runtime.authentication import Caller
from shared.runtime.problems import ProblemError
from shared.runtime.request_limits import TEXT_MAX_BODY_BYTES, limit_endpoint

NOTES = {
    "changed": "The document has changed since you read it. Nothing was signed: read the current document.",
    "unchanged": "Nothing was signed: the text is identical to the document in the chart.",
    "not-filed": "Nothing was signed: what was signed before is still on its way into the chart.",
    "no-draft": "Nothing was signed: the draft of this document was lost in a restore. Correct it in the EHR.",
    "asked": "Somebody has asked for a retraction already.",
    "not-asked": "No retraction of the current document has been requested.",
    "same-person": "Nothing was retracted: a second person has to confirm.",
    "no-reason": "Nothing was signed: enter a reason.",
}
Text = Annotated[str, Form(max_length=LONGEST_TEXT)]
Reason = Annotated[str, Form(max_length=4000)]
Digest = Annotated[str, Form(max_length=64)]
Numbers = Annotated[list[int], Form(max_length=1000)]
Digests = Annotated[list[str], Form(max_length=1000)]
ADDENDUM = "/addendum"  # what the key of its working copy ends with


async def after_filing(api: ApiDependencies, who: Caller, ref: CaseRef, case: Case) -> dict[str, Any] | None:
    """Return what the page shows of a signed document; None before the signature."""
    found, last = await api.corrections.current_document(ref.id, case), latest_document(case)
    if found is None or last is None:
        return None
    shown: dict[str, Any] = {
        "text": found.text,
        "addenda": found.addenda,
        "seen": found.seen,
        "by": _name(found.signature.by),
        "time": last.signature.time,
        "number": correction_rules.number_of(case, last.signature) if found.signature.event == "amended" else 1,
        "retracted": _retracted(case),
        "request": None,
        "may": _may(who, ref, case, writable=found.draft is not None),
    }
    if shown["may"] is None:
        return shown
    if case.retraction is not None and isinstance(request := case.retraction.body, RetractionRequested):
        words = await api.corrections.reason_text(ref.id, request.reason)
        shown["request"] = {"by": _name(request.by), "time": case.retraction.time, "words": words}
    if shown["may"]["sign"] and found.draft is not None:
        corrected = await api.autosave.find(ref.id, found.seen, who.subject)
        added = await api.autosave.find(ref.id, found.seen + ADDENDUM, who.subject)
        shown["correction"] = await _typed(api, who, ref.id, found.draft, case, corrected, found.text)
        shown["addendum"] = await _typed(api, who, ref.id, found.draft, case, added, "")
    return shown


def _may(who: Caller, ref: CaseRef, case: Case, *, writable: bool) -> dict[str, bool] | None:
    """Return what the caller may do with the filed document; None if there is none, or a filing is in progress.

    `writable`: its draft exists, to which a text is compared.
    """
    if case.state != "filed" or case.document is None:
        return None
    sign = denial(who, case, ref.department, "decide") is None
    request = case.retraction.body if case.retraction else None
    first = isinstance(request, RetractionRequested) and request.by.subject == who.subject
    ask = denial(who, case, ref.department, "retract") is None
    return {"sign": sign and writable, "ask": ask, "retract": sign and not first}


async def _typed(
    api: ApiDependencies, who: Caller, case_id: str, draft: Draft, case: Case, copy: AutosavedDraft | None, text: str
) -> dict[str, Any]:
    """Return the autosaved text, and what of it the record does not support. `text` is the initial one."""
    typed = copy or AutosavedDraft(text=text)
    resolved = correction_rules.carried(case, draft, typed.resolved)
    new = typed.text if typed.text != text else ""
    written = await api.cases.added_statements(case_id, draft, new, who) if new else ()
    before = correction_rules.carried(case, draft, AutosavedDraft(text="").resolved)
    left = edits.unresolved(draft, new, before.confirmed)
    return {
        "text": typed.text,
        "reason": typed.reason,
        "touched": copy is not None,
        "diff": await asyncio.to_thread(text_diff.diff, text, typed.text) if new and text else text_diff.Diff(),
        "written": [i for i in written if i.label != "supported" and i.digest not in before.written],
        "unresolved": [{"number": number, "text": draft.sentences[number].text} for number in left],
        "confirmed": resolved.confirmed,
        "confirmed_own": resolved.written,
    }


def _retracted(case: Case) -> dict[str, str] | None:
    body = case.retraction.body if case.retraction else None
    if not isinstance(body, Retracted):
        return None
    return {"first": _name(body.requested_by), "second": _name(body.by)}


def _name(by: Actor) -> str:
    return by.name or by.subject


router = APIRouter(route_class=PageRoute, include_in_schema=False)


async def corrected_text(
    case_id: str,
    who: Clinician,
    api: Api,
    text: Text = "",
    reason: Reason = "",
    confirmed: Numbers = [],  # noqa: B006 - FastAPI copies defaults
    written: Digests = [],  # noqa: B006
) -> AutosavedDraft:
    """Read the form, of a case that the caller may see; a FastAPI dependency. Raises ProblemError."""
    ref, case = await api.cases.case(case_id)
    if not case.exists or denial(who, case, ref.department, "see"):
        raise ProblemError(404, "There is no such case")
    plain = text.replace("\r\n", "\n").rstrip() + "\n"
    found = await api.corrections.current_document(ref.id, case)
    if found is not None and plain == found.text.rstrip() + "\n":
        plain = found.text  # browsers may drop its last line break
    return AutosavedDraft(text=plain, reason=reason.strip(), confirmed=tuple(confirmed), written=frozenset(written))


CorrectionForm = Annotated[AutosavedDraft, Depends(corrected_text)]


@router.post("/reviews/{case_id}/amendments/look")
@limit_endpoint(TEXT_MAX_BODY_BYTES)
async def autosave_correction(case_id: str, who: Clinician, api: Api, seen: Digest, copy: CorrectionForm) -> Response:
    """Save what was typed, for a browser that runs no script."""
    await api.autosave.save(case_id, seen, who.subject, copy)
    return RedirectResponse(f"/reviews/{case_id}#correction", 303)


@router.post("/reviews/{case_id}/amendments")
@limit_endpoint(TEXT_MAX_BODY_BYTES)
async def amend(case_id: str, who: Clinician, api: Api, seen: Digest, copy: CorrectionForm) -> Response:
    await api.autosave.save(case_id, seen, who.subject, copy)  # nothing typed is lost, whatever comes of it
    try:
        await api.corrections.amend(case_id, seen, who, copy.text, copy.reason, copy.resolved)
    except DecisionRefusedError as refused:
        return _redirect_to_case(case_id, refused, "correction")
    await api.autosave.drop(case_id, seen, who.subject)
    return RedirectResponse(f"/reviews/{case_id}", 303)


@router.post("/reviews/{case_id}/addenda")
@limit_endpoint(TEXT_MAX_BODY_BYTES)
async def addend(case_id: str, who: Clinician, api: Api, seen: Digest, copy: CorrectionForm) -> Response:
    await api.autosave.save(case_id, seen + ADDENDUM, who.subject, copy)
    try:
        await api.corrections.addend(case_id, seen, who, copy.text, copy.reason, copy.resolved)
    except DecisionRefusedError as refused:
        return _redirect_to_case(case_id, refused, "addendum")
    await api.autosave.drop(case_id, seen + ADDENDUM, who.subject)
    return RedirectResponse(f"/reviews/{case_id}", 303)


@router.post("/reviews/{case_id}/retraction")
async def request_retraction(case_id: str, who: Clinician, api: Api, seen: Digest, reason: Reason = "") -> Response:
    try:
        await api.corrections.request_retraction(case_id, seen, who, reason.strip())
    except DecisionRefusedError as refused:
        return _redirect_to_case(case_id, refused, "retraction")
    return RedirectResponse(f"/reviews/{case_id}#retraction", 303)


@router.post("/reviews/{case_id}/retraction/confirm")
async def confirm_retraction(case_id: str, who: Clinician, api: Api, seen: Digest) -> Response:
    try:
        await api.corrections.retract(case_id, seen, who)
    except DecisionRefusedError as refused:
        return _redirect_to_case(case_id, refused, "retraction")
    return RedirectResponse(f"/reviews/{case_id}", 303)


def _redirect_to_case(case_id: str, refused: DecisionRefusedError, place: str) -> Response:
    """Redirect to the case, which shows what has happened in the meantime, or to the sign-in. Raises ProblemError."""
    if isinstance(refused, StepUpRequiredError):
        return RedirectResponse(f"/sign-in?again=1&after=/reviews/{case_id}", 303)
    if refused.code in ("unknown", "forbidden"):
        raise problem_of(refused)
    return RedirectResponse(f"/reviews/{case_id}?note={refused.code}#{place}", 303)
