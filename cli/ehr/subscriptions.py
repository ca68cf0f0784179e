"""Create and check the Subscriptions that let an EHR notify ingest.

https://hl7.org/fhir/R4/subscription.html, https://hl7.org/fhir/uv/subscriptions-backport/
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from cli.ehr.subscription_status import ANY_STATUS, describe, report_of
from shared.clinical.capabilities import Capabilities
from shared.clinical.elements import Resource, child, string
from shared.clinical.fhir_client import FhirClient, etag_of
from shared.contracts.errors import PermanentError

Outcome = Literal["created", "unchanged", "reactivated", "unsupported", "refused"]

BACKPORT = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
# Every change of an inpatient stay: a cancelled discharge is no longer `finished`.
CRITERIA = {
    "Encounter": "Encounter?class=IMP,ACUTE,NONAC",
    "Task": "Task?code=approve&status=completed,rejected,cancelled",
}
HEARTBEAT_S, TIMEOUT_S, MAX_EVENTS = 600, 10, 20
STOPPED = ("off", "error")


@dataclass(frozen=True, slots=True)
class SubscriptionResult:
    """What was done about the Subscription for one resource type.

    `id`, `status` and `events`, the number of events so far, are the EHR's.
    """

    type: str
    outcome: Outcome
    says: str
    id: str | None = None
    status: str | None = None
    events: int | None = None


def subscription_resource(
    type: str, endpoint: str, token: str | None, server: Capabilities, topics: Mapping[str, str]
) -> Resource:
    """Return the Subscription for a type: by a topic where the server has one (R4 backport), else by R4 criteria."""
    topic = topics.get(type) or next((item for item in server.topics if type.lower() in item.lower()), None)
    channel: Resource = {"type": "rest-hook", "endpoint": endpoint, "payload": "application/fhir+json"}
    if token is not None:
        channel["header"] = [f"Authorization: Bearer {token}"]
    common = {"resourceType": "Subscription", "status": "requested", "reason": f"Countersign: changes of {type}"}
    if topic is None:
        return common | {"criteria": CRITERIA[type], "channel": channel}
    channel |= {
        "extension": [
            {"url": f"{BACKPORT}backport-heartbeat-period", "valueUnsignedInt": HEARTBEAT_S},
            {"url": f"{BACKPORT}backport-timeout", "valueUnsignedInt": TIMEOUT_S},
            {"url": f"{BACKPORT}backport-max-count", "valuePositiveInt": MAX_EVENTS},
        ],
        "_payload": {"extension": [{"url": f"{BACKPORT}backport-payload-content", "valueCode": "id-only"}]},
    }
    profile = {"meta": {"profile": [f"{BACKPORT}backport-subscription"]}}
    return common | profile | {"criteria": topic, "channel": channel}


async def subscribe(
    ehr: FhirClient, types: tuple[str, ...], endpoint: str, token: str | None, topics: Mapping[str, str]
) -> list[SubscriptionResult]:
    """Create what is missing, and ask for those again that have stopped; running it again changes nothing.

    Raises TransientError; what the server refuses or lacks is in the result.
    """
    server = await ehr.capabilities()
    if server.search and "Subscription" not in server.creates:
        says = "the EHR's CapabilityStatement offers no create of Subscription: ask its team, or rely on the poll"
        return [SubscriptionResult(type, "unsupported", says) for type in types]
    results = []
    for type in types:
        try:
            results.append(await _ensure(ehr, type, subscription_resource(type, endpoint, token, server, topics)))
        except PermanentError as refusal:
            says = (
                f"{refusal.reason}: the server does not support these criteria, or the client lacks system/Subscription"
            )
            results.append(SubscriptionResult(type, "refused", says))
    return results


async def _ensure(ehr: FhirClient, type: str, subscription: Resource) -> SubscriptionResult:
    endpoint, criteria = subscription["channel"]["endpoint"], subscription["criteria"]
    query = {"url": endpoint}
    if not (await ehr.capabilities()).supports_parameter("Subscription", "url"):
        query = {"status": ANY_STATUS}
    found = [
        item
        for item in await ehr.search("Subscription", query, fresh=True)
        if string(child(item, "channel"), "endpoint") == endpoint and item.get("criteria") == criteria
    ]
    if not found:
        made = (await ehr.create(subscription)).resource
        status = string(made, "status") or "requested"
        says = f"created by {'a topic' if 'meta' in subscription else 'criteria'}: {criteria}"
        return SubscriptionResult(type, "created", says, string(made, "id"), status)
    known = found[0]
    id, report = str(known["id"]), await report_of(ehr, known)
    status = report.status or "unknown"
    if status in STOPPED:
        error = "; the EHR gives a reason in `error`" if known.get("error") else ""
        error = f"; the EHR's reason: {report.error}" if report.error else error
        renewed = known | {"status": "requested", "channel": known["channel"] | _header(subscription)}
        await ehr.update(renewed, if_match=etag_of(known))
        return SubscriptionResult(
            type, "reactivated", f"it was {status}, and was asked for again{error}", id, "requested", report.events
        )
    says = "the EHR has not activated it yet: can it reach the endpoint?" if status == "requested" else "it notifies"
    return SubscriptionResult(type, "unchanged", f"{says} ({describe(report)})", id, status, report.events)


def _header(subscription: Resource) -> dict[str, Any]:
    """Return the header with the current token, which may be why the Subscription stopped."""
    channel = subscription["channel"]
    return {"header": channel["header"]} if "header" in channel else {}


def parse_topics(values: list[str]) -> dict[str, str]:
    """Return type → canonical URL of `TYPE=URL` options. Raises ValueError for another form or type."""
    found = {}
    for value in values:
        type, _, url = value.partition("=")
        if type not in CRITERIA or not url:
            raise ValueError(f"{value!r} is not Encounter=URL or Task=URL")
        found[type] = url
    return found


def describe_notifications(server: Capabilities) -> str:
    """Return how a server can notify, by its CapabilityStatement."""
    if "Subscription" not in server.creates:
        return "the EHR offers clients no Subscriptions"
    topics = [item for item in server.topics if any(type.lower() in item.lower() for type in CRITERIA)]
    return f"Subscriptions by {'topics' if topics else 'R4 criteria'}: countersign ehr subscribe"
