"""Entries of the access log as FHIR R4 AuditEvents. Pure. https://hl7.org/fhir/R4/auditevent.html"""

from typing import Any

from services.approval.access.filter import StoredEntry
from services.approval.filing.resources import NAMING
from shared.contracts.access_log import AccessLogEvent
from shared.contracts.subjects import derived_id

DCM = "http://dicom.nema.org/resources/ontology/DCM"
INTERACTION = "http://hl7.org/fhir/restful-interaction"
ENTITY_TYPE = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
SOURCE_TYPE = "http://terminology.hl7.org/CodeSystem/security-source-type"
CASE_SYSTEM, PERSON_SYSTEM, ACTION_SYSTEM = f"{NAMING}/case", f"{NAMING}/person", f"{NAMING}/access-log-event"
Coding = tuple[str, str, str]  # system, code, display

LOGIN_TYPE: Coding = (DCM, "110114", "User Authentication")
# Event → type, subtype, action (read, execute), outcome (0 success, 4 minor failure).
CODES: dict[AccessLogEvent, tuple[Coding, Coding, str, str]] = {
    "viewed": ((DCM, "110110", "Patient Record"), (INTERACTION, "read", "read"), "R", "0"),
    "refused": ((DCM, "110113", "Security Alert"), (DCM, "110132", "Use of Restricted Function"), "E", "4"),
    "signed-in": (LOGIN_TYPE, (DCM, "110122", "Login"), "E", "0"),
    "signed-out": (LOGIN_TYPE, (DCM, "110123", "Logout"), "E", "0"),
    "exported": ((DCM, "110106", "Export"), (ACTION_SYSTEM, "exported", "Exported"), "R", "0"),
}


def audit_event(entry: StoredEntry, organization: str) -> dict[str, Any]:
    """Return the AuditEvent of an entry. `organization` is the installation that recorded it."""
    type, subtype, action, outcome = CODES[entry.event]
    found: dict[str, Any] = {
        "resourceType": "AuditEvent",
        "id": f"access-{entry.sequence}",
        "type": _coding(type),
        "subtype": [_coding(subtype)],
        "action": action,
        "recorded": entry.time.isoformat(timespec="milliseconds"),
        "outcome": outcome,
        "agent": [_agent(entry)],
        "source": {
            "site": organization,
            "observer": {"display": "Countersign"},
            "type": [_coding((SOURCE_TYPE, "4", "Application Server"))],
        },
        "entity": [_entity(entry)],
    }
    if outcome != "0":
        found["outcomeDesc"] = entry.detail
    return found


def bundle_entry(entry: StoredEntry, organization: str) -> dict[str, Any]:
    """Return the Bundle's entry; its `fullUrl` is the same in every export."""
    id = derived_id(f"{organization}/access/{entry.sequence}", entry.event)
    return {"fullUrl": f"urn:uuid:{id}", "resource": audit_event(entry, organization)}


def _coding(coding: Coding) -> dict[str, str]:
    system, code, display = coding
    return {"system": system, "code": code, "display": display}


def _agent(entry: StoredEntry) -> dict[str, Any]:
    who: dict[str, Any] = {"display": entry.subject or "not signed in"}
    if entry.subject:
        who["identifier"] = {"system": PERSON_SYSTEM, "value": entry.subject}
    if entry.practitioner:
        who["reference"] = entry.practitioner
    agent: dict[str, Any] = {"who": who, "requestor": True}
    if entry.role:
        agent["role"] = [{"text": entry.role}]
    return agent


def _entity(entry: StoredEntry) -> dict[str, Any]:
    """Return the case, or the application where no case is concerned; `detail` is what the log says of it."""
    what: dict[str, Any] = {"display": "Countersign"}
    if entry.case_id:
        what = {"identifier": {"system": CASE_SYSTEM, "value": entry.case_id}, "display": f"case {entry.case_id}"}
    entity: dict[str, Any] = {"what": what, "type": _coding((ENTITY_TYPE, "2", "System Object"))}
    details = {"detail": entry.detail, "method": entry.method or ""}
    if shown := [{"type": name, "valueString": value} for name, value in details.items() if value.strip()]:
        entity["detail"] = shown
    return entity
