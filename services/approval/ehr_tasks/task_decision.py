"""Read review Tasks of the EHR: which draft they ask about, and which decision a physician entered there. Pure.

https://hl7.org/fhir/R4/task.html#statemachine; docs/adr/0016-decisions-in-the-ehr.md says why it is read like this.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from services.approval.filing.resources import (
    AWAITING,
    DISCHARGE_CANCELLED,
    DRAFT_INPUT,
    EVENT_SYSTEM,
    FINAL_DOCUMENT,
    REVIEW_STATUS_SYSTEM,
    REVIEW_SYSTEM,
    WITHDRAWN,
)
from shared.clinical.elements import Resource, child, children
from shared.contracts import subjects
from shared.contracts.events import RejectionAction
from shared.contracts.subjects import FHIR_ID_PART
from shared.contracts.timestamps import parse_timestamp

ENDED = ("completed", "rejected", "cancelled", "failed", "entered-in-error")  # Task.status values
MAX_REASON_CHARACTERS = 4000  # characters of a physician's words, as our own pages take them
PROVENANCE_TOLERANCE = timedelta(minutes=1)  # a Provenance is recorded with its change, or a little before
NO_WORDS = "Refused in the EHR, without a reason."
REFUSING: dict[str, RejectionAction] = {
    "rejected-redraft": "redraft",
    "rejected-close": "close",
    "rejected-withdraw": "withdraw",
}
CASE_ID = re.compile(subjects.CASE_ID)
PERSON = re.compile(rf"(?:^|/)((?:Practitioner|PractitionerRole)/{FHIR_ID_PART})(?:/_history/[^/]+)?$")


@dataclass(frozen=True, slots=True)
class ReviewTaskRef:
    """The review that a Task asks for, from the Task itself."""

    task: str
    case_id: str
    digest: str  # of the draft; empty where the Task does not say
    focus: str


@dataclass(frozen=True, slots=True)
class TaskDecision:
    """A decision entered in the EHR. `gone`: cancelled, which decides nothing; `unclear`: an unknown code."""

    kind: Literal["approve", "refuse", "gone", "unclear"]
    action: RejectionAction = "close"
    text: str = NO_WORDS


def parse_review_task(task: Resource) -> ReviewTaskRef | None:
    """Return the review that a Task asks for; None for a Task of somebody else."""
    for item in children(task, "identifier"):
        case_id = str(item.get("value", "")).partition("/")[0]
        if item.get("system") == REVIEW_SYSTEM and CASE_ID.fullmatch(case_id):
            return ReviewTaskRef(str(task["id"]), case_id, _digest(task), _reference(task, "focus"))
    return None


def parse_decision(task: Resource) -> TaskDecision | None:
    """Return the decision of a Task; None while there is none, and for a Task that we have ended ourselves."""
    status, codes = task.get("status"), set(_codes(task))
    if status not in ENDED or (status == "completed" and completed_by_us(task)):
        return None
    if status in ("cancelled", "failed", "entered-in-error"):
        return None if cancelled_by_us(task) else TaskDecision("gone")
    if not codes:
        # Declining the Task without a word refuses the draft; completing it without a word signs the draft as it is.
        return TaskDecision("approve") if status == "completed" else TaskDecision("refuse", "close", _text(task))
    if codes == {"approved"} and status == "completed":
        return TaskDecision("approve")
    if len(codes) == 1 and (action := REFUSING.get(codes.pop())):
        return TaskDecision("refuse", action, _text(task))
    return TaskDecision("unclear")


def completed_by_us(task: Resource) -> bool:
    """Return whether we completed the Task: it has the output that only we write."""
    return any(_is_ours(output) for output in children(task, "output"))


def _is_ours(output: Resource) -> bool:
    if identifier := child(output, "valueIdentifier"):
        return identifier.get("system") == EVENT_SYSTEM
    return child(output, "type").get("text") == FINAL_DOCUMENT


def cancelled_by_us(task: Resource) -> bool:
    """Return whether we cancelled the Task, because the case was withdrawn."""
    return task.get("status") == "cancelled" and not {DISCHARGE_CANCELLED, WITHDRAWN}.isdisjoint(_codes(task))


def owner_of(task: Resource) -> str | None:
    """Return `Practitioner/…` or `PractitionerRole/…`; None if the Task has no owner, or no person."""
    return person(_reference(task, "owner"))


def signer_of(task: Resource, provenances: Iterable[Resource]) -> str | None:
    """Return who made the last change: the agent of the EHR's Provenance, otherwise the owner of the Task.

    None where the EHR says that it was nobody whom we know as a person.
    """
    changed = last_updated(task)
    dated = [(moment, item) for item in provenances if (moment := parse_timestamp(item.get("recorded"))) is not None]
    of_change = [
        (moment, item) for moment, item in dated if changed is not None and moment >= changed - PROVENANCE_TOLERANCE
    ]
    if not of_change:
        return owner_of(task)
    last = max(of_change, key=lambda pair: pair[0])[1]
    people = (person(_reference(agent, "who")) for agent in children(last, "agent"))
    return next((found for found in people if found is not None), None)


def last_updated(task: Resource) -> datetime | None:
    """Return `meta.lastUpdated`; None where the EHR has none."""
    return parse_timestamp(child(task, "meta").get("lastUpdated"))


def person(reference: str) -> str | None:
    """Convert `https://ehr.example/fhir/Practitioner/1` to `Practitioner/1`."""
    match = PERSON.search(reference)
    return match[1] if match else None


def _codes(task: Resource) -> Iterator[str]:
    """Return the codes of the business status and of the output named `decision`."""
    status = child(task, "businessStatus")
    for coding in children(status, "coding"):
        code = str(coding.get("code", ""))
        if coding.get("system") != REVIEW_STATUS_SYSTEM:
            yield f"other:{code}"  # a code of the vendor, which may not mean an approval
        elif code != AWAITING:
            yield code
    if not status.get("coding") and status.get("text"):
        yield "other:text"
    for output in children(task, "output"):
        if child(output, "type").get("text") == "decision":
            coding = child(child(output, "valueCodeableConcept"), "coding")
            yield str(output.get("valueCode") or output.get("valueString") or coding.get("code", "other:"))


def _text(task: Resource) -> str:
    """Return the physician's words: the status reason, else the last note."""
    reason = child(task, "statusReason")
    notes = [str(note.get("text", "")) for note in children(task, "note")]
    displays = [str(coding.get("display", "")) for coding in children(reason, "coding")]
    found = [str(reason.get("text", "")), *displays, *reversed(notes)]
    return next((text.strip()[:MAX_REASON_CHARACTERS] for text in found if text.strip()), NO_WORDS)


def _digest(task: Resource) -> str:
    for item in children(task, "input"):
        if child(item, "type").get("text") == DRAFT_INPUT:
            return str(item.get("valueString", ""))
    return ""


def _reference(element: Resource, name: str) -> str:
    return str(child(element, name).get("reference", ""))
