"""Parse FHIR notifications into changed Tasks, Encounters and Appointments. Pure.

Servers send a Bundle of the R4 subscriptions backport with ids or whole resources, a SubscriptionStatus of R4B and R5,
or the bare resource. Only id and version are used; everything else is read from the EHR.
https://hl7.org/fhir/uv/subscriptions-backport/notifications.html, https://hl7.org/fhir/R5/subscriptionstatus.html
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from shared.clinical.elements import Resource, child, children, string
from shared.contracts.ehr import AppointmentChanged, EncounterChanged, TaskChanged
from shared.contracts.subjects import FHIR_ID, FHIR_ID_PART

Change = TaskChanged | EncounterChanged | AppointmentChanged

TYPES = ("Appointment", "Encounter", "Task")
# `Task/1`, `https://ehr.example/fhir/Task/1`, `Task/1/_history/3`
REFERENCE = re.compile(rf"(?:^|/)({'|'.join(TYPES)})/({FHIR_ID_PART})(?:/_history/({FHIR_ID_PART}))?\Z")
STATUS_TYPES = ("Parameters", "SubscriptionStatus")  # R4 backport; R4B and R5
# valueUnsignedInt is of the backport's first versions.
NUMBERS = ("valueString", "valueInteger64", "valueInteger", "valueUnsignedInt")
SO_FAR = "events-since-subscription-start"  # a parameter
STATES = ("requested", "active", "error", "off", "entered-in-error")
# http://terminology.hl7.org/CodeSystem/subscription-error, and the same of the backport
ERRORS = (
    *("no-response", "error-response", "dns-resolution-error", "unreachable", "certificate-error", "timeout"),
    *("processing", "unauthorized", "unathorized"),  # the last is the backport's spelling
)
MAX_DIGITS = 18  # of an event number: integer64


@dataclass(frozen=True, slots=True)
class Notification:
    """What a notification says. `kind` is that of its status: handshake, heartbeat, event-notification, query-status.

    `events` are the numbers of the events that it is about, or the number of events so far.
    """

    changes: tuple[Change, ...] = ()
    kind: str | None = None
    events: tuple[int, ...] = ()

    @property
    def is_unspecific(self) -> bool:
        """Return whether something happened that it does not name: the content of the subscription is `empty`."""
        return self.kind == "event-notification" and not self.changes


@dataclass(frozen=True, slots=True)
class _Named:
    """A resource that a notification names."""

    type: str
    id: str
    version: str | None = None
    deleted: bool = False


@dataclass(frozen=True, slots=True)
class SubscriptionReport:
    """What a server says of a Subscription by `$status`.

    `events` is the number of events so far, `error` a code of why it could not notify. None where it does not say.
    https://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition-backport-subscription-status.html
    """

    status: str | None
    events: int | None = None
    error: str | None = None


def parse_body(data: bytes) -> Resource | None:
    """Return the JSON object of a body; None where it is none."""
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def parse_notification(body: Resource) -> Notification:
    """Return what a notification says; no changes for a handshake, a heartbeat or resources of other types."""
    statuses = [item for item in _resources(body) if item.get("resourceType") in STATUS_TYPES]
    status = statuses[0] if statuses else {}
    return Notification(
        changes_in(_named(body)), _value(status, "type"), tuple(sorted(set(_events(status)))) if status else ()
    )


def parse_status(body: Resource, id: str) -> SubscriptionReport | None:
    """Return what the answer to `$status` says of the Subscription `id`; None where it says nothing of it.

    A server may answer with all Subscriptions of ours.
    """
    found = [item for item in _resources(body) if item.get("resourceType") in STATUS_TYPES]
    own = [item for item in found if _subscription(item).rpartition("/")[2] == id]
    if not own and len(found) != 1:
        return None
    status = (own or found)[0]
    state, error = _value(status, "status"), _error(status)
    return SubscriptionReport(
        state if state in STATES else None, max(_so_far(status), default=None), error if error in ERRORS else None
    )


def tasks_in(body: Resource) -> list[TaskChanged]:
    """Return the Tasks of a notification, each once."""
    return [item for item in parse_notification(body).changes if isinstance(item, TaskChanged)]


def change(type: str, id: str, *, deleted: bool = False) -> Change:
    """Return the change of the resource that a URL names."""
    return _change(_Named(type, id, deleted=deleted))


def changes_in(named: Iterable[_Named]) -> tuple[Change, ...]:
    """Return each resource once, with the version that was named last."""
    found: dict[tuple[str, str], _Named] = {}
    for item in named:
        key = (item.type, item.id)
        if key not in found or item.version is not None or item.deleted:
            found[key] = item
    return tuple(map(_change, found.values()))


def _change(named: _Named) -> Change:
    match named.type:
        case "Task":
            return TaskChanged(task_id=named.id, version=named.version)
        case "Appointment":
            return AppointmentChanged(appointment_id=named.id, version=named.version, deleted=named.deleted)
        case _:
            return EncounterChanged(encounter_id=named.id, version=named.version, deleted=named.deleted)


def _resources(body: Resource) -> Iterator[Resource]:
    """Yield the body, or the resources of a Bundle. A Bundle within a Bundle is none that a server sends."""
    if body.get("resourceType") != "Bundle":
        yield body
        return
    for entry in children(body, "entry"):
        if isinstance(resource := entry.get("resource"), dict):
            yield resource


def _named(body: Resource) -> Iterator[_Named]:
    if body.get("resourceType") == "Bundle":
        for entry in children(body, "entry"):
            yield from _of_entry(entry)
    else:
        yield from _of_resource(body)


def _of_entry(entry: Resource) -> Iterator[_Named]:
    request = child(entry, "request")
    if request.get("method") == "DELETE":
        for item in _of_reference(request.get("url")):
            yield _Named(item.type, item.id, deleted=True)
    elif isinstance(resource := entry.get("resource"), dict):
        yield from _of_resource(resource)
    else:
        yield from _of_reference(entry.get("fullUrl"))


def _of_resource(resource: Resource) -> Iterator[_Named]:
    match resource.get("resourceType"):
        case "Task" | "Encounter" | "Appointment" as type:
            id, version = resource.get("id"), child(resource, "meta").get("versionId")
            if isinstance(id, str) and re.fullmatch(FHIR_ID, id):
                usable = isinstance(version, str) and re.fullmatch(FHIR_ID, version)
                yield _Named(type, id, version if usable else None)
        case "SubscriptionStatus":
            for event in children(resource, "notificationEvent"):
                yield from _of_reference(child(event, "focus").get("reference"))
        case "Parameters":
            for event in _backport_events(resource):
                for part in _parts(event, "focus"):
                    yield from _of_reference(child(part, "valueReference").get("reference"))


def _of_reference(reference: object) -> Iterator[_Named]:
    if isinstance(reference, str) and (match := REFERENCE.search(reference)):
        yield _Named(match[1], match[2], match[3])


def _value(status: Resource, name: str) -> str | None:
    """Return a value of a status: an element in R4B and R5, a parameter in the R4 backport."""
    if status.get("resourceType") != "Parameters":
        return string(status, name)
    found = [item for item in children(status, "parameter") if item.get("name") == name]
    return string(found[0], "valueCode") if found else None


def _events(status: Resource) -> Iterator[int]:
    """Yield the event numbers of a status; where it has none, the number of events so far.

    They are strings in the R4 backport, integer64 in R4B and R5 and so strings again; servers also send numbers.
    """
    if status.get("resourceType") == "Parameters":
        events = [part for event in _backport_events(status) for part in _parts(event, "event-number")]
        values = [_any(part, *NUMBERS) for part in events]
    else:
        values = [event.get("eventNumber") for event in children(status, "notificationEvent")]
    yield from (int(value) for value in map(_digits, values) if value) if values else _so_far(status)


def _so_far(status: Resource) -> Iterator[int]:
    """Yield the number of events since the Subscription began, where a status states it."""
    if status.get("resourceType") == "Parameters":
        values = [_any(item, *NUMBERS) for item in children(status, "parameter") if item.get("name") == SO_FAR]
    else:
        values = [status.get("eventsSinceSubscriptionStart")]
    yield from (int(value) for value in map(_digits, values) if value)


def _subscription(status: Resource) -> str:
    """Return the reference to the Subscription that a status is about; empty without one."""
    if status.get("resourceType") != "Parameters":
        return string(child(status, "subscription"), "reference") or ""
    found = [item for item in children(status, "parameter") if item.get("name") == "subscription"]
    return string(child(found[0], "valueReference"), "reference") or "" if found else ""


def _error(status: Resource) -> str | None:
    """Return the code of the first error of a status."""
    if status.get("resourceType") == "Parameters":
        named = [item for item in children(status, "parameter") if item.get("name") == "error"]
        errors = [child(item, "valueCodeableConcept") for item in named]
    else:
        errors = children(status, "error")
    codings = [coding for error in errors for coding in children(error, "coding")]
    return string(codings[0], "code") if codings else None


def _backport_events(status: Resource) -> list[Resource]:
    return [item for item in children(status, "parameter") if item.get("name") == "notification-event"]


def _parts(event: Resource, name: str) -> list[Resource]:
    return [part for part in children(event, "part") if part.get("name") == name]


def _any(element: Resource, *names: str) -> object:
    return next((element[name] for name in names if name in element), None)


def _digits(value: object) -> str:
    text = str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
    return text if re.fullmatch(rf"[0-9]{{1,{MAX_DIGITS}}}", text) else ""
