"""The page of one case: the draft with its evidence, what the physician makes of it, and the decision."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form
from fastapi.responses import RedirectResponse, Response

from services.approval.api import Parts, problem_of
from services.approval.inbox.corrections import NOTES as AFTER_FILING
from services.approval.inbox.corrections import add_corrections, after_filing
from services.approval.inbox.drafts import beside_the_one_before
from services.approval.inbox.progress import progress, put_right
from services.approval.inbox.render import EVENT_WORDS, STATE_WORDS, page, span
from services.approval.inbox.sent import Copies, Mode, Sent, sent_form
from services.approval.inbox.working import Working, WorkingCopies
from services.approval.refusal import Refused
from services.approval.rights import READERS, denied
from services.approval.views import case_view, erasure_of
from shared.contracts.case import Case, fold
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import ErasedError
from shared.contracts.events import Approved, Rejected
from shared.contracts.subjects import CaseRef
from shared.runtime.authentication import Caller
from shared.runtime.problems import ProblemError
from shared.runtime.request_limits import TEXT_MAX_BODY_BYTES, limit_endpoint

NOTES = {
    "stale": "There is a newer draft than the one you were looking at. Nothing was signed.",
    "unresolved": "Not signed yet: look at every open point, and confirm, change or remove every sentence that the "
    "record does not support.",
    "no-such-person": "Not given away: the EHR knows no such practitioner. Choose somebody from the list.",
    "incomplete": "Not signed: the text is not the whole document of this stay. Keep the line that names the patient, "
    "keep every part with words in it, and write what is still to be written.",
    "misleading": "Not signed yet: the last line of the document says who wrote the narrative, and that was not true "
    "any more. It has been put right: look at it, and countersign.",
}


def add_case(router: APIRouter, parts: Parts, working: WorkingCopies) -> None:
    copies = Copies(working)
    _add_reading(router, parts, working, copies)
    _add_signing(router, parts, copies)
    _add_refusing(router, parts)
    add_corrections(router, parts, working)


def _add_reading(router: APIRouter, parts: Parts, working: WorkingCopies, copies: Copies) -> None:
    clinician = Annotated[Caller, Depends(parts.guard.require(*READERS))]

    @router.get("/reviews/{case_id}", include_in_schema=False)
    async def show(case_id: str, who: clinician, note: str = "") -> Response:
        return await shown(await _looked(parts, case_id, who), who, "review", note)

    @router.get("/reviews/{case_id}/write", include_in_schema=False)
    async def write(case_id: str, who: clinician, note: str = "") -> Response:
        """The facts, and a narrative that the physician writes."""
        history = await _looked(parts, case_id, who)
        case = fold(history)
        if not case.open or _barred(who, case, history[-1].case):
            return RedirectResponse(f"/reviews/{case_id}", 303)
        return await shown(history, who, "write", note)

    async def shown(history: list[RecordedEvent], who: Caller, mode: Mode, note: str) -> Response:
        case, ref = fold(history), history[-1].case
        try:
            draft = await parts.desk.draft_of(ref.id, case)
        except ErasedError:
            return _erased_page(parts, who, history)
        if draft is None or case.review is None:
            return page(
                "waiting.html",
                who=who,
                case=case_view(history),
                words=EVENT_WORDS,
                state=STATE_WORDS,
                head=case.head.sequence,
                zone=parts.zone_of(ref.department),
            )
        digest = case.review.draft.digest
        kept = await copies.find(ref, draft, digest, mode, who.subject) if case.open else Working(text=draft.text)
        return page(
            "case.html",
            who=who,
            mode=mode,
            case=case_view(history),
            state=STATE_WORDS[case.state],
            words=EVENT_WORDS,
            draft=draft,
            digest=digest,
            head=case.head.sequence,
            lines=draft.text.split("\n"),
            numbers={id(sentence): index for index, sentence in enumerate(draft.sentences)},
            decided=_decided(case),
            barred=_barred(who, case, ref),
            following=_following(parts, case),
            note=(NOTES | AFTER_FILING).get(note, ""),
            zone=parts.zone_of(ref.department),
            after=await after_filing(parts, working, who, ref, case),
            earlier=await beside_the_one_before(parts.desk, history, case, draft) if mode == "review" else None,
            **await progress(parts.desk, ref.id, draft, kept, mode, who),
        )


def _add_signing(router: APIRouter, parts: Parts, copies: Copies) -> None:
    clinician = Annotated[Caller, Depends(parts.guard.require(*READERS))]
    form = Annotated[Sent, Depends(sent_form(parts))]

    @router.post("/reviews/{case_id}/working", include_in_schema=False)
    @limit_endpoint(TEXT_MAX_BODY_BYTES)
    async def keep(sent: form, who: clinician) -> Response:
        """Keep what was typed; answers what was changed and what still waits for a word."""
        await copies.keep(sent, who.subject)
        if not fold(await parts.desk.history(sent.ref.id)).open:  # it came after the decision: nobody needs the copy
            await copies.drop(sent, who.subject)
        zone = parts.zone_of(sent.ref.department)
        found = await progress(parts.desk, sent.ref.id, sent.draft, sent.copy, sent.mode, who)
        return page("changes.html", saved=parts.clock(), zone=zone, mode=sent.mode, **found)

    @router.post("/reviews/{case_id}/look", include_in_schema=False)
    @limit_endpoint(TEXT_MAX_BODY_BYTES)
    async def look(sent: form, who: clinician) -> Response:
        """The same for a browser that runs no script."""
        await copies.keep(sent, who.subject)
        return RedirectResponse(f"{sent.path}#signing", 303)

    @router.post("/reviews/{case_id}/approve", include_in_schema=False)
    @limit_endpoint(TEXT_MAX_BODY_BYTES)
    async def approve(sent: form, who: clinician) -> Response:
        await copies.keep(sent, who.subject)  # nothing typed is lost, whatever comes of it
        try:
            parts.check_recent(who)
        except ProblemError:
            return RedirectResponse(f"/sign-in?again=1&after={sent.path}", 303)
        copy = sent.copy
        changed = copy.text if copy.text != sent.draft.text else None
        try:
            await parts.desk.approve(sent.ref.id, sent.digest, who, changed, copy.settled, copy.reading(sent.draft))
        except Refused as refused:
            if refused.why == "misleading":
                await copies.keep(await put_right(parts.desk, sent, who), who.subject)
            return _back(sent.path, refused)
        await copies.drop(sent, who.subject)
        return RedirectResponse(f"/reviews/{sent.ref.id}", 303)


def _add_refusing(router: APIRouter, parts: Parts) -> None:
    clinician = Annotated[Caller, Depends(parts.guard.require(*READERS))]

    @router.post("/reviews/{case_id}/reject", include_in_schema=False)
    async def reject(
        case_id: str,
        who: clinician,
        digest: Annotated[str, Form()],
        action: Annotated[Literal["redraft", "close", "withdraw"], Form()],
        reason: Annotated[str, Form(max_length=4000)],
    ) -> Response:
        if not reason.strip():
            raise ProblemError(422, "A reason is needed", "Say in a few words why the draft is refused.")
        try:
            await parts.desk.reject(case_id, digest, who, action, reason.strip())
        except Refused as refused:
            return _back(f"/reviews/{case_id}", refused)
        return RedirectResponse(f"/reviews/{case_id}", 303)

    @router.post("/reviews/{case_id}/reassign", include_in_schema=False)
    async def reassign(
        case_id: str,
        who: clinician,
        to: Annotated[str, Form(pattern=r"^\s*(Practitioner/)?[A-Za-z0-9.\-]{1,64}\s*$")],
        reason: Annotated[str, Form(max_length=4000)],
    ) -> Response:
        if not reason.strip():
            raise ProblemError(422, "A reason is needed", "Say in a few words why somebody else is to decide.")
        owner = f"Practitioner/{to.strip().removeprefix('Practitioner/')}"
        try:
            await parts.desk.reassign(case_id, owner, who, reason.strip())
        except Refused as refused:
            return _back(f"/reviews/{case_id}", refused)
        return RedirectResponse(f"/reviews/{case_id}", 303)


async def _looked(parts: Parts, case_id: str, who: Caller) -> list[RecordedEvent]:
    try:
        return await parts.desk.look(case_id, who)
    except Refused as refused:
        raise problem_of(refused) from None


def _erased_page(parts: Parts, who: Caller, history: list[RecordedEvent]) -> Response:
    """That its texts were erased, when, by whom and why."""
    head, zone = history[-1].head.sequence, parts.zone_of(history[-1].case.department)
    facts: dict[str, Any] = {"case": case_view(history), "erasure": erasure_of(history)}
    answer = page("erased.html", who=who, head=head, zone=zone, words=EVENT_WORDS, state=STATE_WORDS, **facts)
    answer.status_code = 410
    return answer


def _decided(case: Case) -> dict[str, object] | None:
    """Who decided, and what."""
    if case.decision is None or not isinstance(case.decision.body, Approved | Rejected):
        return None
    by = case.decision.body.by
    what = "Countersigned" if isinstance(case.decision.body, Approved) else "Refused"
    return {"what": what, "by": by.name or by.subject, "time": case.decision.time}


def _barred(who: Caller, case: Case, ref: CaseRef) -> str:
    """Why the caller can only read; empty when it may decide."""
    found = denied(who, case, ref.department, "decide")
    return found.reason if found else ""


def _following(parts: Parts, case: Case) -> str:
    """When somebody else is told, in words; empty where nothing more comes."""
    if not case.open or case.review is None or case.level >= len(case.review.deadlines):
        return ""
    left = (case.review.deadlines[case.level] - parts.clock()).total_seconds()
    last = case.level == len(case.review.deadlines) - 1
    return f"{'The supervisor takes over' if last else 'The supervisor is told'} in {span(left)}"


def _back(path: str, refused: Refused) -> Response:
    """To the page, which shows what has happened in the meantime."""
    if refused.why in ("unknown", "forbidden"):
        raise problem_of(refused)
    return RedirectResponse(f"{path}?note={refused.why}", 303)
