"""The FHIR R4 resources of a signature of any kind, and of a retraction, as plain dicts. Pure.

https://hl7.org/fhir/R4/documentreference-definitions.html#DocumentReference.relatesTo; activities of a Provenance:
https://terminology.hl7.org/CodeSystem-v3-DataOperation.html
"""

from collections.abc import Iterable
from datetime import datetime

from services.approval.filing import resources, signed_resources
from services.approval.filing.resources import CLINAST
from shared.clinical.elements import Resource
from shared.contracts.corrections import Addended, Amended, Retracted
from shared.contracts.envelope import RecordedEvent
from shared.contracts.events import Approved, Signature
from shared.contracts.subjects import CaseRef, derived_id
from shared.contracts.timestamps import format_timestamp

_OPERATION = "http://terminology.hl7.org/CodeSystem/v3-DataOperation"
IN_ERROR = "entered-in-error"


def identifier_of(case: CaseRef, signature: Signature, number: int) -> tuple[str, str]:
    """Return system and value; each document and addendum of a case has its own. `number` starts at 1."""
    system, value = resources.document_identifier(case)
    if isinstance(signature, Addended):
        return system, f"{case.id}/addendum/{number}"
    return system, value if number == 1 else f"{value}/{number}"


def id_of(case: CaseRef, signature: Signature, number: int) -> str:
    """Return the DocumentReference's id, for an EHR that accepts client-assigned ids."""
    if isinstance(signature, Approved | Amended) and number == 1:
        return resources.document_id(case)
    return derived_id(case.id, "/".join(identifier_of(case, signature, number)[1].split("/")[1:]))


def document(
    decision: RecordedEvent, signature: Signature, number: int, contents: Iterable[Resource], device_id: str
) -> Resource:
    """Return what is filed for the signature `decision`: a document, its correction, or an addendum."""
    found = signed_resources.document(decision.case, signature, contents, device_id, decision.time)
    found |= {"identifier": resources.identified(identifier_of(decision.case, signature, number))}
    if isinstance(signature, Amended):
        found |= {"docStatus": "amended", "relatesTo": [_relates("replaces", signature.replaces)]}
    if isinstance(signature, Addended):  # a person's own words: no AI is its author
        found |= {
            "meta": {"security": [CLINAST]},
            "relatesTo": [_relates("appends", signature.appends)],
            "author": [found["authenticator"]],
            "description": "Addendum",
            "content": [
                _titled(item, f"Addendum to {signature.draft.type.title.lower()}") for item in found["content"]
            ],
        }
    return found


def _relates(code: str, id: str) -> Resource:
    return {"code": code, "target": _reference(id)}


def _reference(id: str) -> Resource:
    return {"reference": f"DocumentReference/{id}"}


def _titled(content: Resource, title: str) -> Resource:
    return content | {"attachment": content["attachment"] | {"title": title}}


def provenance(
    decision: RecordedEvent,
    signature: Signature,
    document_id: str,
    device_id: str,
    now: datetime,
    renditions: Iterable[Resource] = (),
) -> Resource:
    """Return the Provenance of a correction or addendum: who made it from what, and the document that it follows."""
    head, at = decision.head.digest, decision.time
    found = signed_resources.provenance(signature, document_id, device_id, head, at, now, renditions)
    if isinstance(signature, Amended):
        before = {"role": "revision", "what": _reference(signature.replaces)}
        found |= {"activity": _activity("UPDATE"), "entity": [*found["entity"], before]}
    if isinstance(signature, Addended):
        drafted = (resources.PROMPT_SYSTEM, resources.DRAFT_SYSTEM)
        own = [item for item in found["entity"] if _system(item) not in drafted]
        author = found["agent"][-1] | {"type": resources.participant("author")}
        found |= {
            "reason": [{"coding": [CLINAST]}],
            "activity": _activity("APPEND"),
            "agent": [author, found["agent"][-1]],
            "entity": [*own, {"role": "source", "what": _reference(signature.appends)}],
        }
    return found


def _system(entity: Resource) -> str:
    return str(entity["what"].get("identifier", {}).get("system", ""))


def _activity(code: str) -> Resource:
    return {"coding": [{"system": _OPERATION, "code": code}]}


def retraction(decision: RecordedEvent, retracted: Retracted, now: datetime) -> Resource:
    """Return the Provenance of a retraction: who requested it and who confirmed it."""
    first = resources.practitioner(retracted.requester, retracted.requested_by.subject)
    second = resources.practitioner(retracted.signer, retracted.by.subject)
    return {
        "resourceType": "Provenance",
        "target": [_reference(id) for id in retracted.documents],
        "occurredDateTime": format_timestamp(decision.time),
        "recorded": format_timestamp(now),
        "activity": _activity("NULLIFY"),
        "agent": [
            {"type": resources.participant("enterer"), "who": first},
            {"type": resources.participant("verifier"), "who": second},
        ],
        "entity": [
            {"role": "source", "what": {"reference": retracted.stay.encounter}},
            resources.digest_entity("source", resources.CHAIN_HEAD_SYSTEM, decision.head.digest),
        ],
    }
