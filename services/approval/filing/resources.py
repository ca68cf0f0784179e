"""The FHIR R4 resources that approval writes, as plain dicts. Pure.

Task https://hl7.org/fhir/R4/task.html, DocumentReference https://hl7.org/fhir/R4/documentreference.html,
Provenance https://hl7.org/fhir/R4/provenance.html, Device https://hl7.org/fhir/R4/device.html
"""

from collections.abc import Iterable
from datetime import datetime

from shared.clinical.elements import Resource, child, children
from shared.contracts.events import DraftRef, StayReferences
from shared.contracts.subjects import CaseRef, derived_id
from shared.contracts.timestamps import format_timestamp

NAMING = "https://countersign.example/fhir"
REVIEW_SYSTEM = f"{NAMING}/review"
ESCALATION_SYSTEM = f"{NAMING}/escalation"
DOCUMENT_SYSTEM = f"{NAMING}/document"
DEVICE_SYSTEM = f"{NAMING}/ai-device"
CHAIN_HEAD_SYSTEM = f"{NAMING}/audit-chain-head"
TEXT_SYSTEM = f"{NAMING}/document-sha256"
PROMPT_SYSTEM = f"{NAMING}/prompt-sha256"
DRAFT_SYSTEM = f"{NAMING}/draft-sha256"
REVIEW_STATUS_SYSTEM = f"{NAMING}/review-status"
AWAITING = "awaiting-review"  # business status of a review that nobody has decided
DISCHARGE_CANCELLED, WITHDRAWN = "discharge-cancelled", "withdrawn"  # of one that we called off
DRAFT_INPUT = "draft sha-256"
EVENT_SYSTEM = f"{NAMING}/event"
FINAL_DOCUMENT = "final document"

OBSERVATION_VALUE = "http://terminology.hl7.org/CodeSystem/v3-ObservationValue"
AIAST = {"system": OBSERVATION_VALUE, "code": "AIAST", "display": "Artificial Intelligence asserted"}
CLINAST = {"system": OBSERVATION_VALUE, "code": "CLINAST", "display": "clinician asserted"}


def review_identifier(case: CaseRef, draft: DraftRef, again: int = 0) -> tuple[str, str]:
    """Return system and value: one Task for each draft; `again` counts discharges that were cancelled before."""
    return REVIEW_SYSTEM, f"{case.id}/{draft.number}" + (f"/{again}" if again else "")


def escalation_identifier(case: CaseRef, clock: str, level: int, person: int) -> tuple[str, str]:
    """Return system and value: one Task for each person notified at a level of a review's clock; 0: supervisor."""
    return ESCALATION_SYSTEM, f"{case.id}/{clock}/{level}/{person}"


def document_identifier(case: CaseRef) -> tuple[str, str]:
    """Return system and value of the first document of a case."""
    return DOCUMENT_SYSTEM, f"{case.id}/final"


def document_id(case: CaseRef) -> str:
    """Return the first document's id, for an EHR that accepts client-assigned ids."""
    return derived_id(case.id, "document")


def provenance_id(chain_head: str) -> str:
    """Return the id of the Provenance with `chain_head`, for an EHR that accepts client-assigned ids."""
    return derived_id(chain_head, "provenance")


def identified(pair: tuple[str, str]) -> list[Resource]:
    return [{"system": pair[0], "value": pair[1]}]


def with_identifier(found: Iterable[Resource], pair: tuple[str, str]) -> list[Resource]:
    """Return the resources of `found` with the identifier, each once.

    A server may ignore a parameter that it does not support, and return other resources.
    """
    carrying = {
        str(item["id"]): item
        for item in found
        for own in children(item, "identifier")
        if (own.get("system"), own.get("value")) == pair
    }
    return list(carrying.values())


def device(draft: DraftRef) -> Resource:
    """Return the AI that drafted as a Device: each version of model and prompt is another one."""
    return {
        "resourceType": "Device",
        "identifier": identified((DEVICE_SYSTEM, device_name(draft))),
        "deviceName": [{"name": "Countersign discharge drafter", "type": "user-friendly-name"}],
        "modelNumber": draft.model or "none",
        "type": {
            "coding": [
                {
                    "system": "http://hl7.org/fhir/uv/aitransparency/CodeSystem/AIdeviceTypeCS",
                    "code": "Artificial-Intelligence",
                }
            ]
        },
        "version": [{"value": device_name(draft)}],
    }


def device_name(draft: DraftRef) -> str:
    return f"{draft.model or 'no-model'} / {draft.prompt.name} {draft.prompt.version}"


