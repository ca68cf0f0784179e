"""Ask the EHR how the Subscriptions that notify us are doing.

`$status` where it has the operation, else the Subscription itself:
https://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition-backport-subscription-status.html
"""

from services.ingest.notifications import SubscriptionReport, parse_status
from shared.clinical.elements import Resource, child, string
from shared.clinical.fhir_client import FhirClient
from shared.contracts.errors import CountersignError

NOTIFICATIONS_PATH = "/v1/fhir/notifications"
ANY_STATUS = "requested,active,error,off"


async def own_subscriptions(ehr: FhirClient) -> list[Resource]:
    """Return the Subscriptions whose endpoint is one of ours. Raises PermanentError, TransientError."""
    found = await ehr.search("Subscription", {"status": ANY_STATUS}, fresh=True)
    return [item for item in found if _is_ours(string(child(item, "channel"), "endpoint") or "")]


async def report_of(ehr: FhirClient, subscription: Resource) -> SubscriptionReport:
    """Return the state of a Subscription."""
    id, known = str(subscription["id"]), SubscriptionReport(string(subscription, "status"))
    try:
        found = parse_status(await ehr.operation("Subscription", id, "status", {}), id)
    except CountersignError:  # the server does not have the operation; some answer 500
        return known
    if found is None:
        return known
    return SubscriptionReport(found.status or known.status, found.events, found.error)


def describe(report: SubscriptionReport) -> str:
    """Return a state in words: `active, 12 events so far`."""
    parts = [report.status or "state unknown"]
    if report.events is not None:
        parts.append(f"{report.events} event{'' if report.events == 1 else 's'} so far")
    if report.error is not None:
        parts.append(f"last error: {report.error}")
    return ", ".join(parts)


def _is_ours(endpoint: str) -> bool:
    return endpoint.rstrip("/").endswith(NOTIFICATIONS_PATH)
