"""Signatures without a recorded view of the draft before them. Pure."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from shared.contracts.access_log import AccessLogEntry
from shared.contracts.envelope import RecordedEvent
from shared.contracts.events import Approved

Reason = Literal["not-viewed", "other-draft-viewed", "signed-in-ehr"]
DRAFT = "draft "  # begins the detail of a view that showed a draft
REASONS = (
    "not-viewed: the log has no view of a draft of this case by the signer before the signature; other-draft-viewed: "
    "the signer has viewed drafts of this case, but not the one that was signed; signed-in-ehr: decided in the EHR's "
    "own inbox, whose views this log does not have"
)


class UnseenSignature(BaseModel):
    """An approval whose signer has no recorded view of the signed draft before it."""

    case_id: str
    department: str
    sequence: int = Field(description="of the event `approved` in the event stream")
    signed_at: datetime
    subject: str = Field(description="who signed")
    practitioner: str | None
    draft: str = Field(description="SHA-256 of the signed draft")
    reason: Reason = Field(description=REASONS)
    last_viewed: datetime | None = Field(description="the signer's last view of another draft of the case")


def unseen(event: RecordedEvent, approved: Approved, entries: Iterable[AccessLogEntry]) -> UnseenSignature | None:
    """Return the signature if its signer has not viewed the draft before it; None if the view is recorded.

    `entries` are those about the case. The signer is known by subject, or by the FHIR reference of the person.
    """
    by = approved.by
    views = [
        item
        for item in entries
        if item.event == "viewed"
        and item.detail.startswith(DRAFT)
        and item.time <= event.time
        and (item.subject == by.subject or (by.practitioner is not None and item.practitioner == by.practitioner))
    ]
    if any(item.detail == f"{DRAFT}{approved.draft.digest}" for item in views):
        return None
    reason: Reason = "other-draft-viewed" if views else "not-viewed"
    return UnseenSignature(
        case_id=event.case.id,
        department=event.case.department,
        sequence=event.head.sequence,
        signed_at=event.time,
        subject=by.subject,
        practitioner=by.practitioner,
        draft=approved.draft.digest,
        reason="signed-in-ehr" if approved.channel == "ehr" else reason,
        last_viewed=max((item.time for item in views), default=None),
    )
