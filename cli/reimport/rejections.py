"""Find drafts that were rejected after the backup. Their comments are lost, so they must be rejected again."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from services.approval.ehr_tasks.task_decision import REFUSING, completed_by_us, parse_review_task
from services.approval.filing.resources import REVIEW_STATUS_SYSTEM, REVIEW_SYSTEM
from shared.clinical.elements import Resource, child, children
from shared.clinical.fhir_client import FhirClient
from shared.contracts.case import fold
from shared.messaging.event_store import EventStore


@dataclass(frozen=True, slots=True)
class RejectedDraft:
    """A Task that was completed as a rejection, of a review that is open by its events."""

    case: str
    task: str
    outcome: str  # rejected-redraft, rejected-close, rejected-withdraw


async def rejected_drafts(ehr: FhirClient, event_store: EventStore) -> AsyncIterator[RejectedDraft]:
    """Yield rejected drafts, one page of Tasks at a time. Raises PermanentError when the EHR cannot search for them."""
    async for page in ehr.each_page("Task", {"identifier": f"{REVIEW_SYSTEM}|", "status": "completed"}):
        for task in page.matches:
            asked, outcome = parse_review_task(task), _outcome(task)
            if asked is None or outcome is None or not completed_by_us(task):
                continue
            case = fold(await event_store.find(asked.case_id))
            if case.open and case.review is not None and case.review.draft.digest == asked.digest:
                yield RejectedDraft(asked.case_id, asked.task, outcome)


def _outcome(task: Resource) -> str | None:
    """Return the rejection code of the business status, if any."""
    for coding in children(child(task, "businessStatus"), "coding"):
        if coding.get("system") == REVIEW_STATUS_SYSTEM and coding.get("code") in REFUSING:
            return str(coding["code"])
    return None
