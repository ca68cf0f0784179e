"""Find a decision that the same person has sent before. Pure.

A request that is repeated after a lost answer gets the first answer, not a refusal: also where its sender may not
decide any more, or the case has moved on.
"""

from collections.abc import Sequence
from typing import TypeGuard

from shared.contracts.case import Case
from shared.contracts.envelope import RecordedEvent, sha256_hex
from shared.contracts.events import (
    Actor,
    Approved,
    Discharged,
    Reassigned,
    Rejected,
    RejectionAction,
    ReviewRequested,
    Withdrawn,
)


def approved_before(case: Case, seen: str, by: Actor, text: str | None) -> Approved | None:
    """Return the signature that `by` gave before to the draft `seen`, or to `text` in its place."""
    body = case.decision.body if case.decision else None
    if not isinstance(body, Approved) or body.draft.digest != seen or body.by.subject != by.subject:
        return None
    return body if body.signed == (body.draft.text if text is None else sha256_hex(text.encode())) else None


def rejected_before(case: Case, seen: str, by: Actor, action: RejectionAction, reason: str) -> Rejected | None:
    """Return the rejection that `by` appended before; `reason` is the digest of the words."""
    body = case.decision.body if case.decision else None
    return body if _is_rejection(body, seen, by, action, reason) else None


def rejected_earlier(
    history: Sequence[RecordedEvent], seen: str, by: Actor, action: RejectionAction, reason: str
) -> Rejected | None:
    """Return the rejection that `by` appended before, also where another draft has been written since."""
    return next((item.body for item in history if _is_rejection(item.body, seen, by, action, reason)), None)


def reassigned_earlier(history: Sequence[RecordedEvent], to: str, by: Actor, reason: str) -> Reassigned | None:
    """Return the reassignment of the last review to `to` that `by` appended before; `reason` is the words' digest."""
    found = None
    for item in history:
        match item.body:
            case ReviewRequested():
                found = None
            case Reassigned() as body if (body.owner, body.reason, body.by.subject) == (to, reason, by.subject):
                found = body
            case _:
                pass
    return found


def withdrawn_earlier(history: Sequence[RecordedEvent], by: Actor, words: str) -> Withdrawn | None:
    """Return the withdrawal that `by` appended before, unless the case was opened again; `words` is their digest."""
    found = None
    for item in history:
        match item.body:
            case Discharged():
                found = None
            case Withdrawn(by=Actor() as who) as body if (who.subject, body.words) == (by.subject, words):
                found = body
            case _:
                pass
    return found


def _is_rejection(body: object, seen: str, by: Actor, action: RejectionAction, reason: str) -> TypeGuard[Rejected]:
    if not isinstance(body, Rejected) or body.draft.digest != seen or body.by.subject != by.subject:
        return False
    return (body.action, body.reason) == (action, reason)
