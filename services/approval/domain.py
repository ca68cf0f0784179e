"""Rules of review and signature. Pure: they take the case, and return an event or raise DecisionRefusedError."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from services.approval.review import edits, signing_rules
from services.approval.review.added_text import Statement
from services.approval.review.errors import DecisionRefusedError, RefusalCode
from services.approval.review.signing_rules import ResolvedItems
from shared.contracts import authorship
from shared.contracts.access_log import AccessLogEntry
from shared.contracts.case import Case
from shared.contracts.draft import Draft
from shared.contracts.envelope import RecordedEvent, sha256_hex
from shared.contracts.events import (
    Actor,
    Approved,
    Channel,
    Closed,
    Drafted,
    DraftRef,
    ReadingFigures,
    Reassigned,
    RedraftRequested,
    Reimported,
    Rejected,
    RejectionAction,
    ReviewRequested,
    Withdrawn,
)

# Encounter.status values of a stay that continues: https://hl7.org/fhir/R4/valueset-encounter-status.html
ONGOING = frozenset({"planned", "arrived", "triaged", "in-progress", "onleave"})


def supervisor_of(department: str, supervisors: Mapping[str, str]) -> str | None:
    """Return the FHIR reference of the department's supervisor; None when the directory has none."""
    return supervisors.get(department) or supervisors.get("*")


def request(drafted: Drafted, task: str | None, due: tuple[datetime, ...], owner: str | None) -> ReviewRequested:
    """Ask `owner` for the review: the attending, or who covers for them."""
    return ReviewRequested(
        stay=drafted.stay,
        draft=drafted.draft,
        task=task,
        owner=owner,
        deadlines=due,
        encounter_status=drafted.encounter_status,
    )


def open_review(case: Case, seen: str) -> ReviewRequested:
    """Return the open review of the draft with digest `seen`.

    Raises DecisionRefusedError where the case is decided, waits for no decision, or has another draft under review.
    """
    if not case.exists:
        raise DecisionRefusedError("unknown", "There is no such case.")
    if case.decision is not None:
        raise DecisionRefusedError("decided", f"{case.decision.actor} decided at {case.decision.time.isoformat()}.")
    if not case.open or case.review is None:
        raise DecisionRefusedError("not-open", f"The case is {case.state}.")
    if case.review.draft.digest != seen:
        raise DecisionRefusedError("stale", "The draft has changed since it was read.")
    return case.review


def reads_draft(review: ReviewRequested, text: str | None) -> bool:
    """Return whether the draft is needed to check a signature: its open points, or `text` against its parts."""
    return text is not None or review.draft.by_hand or review.draft.to_settle != 0


def approve(
    case: Case,
    seen: str,
    by: Actor,
    *,
    draft: Draft | None = None,
    text: str | None = None,
    resolved: ResolvedItems = ResolvedItems(),  # noqa: B008 - frozen
    written: Sequence[Statement] = (),
    supervisor: str | None = None,
    channel: Channel | None = None,
    reading: ReadingFigures | None = None,
) -> Approved:
    """Countersign the draft with digest `seen`, or `text` in its place.

    `draft` is its content, see `reads_draft`; `written` are the sentences of `text` that the draft does not have.

    Raises DecisionRefusedError if the text lacks its patient or a part, or has unsupported statements that nobody has
    confirmed.
    """
    review = open_review(case, seen)
    if draft is None and reads_draft(review, text):
        raise ValueError("whether this may be signed is not known without the draft")
    final = None
    if draft is not None:
        final = draft.text if text is None else text
        signing_rules.check(draft, final, resolved, written)
    signed = sha256_hex(final.encode()) if final is not None else review.draft.text
    return Approved(
        stay=review.stay,
        draft=review.draft,
        task=review.task,
        signed=signed,
        edited=signed != review.draft.text,
        by=by,
        signer=signer(case, by, supervisor),
        edits=edits.edit_metrics(draft, final) if draft is not None and final is not None else None,
        resolutions=signing_rules.resolutions(draft, final, resolved)
        if draft is not None and final is not None
        else (),
        acknowledged=tuple(range(len(draft.open_points))) if draft is not None else (),
        written=signing_rules.confirmed_sentences(written),
        narrative=authorship.narrative_author(draft, final, own=bool(written)) if draft and final is not None else None,
        reading=reading,
        channel=channel,
    )


def signer(case: Case, by: Actor, supervisor: str | None) -> str | None:
    """Return the FHIR reference of the signer: the caller's own, or for a static token without one that of its role.

    Raises DecisionRefusedError for all others: nobody signs as somebody else.
    """
    if by.practitioner is not None:
        return by.practitioner
    if by.method != "token":
        raise DecisionRefusedError("forbidden", "The sign-in does not say who you are in the EHR.")
    return supervisor if by.role == "supervisor" else case.owner


def reject(
    case: Case, seen: str, by: Actor, action: RejectionAction, reason: str, *, channel: Channel | None = None
) -> Rejected:
    """Refuse the draft. `reason` is the digest of the physician's words."""
    review = open_review(case, seen)
    return Rejected(
        stay=review.stay,
        draft=review.draft,
        task=review.task,
        action=action,
        reason=reason,
        by=by,
        encounter_status=review.encounter_status,
        channel=channel,
    )


