"""Parse FHIR notifications into changed Tasks. Pure.

Servers send a Bundle of the R4 subscriptions backport with ids or whole resources, a SubscriptionStatus of R4B and R5,
or the bare resource. Only id and version are used; everything else is read from the EHR.
https://hl7.org/fhir/uv/subscriptions-backport/notifications.html
"""

import re
from collections.abc import Iterator

from shared.clinical.elements import Resource, child, children
from shared.contracts.ehr import TaskChanged
from shared.contracts.subjects import FHIR_ID, FHIR_ID_PART

# `Task/1`, `https://ehr.example/fhir/Task/1`, `Task/1/_history/3`
REFERENCE = re.compile(rf"(?:^|/)Task/({FHIR_ID_PART})(?:/_history/({FHIR_ID_PART}))?\Z")


def tasks_in(body: Resource) -> list[TaskChanged]:
    """Return the Tasks of a notification, each once; none for a handshake, a heartbeat or another type."""
    found: dict[str, TaskChanged] = {}
    for fact in _facts(body):
        if fact.task_id not in found or fact.version is not None:
            found[fact.task_id] = fact
    return list(found.values())


def _facts(node: Resource) -> Iterator[TaskChanged]:
    match node.get("resourceType"):
        case "Task":
            yield from _of_resource(node)
        case "Bundle":
            for entry in children(node, "entry"):
                if isinstance(resource := entry.get("resource"), dict):
                    yield from _facts(resource)
                else:
                    yield from _of_reference(entry.get("fullUrl"))
        case "SubscriptionStatus":
            for event in children(node, "notificationEvent"):
                yield from _of_reference(child(event, "focus").get("reference"))
        case "Parameters":
            yield from _of_parameters(node)


def _of_parameters(node: Resource) -> Iterator[TaskChanged]:
    events = [item for item in children(node, "parameter") if item.get("name") == "notification-event"]
    for part in (part for event in events for part in children(event, "part")):
        if part.get("name") == "focus":
            yield from _of_reference(child(part, "valueReference").get("reference"))


def _of_resource(task: Resource) -> Iterator[TaskChanged]:
    id, version = task.get("id"), child(task, "meta").get("versionId")
    if isinstance(id, str) and re.fullmatch(FHIR_ID, id):
        usable = isinstance(version, str) and re.fullmatch(FHIR_ID, version)
        yield TaskChanged(task_id=id, version=version if usable else None)


def _of_reference(reference: object) -> Iterator[TaskChanged]:
    if isinstance(reference, str) and (match := REFERENCE.search(reference)):
        yield TaskChanged(task_id=match[1], version=match[2])
