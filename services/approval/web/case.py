"""The page of one case: the draft with its evidence, the physician's text, and the decision."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form
from fastapi.responses import RedirectResponse, Response

from services.approval.dependencies import Api, ApiDependencies, Clinician
from services.approval.review.authorization import denial
from services.approval.review.autosave import AutosavedDraft
from services.approval.review.carried_edits import CarriedEdits
from services.approval.review.errors import DecisionRefusedError, StepUpRequiredError
from services.approval.review.problems import problem_of
from services.approval.review.views import case_view, erasure_of
from services.approval.web.corrections import NOTES as AFTER_FILING
from services.approval.web.corrections import after_filing
from services.approval.web.draft_comparison import compare_with_previous
from services.approval.web.filing import NOTES as FILING
from services.approval.web.filing import unfiled_case
from services.approval.web.progress import correct_authorship_line, progress
from services.approval.web.ratings import NOTES as RATING
from services.approval.web.ratings import rating_form
from services.approval.web.render import EVENT_LABELS, STATE_LABELS, PageRoute, page
from services.approval.web.review_form import Mode, ReviewForm, ReviewFormAutosave
from shared.contracts.case import Case, fold
from shared.contracts.draft import Draft
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import ErasedError
from shared.contracts.events import Approved, Rejected
from shared.contracts.subjects import CaseRef
from shared.runtime.authentication import Caller
from shared.runtime.request_limits import TEXT_MAX_BODY_BYTES, limit_endpoint
from shared.web.render import span

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


router = APIRouter(route_class=PageRoute, include_in_schema=False)


@router.get("/reviews/{case_id}")
async def show(case_id: str, who: Clinician, api: Api, note: str = "") -> Response:
    return await _case_page(api, await _viewed(api, case_id, who), who, "review", note)


@router.get("/reviews/{case_id}/write")
async def write(case_id: str, who: Clinician, api: Api, note: str = "") -> Response:
    """Show the facts, with a narrative that the physician writes."""
    history = await _viewed(api, case_id, who)
    case = fold(history)
    if not case.open or _read_only_reason(who, case, history[-1].case):
        return RedirectResponse(f"/reviews/{case_id}", 303)
    return await _case_page(api, history, who, "write", note)


@router.post("/reviews/{case_id}/working")
@limit_endpoint(TEXT_MAX_BODY_BYTES)
async def autosave(form: ReviewForm, who: Clinician, api: Api) -> Response:
    """Save what was typed; the answer shows what was changed and what is still to be resolved."""
    copies = ReviewFormAutosave(api.autosave)
    await copies.save(form, who.subject)
    case = fold(await api.cases.history(form.ref.id))
    # It came after the decision: nobody needs the copy. Edits to a prepared draft wait for that of the discharge.
    if case.decision is not None or not (case.editable or form.prepared):
        await copies.drop(form, who.subject)
    zone = api.zone_of(form.ref.department)
    found = await progress(api.cases, form.ref.id, form.draft, form.copy, form.mode, who)
    return page("changes.html", saved=api.clock(), zone=zone, mode=form.mode, **found)


@router.post("/reviews/{case_id}/look")
@limit_endpoint(TEXT_MAX_BODY_BYTES)
async def save_draft(form: ReviewForm, who: Clinician, api: Api) -> Response:
    """Save what was typed, for a browser without scripts."""
    await ReviewFormAutosave(api.autosave).save(form, who.subject)
    return RedirectResponse(f"{form.path}#signing", 303)


@router.post("/reviews/{case_id}/approve")
@limit_endpoint(TEXT_MAX_BODY_BYTES)
async def approve(form: ReviewForm, who: Clinician, api: Api) -> Response:
    copies = ReviewFormAutosave(api.autosave)
    await copies.save(form, who.subject)  # nothing typed is lost, whatever comes of it
    copy = form.copy
    changed = copy.text if copy.text != form.draft.text else None
    try:
        await api.review.approve(form.ref.id, form.digest, who, changed, copy.resolved, copy.reading(form.draft))
    except DecisionRefusedError as refused:
        if refused.code == "misleading":
            await copies.save(await correct_authorship_line(api.cases, form, who), who.subject)
        return _redirect_back(form.path, refused)
    await copies.drop(form, who.subject)
    await api.carrier.drop(await api.cases.history(form.ref.id), who.subject)
    return RedirectResponse(f"/reviews/{form.ref.id}", 303)


@router.post("/reviews/{case_id}/reject")
async def reject(
    case_id: str,
    who: Clinician,
    api: Api,
    digest: Annotated[str, Form()],
    action: Annotated[Literal["redraft", "close", "withdraw"], Form()],
    reason: Annotated[str, Form(max_length=4000)],
) -> Response:
    try:
        await api.review.reject(case_id, digest, who, action, reason.strip())
    except DecisionRefusedError as refused:
        return _redirect_back(f"/reviews/{case_id}", refused)
    return RedirectResponse(f"/reviews/{case_id}", 303)


@router.post("/reviews/{case_id}/reassign")
async def reassign(
    case_id: str,
    who: Clinician,
    api: Api,
    to: Annotated[str, Form(pattern=r"^\s*(Practitioner/)?[A-Za-z0-9.\-]{1,64}\s*$")],
    reason: Annotated[str, Form(max_length=4000)],
) -> Response:
    owner = f"Practitioner/{to.strip().removeprefix('Practitioner/')}"
    try:
        await api.review.reassign(case_id, owner, who, reason.strip())
    except DecisionRefusedError as refused:
        return _redirect_back(f"/reviews/{case_id}", refused)
    return RedirectResponse(f"/reviews/{case_id}", 303)


async def _case_page(
    api: ApiDependencies, history: list[RecordedEvent], who: Caller, mode: Mode, note: str
) -> Response:
    case, ref = fold(history), history[-1].case
    try:
        draft = await api.cases.draft_of(ref.id, case)
    except ErasedError:
        return _erased_page(api, who, history)
    if draft is None or case.shown_draft is None:
        return page(
            "waiting.html",
            who=who,
            case=case_view(history),
            words=EVENT_LABELS,
            state=STATE_LABELS,
            head=case.head.sequence,
            zone=api.zone_of(ref.department),
        )
    return page("case.html", who=who, mode=mode, **await _case_values(api, history, case, draft, who, mode, note))


async def _case_values(
    api: ApiDependencies, history: list[RecordedEvent], case: Case, draft: Draft, who: Caller, mode: Mode, note: str
) -> dict[str, Any]:
    """Return the template values of a case with a draft."""
    ref, digest = history[-1].case, case.shown_draft.digest if case.shown_draft else ""
    copies, carried = ReviewFormAutosave(api.autosave), CarriedEdits()
    kept = AutosavedDraft(text=draft.text)
    if case.editable:
        carried = await api.carrier.find(history, draft, digest, who.subject)
        kept = await copies.find(ref, draft, digest, mode, who.subject, carried.copy)
    return {
        "preparation": case.preparation,
        "conflicts": carried.conflicts,
        "case": case_view(history),
        "state": STATE_LABELS[case.state],
        "words": EVENT_LABELS,
        "draft": draft,
        "digest": digest,
        "head": case.head.sequence,
        "lines": draft.text.split("\n"),
        "numbers": {id(sentence): index for index, sentence in enumerate(draft.sentences)},
        "decided": _decided(case),
        "barred": _read_only_reason(who, case, ref),
        "following": _next_escalation(api, case),
        "note": (NOTES | AFTER_FILING | FILING | RATING).get(note, ""),
        "zone": api.zone_of(ref.department),
        "after": await after_filing(api, who, ref, case),
        "rating": await rating_form(api, who, ref.id, case),
        "doubt": await api.chart.restore_warning(history),
        "unfiled": await unfiled_case(api, history, api.clock()),
        "compared": await compare_with_previous(api.cases, history, case, draft) if mode == "review" else None,
        **await progress(api.cases, ref.id, draft, kept, mode, who),
    }


async def _viewed(api: ApiDependencies, case_id: str, who: Caller) -> list[RecordedEvent]:
    try:
        return await api.cases.authorized_history(case_id, who)
    except DecisionRefusedError as refused:
        raise problem_of(refused) from None


def _erased_page(api: ApiDependencies, who: Caller, history: list[RecordedEvent]) -> Response:
    """Answer that the texts of the case were erased: when, by whom and why."""
    head, zone = history[-1].head.sequence, api.zone_of(history[-1].case.department)
    facts: dict[str, Any] = {"case": case_view(history), "erasure": erasure_of(history)}
    answer = page("erased.html", who=who, head=head, zone=zone, words=EVENT_LABELS, state=STATE_LABELS, **facts)
    answer.status_code = 410
    return answer


def _decided(case: Case) -> dict[str, object] | None:
    """Return who decided, what and when; None before the decision."""
    if case.decision is None or not isinstance(case.decision.body, Approved | Rejected):
        return None
    by = case.decision.body.by
    what = "Countersigned" if isinstance(case.decision.body, Approved) else "Refused"
    return {"what": what, "by": by.name or by.subject, "time": case.decision.time}


def _read_only_reason(who: Caller, case: Case, ref: CaseRef) -> str:
    """Return why the caller may only read; empty where they may decide."""
    found = denial(who, case, ref.department, "decide")
    return found.reason if found else ""


def _next_escalation(api: ApiDependencies, case: Case) -> str:
    """Return when the review escalates next, in words; empty where it does not."""
    if not case.open or case.review is None or case.level >= len(case.review.deadlines):
        return ""
    left = (case.review.deadlines[case.level] - api.clock()).total_seconds()
    last = case.level == len(case.review.deadlines) - 1
    return f"{'The supervisor takes over' if last else 'The supervisor is notified'} in {span(left)}"


def _redirect_back(path: str, refused: DecisionRefusedError) -> Response:
    """Redirect to the page, which shows what has happened in the meantime, or to the sign-in. Raises Problem."""
    if isinstance(refused, StepUpRequiredError):
        return RedirectResponse(f"/sign-in?again=1&after={path}", 303)
    if refused.code in ("unknown", "forbidden", "no-reason"):
        raise problem_of(refused)
    return RedirectResponse(f"{path}?note={refused.code}", 303)
