"""The FHIR R4 resources of a signed document: the DocumentReference and its Provenance, as plain dicts. Pure.

https://hl7.org/fhir/R4/documentreference.html, https://hl7.org/fhir/R4/provenance.html
"""

from collections.abc import Iterable
from datetime import datetime

from services.approval.filing.resources import (
    AIAST,
    CHAIN_HEAD_SYSTEM,
    CLINAST,
    DRAFT_SYSTEM,
    PROMPT_SYSTEM,
    TEXT_SYSTEM,
    digest_entity,
    document_identifier,
    identified,
    participant,
    practitioner,
)
from shared.clinical.elements import Resource
from shared.contracts.corrections import Amended
from shared.contracts.events import Approved, Signature
from shared.contracts.subjects import CaseRef
from shared.contracts.timestamps import format_timestamp


def has_ai_author(signature: Signature) -> bool:
    """Return whether the AI is an author. It is not, if a physician wrote the narrative."""
    return isinstance(signature, Approved | Amended) and signature.narrative not in ("physician", "none")


def security_labels(signature: Signature) -> list[Resource]:
    """Return the security labels: AIAST, and CLINAST after the approval."""
    return [AIAST, CLINAST] if has_ai_author(signature) else [CLINAST]


def document(
    case: CaseRef, approved: Signature, contents: Iterable[Resource], device_id: str, signed_at: datetime
) -> Resource:
    """Return the signed document, with the type of its draft."""
    stay, type = approved.stay, approved.draft.type
    signer = practitioner(approved.signer, approved.by.subject)
    context: Resource = {"encounter": [{"reference": stay.encounter}], "period": {"end": format_timestamp(stay.end)}}
    if stay.start is not None:
        context["period"]["start"] = format_timestamp(stay.start)
    resource: Resource = {
        "resourceType": "DocumentReference",
        "meta": {"security": security_labels(approved)},
        "identifier": identified(document_identifier(case)),
        "status": "current",
        "docStatus": "final",
        "type": {"coding": [{"system": "http://loinc.org", "code": type.code, "display": type.display}]},
        "category": [
            {
                "coding": [
                    {
                        "system": "http://hl7.org/fhir/us/core/CodeSystem/us-core-documentreference-category",
                        "code": "clinical-note",
                    }
                ]
            }
        ],
        "subject": {"reference": stay.patient},
        "date": format_timestamp(signed_at),
        "author": [*([{"reference": f"Device/{device_id}"}] if has_ai_author(approved) else []), signer],
        "authenticator": signer,
        "content": list(contents),
        "context": context,
    }
    if stay.organization is not None:
        resource["custodian"] = {"reference": stay.organization}
    return resource


def provenance(
    approved: Signature,
    document_id: str,
    device_id: str,
    chain_head: str,
    signed_at: datetime,
    now: datetime,
    renditions: Iterable[Resource] = (),
) -> Resource:
    """Return the Provenance: who made the document from what, with the head of the case's audit chain.

    `renditions` are the entities with the digests of the document's contents.
    """
    device = {"reference": f"Device/{device_id}"}
    signer = practitioner(approved.signer, approved.by.subject)
    verifier: Resource = {"type": participant("verifier"), "who": signer}
    authors = [{"type": participant("author"), "who": device}]
    prompt = [digest_entity("derivation", PROMPT_SYSTEM, approved.draft.prompt.digest)]
    if not has_ai_author(approved):  # the device has only assembled the facts
        prompt = []
        authors = [{"type": participant("author"), "who": signer}, {"type": participant("assembler"), "who": device}]
    if approved.stay.organization is not None:
        verifier["onBehalfOf"] = {"reference": approved.stay.organization}
    return {
        "resourceType": "Provenance",
        "target": [{"reference": f"DocumentReference/{document_id}"}],
        "occurredDateTime": format_timestamp(signed_at),
        "recorded": format_timestamp(now),
        "reason": [{"coding": security_labels(approved)[:1]}],
        "activity": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-DataOperation", "code": "CREATE"}]
        },
        "agent": [*authors, verifier],
        "entity": [
            {"role": "source", "what": {"reference": approved.stay.encounter}},
            *prompt,
            digest_entity("revision", DRAFT_SYSTEM, approved.draft.digest),
            digest_entity("source", TEXT_SYSTEM, approved.signed),
            digest_entity("source", CHAIN_HEAD_SYSTEM, chain_head),
            *renditions,
        ],
    }