def after_rejection(rejected: Rejected) -> RedraftRequested | Closed:
    """Return the event that follows a rejection: a new draft is requested, or the case is closed."""
    if rejected.action != "redraft":
        return Closed()
    return RedraftRequested(
        stay=rejected.stay,
        context=rejected.draft.context,
        kind=rejected.draft.kind,
        number=rejected.draft.number + 1,
        words=rejected.reason,
        encounter_status=rejected.encounter_status,
    )


def reassign(case: Case, to: str, by: Actor, reason: str, due: tuple[datetime, ...]) -> Reassigned:
    """Give an open review to somebody else. `due` are the deadlines of the new escalation run."""
    if not case.exists:
        raise DecisionRefusedError("unknown", "There is no such case.")
    if not case.open:
        why: RefusalCode = "decided" if case.decision is not None else "not-open"
        raise DecisionRefusedError(why, f"The case is {case.state}.")
    return Reassigned(owner=to, by=by, reason=reason, deadlines=due)


def classify_decision(
    history: Sequence[RecordedEvent], digest: str, focus: str
) -> Literal["decide", "later", "already-decided", "stale"]:
    """Classify a decision that was taken in the EHR about the draft `digest`.

    `later`: the review is not in the event stream yet. `settled`: it was decided or withdrawn. `stale`: no such draft
    is or was under review, or it is about another encounter.
    """
    found: Literal["decide", "later", "already-decided", "stale"] = "stale"
    for event in history:
        match event.body:
            case Drafted() as drafted if drafted.draft.digest == digest and drafted.stay.encounter == focus:
                found = "later"
            case ReviewRequested() as review:
                found = "decide" if review.draft.digest == digest and review.stay.encounter == focus else found
            case Reimported(signature=Approved() as lost) if lost.draft.digest == digest:
                found = "already-decided" if lost.stay.encounter == focus else found
            case Approved() | Rejected() | Withdrawn() | Reimported():
                found = "stale" if found == "stale" else "already-decided"
            case _:
                pass
    return found


def may_sign(case: Case, who: str, owners: Iterable[str | None]) -> bool:
    """Return whether `who` may decide in the EHR: the owner, the attending or one of `owners`, as in our inbox."""
    attending = case.review.stay.attending if case.review else None
    return who in (case.owner, attending, *owners)


def has_opened(case: Case, who: str, supervisor: str, views: Iterable[AccessLogEntry]) -> bool:
    """Return whether `who` has seen the draft under review.

    A token without an identity stands for the owner, a supervisor's for the department's supervisor, as when it signs.
    """
    if case.review is None:
        return False
    stands_for = {"physician": case.owner, "supervisor": supervisor}
    return any(
        view.event == "viewed"
        and case.review.draft.digest in view.detail
        and who == (view.practitioner or (stands_for.get(view.role or "") if view.method == "token" else None))
        for view in views
    )


def starts_review(case: Case, role: str | None, viewed: str) -> bool:
    """Return whether viewing a draft starts its review: the viewer is a physician, or the supervisor it was given to.

    `looked_at` names the draft's digest; one that is no longer under review begins nothing.
    """
    if not case.open or case.review is None or case.review.draft.digest not in viewed:
        return False
    return role == "physician" or (role == "supervisor" and case.owner != case.review.stay.attending)


class DraftOutcome(NamedTuple):
    """The outcome of a review, as its Task has it, and the id of the event of the decision."""

    code: str
    event: str


def outcome_of(decision: RecordedEvent) -> DraftOutcome | None:
    """Return what a decision means for its Task; None for an event that decides no review."""
    match decision.body:
        case Approved():
            return DraftOutcome("approved", decision.id)
        case Rejected() as rejected:
            return DraftOutcome(f"rejected-{rejected.action}", decision.id)
        case Reimported(signature=Approved()):
            return DraftOutcome("approved", decision.id)
        case _:
            return None


def reviewed(history: Iterable[RecordedEvent]) -> list[tuple[DraftRef, DraftOutcome | None]]:
    """Return every draft of an ended case with the outcome of its review; None if it was withdrawn before a decision.

    Drafts are identified by their number, as their Tasks are: a stay that is discharged again starts at 1 again.
    """
    found: dict[int, tuple[DraftRef, DraftOutcome | None]] = {}
    for event in history:
        match event.body:
            case Drafted() as drafted:
                found[drafted.draft.number] = drafted.draft, None
            case Approved() | Rejected() as decision:
                found[decision.draft.number] = decision.draft, outcome_of(event)
            case Reimported(signature=Approved() as lost):  # ends every draft, also of those not in these events
                end = outcome_of(event)
                found = {number: (draft, before or end) for number, (draft, before) in found.items()}
                found[lost.draft.number] = lost.draft, end
    return list(found.values())


def is_discharge_cancelled(case: Case, review: ReviewRequested, status: str | None) -> bool:
    """Return whether the stay continues after its discharge was reported, by the encounter's `status` in the EHR.

    Some EHRs finish the encounter only later, so the status of an encounter that was never finished proves nothing. If
    a discharge was cancelled before, this one may be a late copy of the first.
    """
    return status in ONGOING and (review.encounter_status == "finished" or case.reopened)
