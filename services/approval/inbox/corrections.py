"""The page of a case after its filing: the document as it stands, and the forms that correct, append and retract."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form
from fastapi.responses import RedirectResponse, Response

from services.approval import compare, corrections, edits
from services.approval.api import LONGEST_TEXT, Parts, problem_of
from services.approval.corrections_desk import CorrectionsDesk
from services.approval.inbox.working import Working, WorkingCopies
from services.approval.refusal import Refused
from services.approval.rights import READERS, denied
from shared.contracts.case import Case, latest_document
from shared.contracts.corrections import Retracted, RetractionRequested
from shared.contracts.draft import Draft
from shared.contracts.events import Actor
from shared.contracts.subjects import CaseRef
from shared.runtime.authentication import Caller
from shared.runtime.problems import ProblemError
from shared.runtime.request_limits import TEXT_MAX_BODY_BYTES, limit_endpoint

NOTES = {
    "changed": "The document has changed since you read it. Nothing was signed: look at it as it stands now.",
    "unchanged": "Nothing was signed: the text is the one that stands in the chart.",
    "not-filed": "Nothing was signed: what was signed before is still on its way into the chart.",
    "no-draft": "Nothing was signed: the draft of this document was lost in a restore. Correct it in the EHR.",
    "asked": "Somebody has asked for a retraction already.",
    "not-asked": "Nobody has asked for a retraction of the document as it stands now.",
    "same-person": "Nothing was retracted: a second person has to confirm.",
    "no-reason": "Nothing was signed: say in a few words why.",
}
Text = Annotated[str, Form(max_length=LONGEST_TEXT)]
Reason = Annotated[str, Form(max_length=4000)]
Digest = Annotated[str, Form(max_length=64)]
Numbers = Annotated[list[int], Form(max_length=1000)]
Digests = Annotated[list[str], Form(max_length=1000)]
ADDENDUM = "/addendum"  # what the key of its working copy ends with


async def after_filing(
    parts: Parts, working: WorkingCopies, who: Caller, ref: CaseRef, case: Case
) -> dict[str, Any] | None:
    """What the page shows of a signed document; None before the signature."""
    desk = CorrectionsDesk(parts.desk)
    found, last = await desk.standing(ref.id, case), latest_document(case)
    if found is None or last is None:
        return None
    shown: dict[str, Any] = {
        "text": found.text,
        "addenda": found.addenda,
        "seen": found.seen,
        "by": _name(found.signature.by),
        "time": last.signature.time,
        "number": corrections.number_of(case, last.signature) if found.signature.event == "amended" else 1,
        "retracted": _retracted(case),
        "request": None,
        "may": _may(who, ref, case, writable=found.draft is not None),
    }
    if shown["may"] is None:
        return shown
    if case.retraction is not None and isinstance(request := case.retraction.body, RetractionRequested):
        words = await desk.words(ref.id, request.reason)
        shown["request"] = {"by": _name(request.by), "time": case.retraction.time, "words": words}
    if shown["may"]["sign"] and found.draft is not None:
        corrected = await working.find(ref.id, found.seen, who.subject)
        added = await working.find(ref.id, found.seen + ADDENDUM, who.subject)
        shown["correction"] = await _typed(parts, who, ref.id, found.draft, case, corrected, found.text)
        shown["addendum"] = await _typed(parts, who, ref.id, found.draft, case, added, "")
    return shown


def _may(who: Caller, ref: CaseRef, case: Case, *, writable: bool) -> dict[str, bool] | None:
    """What the caller may do with what stands in the chart; None where nothing does, or something is on its way.
    `writable`: its draft is there, against which a text is held.
    """
    if case.state != "filed" or case.document is None:
        return None
    sign = denied(who, case, ref.department, "decide") is None
    request = case.retraction.body if case.retraction else None
    first = isinstance(request, RetractionRequested) and request.by.subject == who.subject
    ask = denied(who, case, ref.department, "retract") is None
    return {"sign": sign and writable, "ask": ask, "retract": sign and not first}


async def _typed(
    parts: Parts, who: Caller, case_id: str, draft: Draft, case: Case, copy: Working | None, text: str
) -> dict[str, Any]:
    """What somebody has typed so far, and what of it the record does not support. `text` is what they began with."""
    typed = copy or Working(text=text)
    settled = corrections.carried(case, draft, typed.settled)
    new = typed.text if typed.text != text else ""
    written = await parts.desk.written(case_id, draft, new, who) if new else ()
    before = corrections.carried(case, draft, Working(text="").settled)
    left = edits.unresolved(draft, new, before.confirmed)
    return {
        "text": typed.text,
        "reason": typed.reason,
        "touched": copy is not None,
        "diff": await asyncio.to_thread(compare.diff, text, typed.text) if new and text else [],
        "written": [i for i in written if i.label != "supported" and i.digest not in before.written],
        "unresolved": [{"number": number, "text": draft.sentences[number].text} for number in left],
        "confirmed": settled.confirmed,
        "confirmed_own": settled.written,
    }


def _retracted(case: Case) -> dict[str, str] | None:
    body = case.retraction.body if case.retraction else None
    if not isinstance(body, Retracted):
        return None
    return {"first": _name(body.requested_by), "second": _name(body.by)}


def _name(by: Actor) -> str:
    return by.name or by.subject


def add_corrections(router: APIRouter, parts: Parts, working: WorkingCopies) -> None:
    _add_signing(router, parts, working)
    _add_retracting(router, parts)


def _sent(parts: Parts, desk: CorrectionsDesk) -> Callable[..., Awaitable[Working]]:
    clinician = Annotated[Caller, Depends(parts.guard.require(*READERS))]

    async def sent(
        case_id: str,
        who: clinician,
        text: Text = "",
        reason: Reason = "",
        confirmed: Numbers = [],  # noqa: B006 - FastAPI copies defaults
        written: Digests = [],  # noqa: B006
    ) -> Working:
        """What a form says, of a case that the caller may see. Raises Problem."""
        ref, case = await parts.desk.case(case_id)
        if not case.exists or denied(who, case, ref.department, "see"):
            raise ProblemError(404, "There is no such case")
        plain = text.replace("\r\n", "\n").rstrip() + "\n"
        found = await desk.standing(ref.id, case)
        if found is not None and plain == found.text.rstrip() + "\n":
            plain = found.text  # browsers may drop its last line break
        return Working(text=plain, reason=reason.strip(), confirmed=tuple(confirmed), written=frozenset(written))

    return sent


def _add_signing(router: APIRouter, parts: Parts, working: WorkingCopies) -> None:
    desk = CorrectionsDesk(parts.desk)
    clinician = Annotated[Caller, Depends(parts.guard.require(*READERS))]
    sent = Annotated[Working, Depends(_sent(parts, desk))]

    @router.post("/reviews/{case_id}/amendments/look", include_in_schema=False)
    @limit_endpoint(TEXT_MAX_BODY_BYTES)
    async def look(case_id: str, who: clinician, seen: Digest, copy: sent) -> Response:
        await working.keep(case_id, seen, who.subject, copy)
        return RedirectResponse(f"/reviews/{case_id}#correction", 303)

    @router.post("/reviews/{case_id}/amendments", include_in_schema=False)
    @limit_endpoint(TEXT_MAX_BODY_BYTES)
    async def amend(case_id: str, who: clinician, seen: Digest, copy: sent) -> Response:
        await working.keep(case_id, seen, who.subject, copy)  # nothing typed is lost, whatever comes of it
        if back := _not_yet(parts, who, case_id, copy.reason, "correction"):
            return back
        try:
            await desk.amend(case_id, seen, who, copy.text, copy.reason, copy.settled)
        except Refused as refused:
            return _back(case_id, refused, "correction")
        await working.drop(case_id, seen, who.subject)
        return RedirectResponse(f"/reviews/{case_id}", 303)

    @router.post("/reviews/{case_id}/addenda", include_in_schema=False)
    @limit_endpoint(TEXT_MAX_BODY_BYTES)
    async def addend(case_id: str, who: clinician, seen: Digest, copy: sent) -> Response:
        await working.keep(case_id, seen + ADDENDUM, who.subject, copy)
        if back := _not_yet(parts, who, case_id, copy.reason, "addendum"):
            return back
        try:
            await desk.addend(case_id, seen, who, copy.text, copy.reason, copy.settled)
        except Refused as refused:
            return _back(case_id, refused, "addendum")
        await working.drop(case_id, seen + ADDENDUM, who.subject)
        return RedirectResponse(f"/reviews/{case_id}", 303)


def _add_retracting(router: APIRouter, parts: Parts) -> None:
    clinician = Annotated[Caller, Depends(parts.guard.require(*READERS))]
    desk = CorrectionsDesk(parts.desk)

    @router.post("/reviews/{case_id}/retraction", include_in_schema=False)
    async def ask(case_id: str, who: clinician, seen: Digest, reason: Reason = "") -> Response:
        if back := _not_yet(parts, who, case_id, reason.strip(), "retraction"):
            return back
        try:
            await desk.request_retraction(case_id, seen, who, reason.strip())
        except Refused as refused:
            return _back(case_id, refused, "retraction")
        return RedirectResponse(f"/reviews/{case_id}#retraction", 303)

    @router.post("/reviews/{case_id}/retraction/confirm", include_in_schema=False)
    async def confirm(case_id: str, who: clinician, seen: Digest) -> Response:
        if back := _not_yet(parts, who, case_id, "confirmed", "retraction"):
            return back
        try:
            await desk.retract(case_id, seen, who)
        except Refused as refused:
            return _back(case_id, refused, "retraction")
        return RedirectResponse(f"/reviews/{case_id}", 303)


def _not_yet(parts: Parts, who: Caller, case_id: str, reason: str, place: str) -> Response | None:
    """Where to go instead, for who has to sign in again or to say why."""
    try:
        parts.check_recent(who)
    except ProblemError:
        return RedirectResponse(f"/sign-in?again=1&after=/reviews/{case_id}", 303)
    return None if reason else RedirectResponse(f"/reviews/{case_id}?note=no-reason#{place}", 303)


def _back(case_id: str, refused: Refused, place: str) -> Response:
    """To the case, which shows what has happened in the meantime and what is still to be done."""
    if refused.why in ("unknown", "forbidden"):
        raise problem_of(refused)
    return RedirectResponse(f"/reviews/{case_id}?note={refused.why}#{place}", 303)