def task(
    case: CaseRef,
    stay: StayReferences,
    draft: DraftRef,
    device_id: str,
    now: datetime,
    due: datetime,
    link: str,
    owner: str | None,
) -> Resource:
    """Return the Task of a review, which waits in the EHR for its owner: the attending, or who covers for them.

    Its focus is the Encounter: the draft stays out of the chart until it is signed.
    """
    resource: Resource = {
        "resourceType": "Task",
        "identifier": identified(review_identifier(case, draft)),
        "status": "requested",
        "businessStatus": business_status(AWAITING),
        "intent": "order",
        "priority": "routine",
        "code": {
            "coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "approve"}],
            "text": f"Review AI-drafted {draft.type.title.lower()}",
        },
        "focus": {"reference": stay.encounter},
        "for": {"reference": stay.patient},
        "encounter": {"reference": stay.encounter},
        "authoredOn": format_timestamp(now),
        "lastModified": format_timestamp(now),
        "requester": {"reference": f"Device/{device_id}"},
        "performerType": [
            {"coding": [{"system": "http://snomed.info/sct", "code": "158965000", "display": "Medical practitioner"}]}
        ],
        "restriction": {"repetitions": 1, "period": {"start": format_timestamp(now), "end": format_timestamp(due)}},
        "input": [{"type": {"text": DRAFT_INPUT}, "valueString": draft.digest}],
    }
    if owner is not None:
        resource["owner"] = {"reference": owner}
    if link:
        resource["input"].append({"type": {"text": "review page"}, "valueUrl": link})
    return resource


def escalation(
    parent: Resource, identifier: tuple[str, str], owner: Resource, level: int, now: datetime, link: str
) -> Resource:
    """Return the Task that shows an overdue review to a person who is notified: part of the review's Task `parent`."""
    copied = {name: parent[name] for name in ("focus", "for", "encounter", "requester", "code") if name in parent}
    resource: Resource = copied | {
        "resourceType": "Task",
        "identifier": identified(identifier),
        "partOf": [{"reference": f"Task/{parent['id']}"}],
        "status": "requested",
        "businessStatus": business_status(f"overdue-{level}"),
        "intent": "order",
        "priority": "urgent" if level == 1 else "asap",
        "description": f"A discharge summary waits for its review (escalation {level})",
        "authoredOn": format_timestamp(now),
        "lastModified": format_timestamp(now),
        "owner": owner,
    }
    if link:
        resource["input"] = [{"type": {"text": "review page"}, "valueUrl": link}]
    return resource


def person(reference: str) -> Resource:
    """Return a FHIR reference, or a display text if nobody is known."""
    return {"reference": reference} if "/" in reference else {"display": reference}


def business_status(code: str) -> Resource:
    return {"coding": [{"system": REVIEW_STATUS_SYSTEM, "code": code}]}


def completed(
    task: Resource, outcome: str, now: datetime, document: str | None = None, event: str | None = None
) -> Resource:
    """Return `task` after the decision. A rejected draft is a completed Task with a rejecting outcome.

    `event` is the id of the decision's event: it marks changes that we made ourselves.
    """
    output: list[Resource] = [{"type": {"text": "decision"}, "valueCode": outcome}]
    if document is not None:
        output.append({"type": {"text": FINAL_DOCUMENT}, "valueReference": {"reference": document}})
    if event is not None:
        identifier = {"system": EVENT_SYSTEM, "value": event}
        output.append({"type": {"text": "decided in Countersign"}, "valueIdentifier": identifier})
    return task | {
        "status": "completed",
        "businessStatus": business_status(outcome),
        "lastModified": format_timestamp(now),
        "output": output,
    }


def begun(task: Resource, now: datetime) -> Resource:
    """Return `task` after its physician has opened it."""
    return task | {"status": "in-progress", "lastModified": format_timestamp(now)}


def sent_back(task: Resource, words: str, now: datetime) -> Resource:
    """Return `task` waiting again, with `words` as the reason."""
    kept = {name: value for name, value in task.items() if name not in ("output", "statusReason")}
    return kept | {
        "status": "in-progress",
        "statusReason": {"text": words},
        "businessStatus": business_status(AWAITING),
        "lastModified": format_timestamp(now),
    }


def cancelled(task: Resource, now: datetime, why: str = DISCHARGE_CANCELLED) -> Resource:
    return task | {
        "status": "cancelled",
        "businessStatus": business_status(why),
        "lastModified": format_timestamp(now),
    }


def owned_by(task: Resource, owner: Resource, now: datetime, due: datetime | None = None) -> Resource:
    """Return `task` with another owner and, with `due`, another deadline."""
    changed = task | {"owner": owner, "lastModified": format_timestamp(now)}
    if due is not None:
        restriction = child(task, "restriction")
        period = child(restriction, "period") | {"end": format_timestamp(due)}
        changed["restriction"] = restriction | {"period": period}
    return changed


def practitioner(reference: str | None, subject: str) -> Resource:
    """Return the signer as a FHIR reference or, if the token has none, a logical reference to its subject."""
    if reference is not None:
        return {"reference": reference}
    return {"type": "Practitioner", "identifier": {"system": f"{NAMING}/subject", "value": subject}}


def participant(code: str) -> Resource:
    system = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
    return {"coding": [{"system": system, "code": code}]}


def digest_entity(role: str, system: str, value: str) -> Resource:
    return {"role": role, "what": {"identifier": {"system": system, "value": value}}}


def chain_head_of(provenance: Resource) -> str | None:
    """Return the head of the audit chain that a Provenance of ours contains."""
    return entity_of(provenance, CHAIN_HEAD_SYSTEM)


def entity_of(provenance: Resource, system: str) -> str | None:
    """Return the value of our identifier of `system` among the entities of a Provenance."""
    for entity in children(provenance, "entity"):
        identifier = child(child(entity, "what"), "identifier")
        if identifier.get("system") == system:
            return str(identifier.get("value"))
    return None
