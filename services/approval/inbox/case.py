"""The page of one case: the draft with its evidence, what the physician makes of it, and the decision."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Form
from fastapi.responses import RedirectResponse, Response

from services.approval import edits
from services.approval.api import Parts, problem_of
from services.approval.inbox.corrections import NOTES as AFTER_FILING
from services.approval.inbox.corrections import add_corrections, after_filing
from services.approval.inbox.render import EVENT_WORDS, STATE_WORDS, page, span
from services.approval.inbox.working import Working, WorkingCopies
from services.approval.refusal import Refused
from services.approval.rights import READERS, denied
from services.approval.views import case_view
from shared.contracts.case import Case, fold
from shared.contracts.draft import Draft
from shared.contracts.envelope import Recorded
from shared.contracts.events import Approved, Drafted, Rejected
from shared.contracts.subjects import CaseRef
from shared.runtime.access import Caller
from shared.runtime.limits import TEXT, takes
from shared.runtime.problems import Problem

LONGEST = 200_000
NOTES = {
    "stale": "There is a newer draft than the one you were looking at. Nothing was signed.",
    "unresolved": "Not signed yet: look at every open point, and confirm, change or remove every sentence that the "
    "record does not support.",
    "no-such-person": "Not given away: the EHR knows no such practitioner. Choose somebody from the list.",
    "incomplete": "Not signed: the text is not the whole document of this stay. Keep the line that names the patient, "
    "keep every part with words in it, and write what is still to be written.",
}
Numbers = Annotated[list[int], Form(max_length=1000)]
Digests = Annotated[list[str], Form(max_length=1000)]
Seconds = Annotated[int, Form(ge=0)]


def add_case(router: APIRouter, parts: Parts, working: WorkingCopies) -> None:
    _add_reading(router, parts, working)
    _add_signing(router, parts, working)
    _add_refusing(router, parts)
    add_corrections(router, parts, working)


def _add_reading(router: APIRouter, parts: Parts, working: WorkingCopies) -> None:
    clinician = Annotated[Caller, Depends(parts.guard.allow(*READERS))]

    @router.get("/reviews/{case_id}", include_in_schema=False)
    async def show(case_id: str, who: clinician, note: str = "") -> Response:
        history = await _looked(parts, case_id, who)
        case, ref = fold(history), history[-1].case
        draft = await parts.desk.draft_of(case)
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
        copy = await working.find(ref.id, digest, who.subject) if case.open else None
        copy = copy or Working(text=draft.text)
        return page(
            "case.html",
            who=who,
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
            **await _progress(parts, draft, copy),
        )


def _add_signing(router: APIRouter, parts: Parts, working: WorkingCopies) -> None:
    clinician = Annotated[Caller, Depends(parts.guard.allow(*READERS))]

    @router.post("/reviews/{case_id}/working", include_in_schema=False)
    @takes(TEXT)
    async def keep(
        case_id: str,
        who: clinician,
        digest: Annotated[str, Form()],
        text: Annotated[str, Form(max_length=LONGEST)] = "",
        confirmed: Numbers = [],  # noqa: B006 - FastAPI copies defaults
        acknowledged: Numbers = [],  # noqa: B006
        written: Digests = [],  # noqa: B006
        seconds: Seconds = 0,
        seen: Numbers = [],  # noqa: B006
    ) -> Response:
        """Keep what was typed; answers what differs from the draft and what still waits for a word."""
        ref, draft = await _under_review(parts, case_id, who, digest)
        copy = Working(
            text=_typed(text, draft),
            confirmed=tuple(confirmed),
            acknowledged=tuple(acknowledged),
            written=frozenset(written),
            seconds=seconds,
            seen=frozenset(seen),
        )
        await working.keep(ref.id, digest, who.subject, copy)
        zone = parts.zone_of(ref.department)
        return page("changes.html", saved=parts.clock(), zone=zone, **await _progress(parts, draft, copy))

    @router.post("/reviews/{case_id}/approve", include_in_schema=False)
    @takes(TEXT)
    async def approve(
        case_id: str,
        who: clinician,
        digest: Annotated[str, Form()],
        text: Annotated[str, Form(max_length=LONGEST)] = "",
        confirmed: Numbers = [],  # noqa: B006
        acknowledged: Numbers = [],  # noqa: B006
        written: Digests = [],  # noqa: B006
        seconds: Seconds = 0,
        seen: Numbers = [],  # noqa: B006
    ) -> Response:
        ref, draft = await _under_review(parts, case_id, who, digest)
        copy = Working(
            text=_typed(text, draft),
            confirmed=tuple(confirmed),
            acknowledged=tuple(acknowledged),
            written=frozenset(written),
            seconds=seconds,
            seen=frozenset(seen),
        )
        subject = who.subject
        await working.keep(ref.id, digest, subject, copy)  # nothing typed is lost, whatever comes of it
        try:
            parts.check_recent(who)
        except Problem:
            return RedirectResponse(f"/sign-in?again=1&after=/reviews/{ref.id}", 303)
        changed = copy.text if copy.text != draft.text else None
        try:
            await parts.desk.approve(ref.id, digest, who, changed, copy.settled, copy.reading(draft))
        except Refused as refused:
            return _back(ref.id, refused)
        await working.drop(ref.id, digest, subject)
        return RedirectResponse(f"/reviews/{ref.id}", 303)


def _add_refusing(router: APIRouter, parts: Parts) -> None:
    clinician = Annotated[Caller, Depends(parts.guard.allow(*READERS))]

    @router.post("/reviews/{case_id}/reject", include_in_schema=False)
    async def reject(
        case_id: str,
        who: clinician,
        digest: Annotated[str, Form()],
        action: Annotated[Literal["redraft", "close", "withdraw"], Form()],
        reason: Annotated[str, Form(max_length=4000)],
    ) -> Response:
        if not reason.strip():
            raise Problem(422, "A reason is needed", "Say in a few words why the draft is refused.")
        try:
            await parts.desk.reject(case_id, digest, who, action, reason.strip())
        except Refused as refused:
            return _back(case_id, refused)
        return RedirectResponse(f"/reviews/{case_id}", 303)

    @router.post("/reviews/{case_id}/reassign", include_in_schema=False)
    async def reassign(
        case_id: str,
        who: clinician,
        to: Annotated[str, Form(pattern=r"^\s*(Practitioner/)?[A-Za-z0-9.\-]{1,64}\s*$")],
        reason: Annotated[str, Form(max_length=4000)],
    ) -> Response:
        if not reason.strip():
            raise Problem(422, "A reason is needed", "Say in a few words why somebody else is to decide.")
        owner = f"Practitioner/{to.strip().removeprefix('Practitioner/')}"
        try:
            await parts.desk.reassign(case_id, owner, who, reason.strip())
        except Refused as refused:
            return _back(case_id, refused)
        return RedirectResponse(f"/reviews/{case_id}", 303)


async def _looked(parts: Parts, case_id: str, who: Caller) -> list[Recorded]:
    try:
        return await parts.desk.look(case_id, who)
    except Refused as refused:
        raise problem_of(refused) from None


async def _under_review(parts: Parts, case_id: str, who: Caller, digest: str) -> tuple[CaseRef, Draft]:
    """Raises Problem where the caller may not see the case or the draft was never one of its drafts."""
    history = await parts.desk.history(case_id)
    case = fold(history)
    if not history or denied(who, case, history[-1].case.department, "see"):
        raise Problem(404, "There is no such case")
    drafts = [event.body.draft.digest for event in history if isinstance(event.body, Drafted)]
    if digest not in drafts:
        raise Problem(412, "This is not a draft of this case")
    return history[-1].case, await parts.desk.draft(digest)


def _typed(text: str, draft: Draft) -> str:
    """Browsers send text areas with CRLF and may drop the last line break; an untouched text counts as untouched."""
    plain = text.replace("\r\n", "\n").rstrip() + "\n"
    return draft.text if plain == draft.text.rstrip() + "\n" else plain


async def _progress(parts: Parts, draft: Draft, copy: Working) -> dict[str, Any]:
    """What differs from the draft, and which sentences and open points still wait for a word."""
    written = [item for item in await parts.desk.written(draft, copy.text) if item.label != "supported"]
    return {
        "written": written,
        "unconfirmed": [item.digest for item in written if item.digest not in copy.written],
        "copy": copy,
        "diff": edits.diff(draft.text, copy.text) if copy.text != draft.text else [],
        "unresolved": edits.unresolved(draft, copy.text, copy.confirmed),
        "unacknowledged": edits.unacknowledged(draft, copy.acknowledged),
        "gone": [index for index in range(len(draft.sentences)) if index not in edits.standing(draft, copy.text)],
    }


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


def _back(case_id: str, refused: Refused) -> Response:
    """To the case, which shows what has happened in the meantime."""
    if refused.why in ("unknown", "forbidden"):
        raise problem_of(refused)
    return RedirectResponse(f"/reviews/{case_id}?note={refused.why}", 303)
