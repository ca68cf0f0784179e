"""Notify a subscriber of ended Tasks and, if asked for, of other changes, in the shapes that servers send.

Like real servers it gives up after a few attempts: a client that must not miss anything also searches for it.
https://hl7.org/fhir/R4/subscription.html, https://hl7.org/fhir/uv/subscriptions-backport/notifications.html
"""

import asyncio
import hashlib
import hmac
import json
from typing import Any, Literal

import httpx

from sandbox_ehr.store import Resource

ATTEMPTS = 3
INITIAL_DELAY_S = 0.2  # seconds between tries
# The subscription's criteria: Task?status=…
STATUSES = ("completed", "rejected", "cancelled", "failed", "entered-in-error")
# put, empty: R4 criteria with a payload and without. backport: R4 backport. r4b, r5: a SubscriptionStatus; transaction:
# the same in a Bundle of that type (HAPI). medplum: the bare resource, signed. athena: r4b, signed otherwise.
Shape = Literal["put", "empty", "backport", "r4b", "r5", "transaction", "medplum", "athena"]
# What a Bundle states of its events: that something happened, which resource changed, or the resource itself.
# https://hl7.org/fhir/uv/subscriptions-backport/payloads.html
Content = Literal["empty", "id-only", "full-resource"]
BUNDLES = ("backport", "r4b", "r5", "transaction", "athena")  # shapes with a content
BUNDLE_TYPES = {"r4b": "history", "athena": "history", "r5": "subscription-notification", "transaction": "transaction"}


class SubscriptionNotifier:
    """Sends notifications to one endpoint. `delivered` counts those that were accepted.

    `encounters`, `appointments`: it also notifies of those that have changed. `secret` signs the shapes that have a
    signature.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        endpoint: str,
        token: str | None = None,
        *,
        shape: Shape = "backport",
        content: Content = "id-only",
        encounters: bool = False,
        appointments: bool = False,
        secret: bytes = b"",
    ) -> None:
        self._http = http
        self._endpoint = endpoint
        self._token, self._shape, self._content = token, shape, content
        self._secret = secret
        self._changed = {"Encounter": encounters, "Appointment": appointments}
        self._events = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.delivered = 0

    def notify(self, resource: Resource) -> None:
        """Send a notification in the background if the subscription is about `resource`."""
        ended = resource["resourceType"] == "Task" and resource["status"] in STATUSES
        if not ended and not self._changed.get(resource["resourceType"]):
            return
        self._events += 1
        proof: dict[str, Any] = {"token": self._token, "secret": self._secret}
        sent = request(self._shape, self._endpoint, resource, self._events, content=self._content, **proof)
        task = asyncio.get_running_loop().create_task(self._send(sent))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        await self._http.aclose()

    async def _send(self, sent: dict[str, Any]) -> None:
        for attempt in range(ATTEMPTS):
            try:
                answer = await self._http.request(**sent)
            except httpx.HTTPError:
                pass
            else:
                if answer.is_success:
                    self.delivered += 1
                    return
            await asyncio.sleep(INITIAL_DELAY_S * 2**attempt)


def request(
    shape: Shape,
    endpoint: str,
    resource: Resource,
    number: int,
    *,
    content: Content = "id-only",
    token: str | None = None,
    secret: bytes = b"",
) -> dict[str, Any]:
    """Return the request of event `number` in a shape: method, URL, content and headers."""
    url = f"{endpoint}/{resource['resourceType']}/{resource['id']}" if shape == "put" else endpoint
    body = b"" if shape == "empty" else json.dumps(_body(shape, resource, number, content)).encode()
    headers = {"Content-Type": "application/fhir+json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    signature = hmac.new(secret, body, hashlib.sha256).hexdigest()
    if secret and shape == "medplum":
        headers["X-Signature"] = signature
    elif secret and shape == "athena":
        headers["X-Hub-Signature"] = f"sha256={signature}"
    return {"method": "PUT" if shape == "put" else "POST", "url": url, "content": body, "headers": headers}


def _body(shape: Shape, resource: Resource, number: int, content: Content) -> Resource:
    if shape in ("put", "medplum"):
        return resource
    if shape == "backport":
        return notification(resource, number, content)
    if shape == "athena":
        number = 1  # event numbers begin anew in every bundle
    event: Resource = {"eventNumber": str(number), "timestamp": resource["meta"]["lastUpdated"]}
    status = {
        "resourceType": "SubscriptionStatus",
        "status": "active",
        "type": "event-notification",
        "eventsSinceSubscriptionStart": str(number),
        "notificationEvent": [event | ({"focus": _focus(resource)} if content != "empty" else {})],
        "subscription": {"reference": "Subscription/sandbox"},
    }
    return _bundle(BUNDLE_TYPES[shape], status, resource, content)


def _bundle(type: str, status: Resource, resource: Resource, content: Content) -> Resource:
    entries: list[Resource] = [{"resource": status}]
    if content == "full-resource":
        path = f"{resource['resourceType']}/{resource['id']}"
        request = {"method": "PUT", "url": path}
        entries.append({"fullUrl": f"http://sandbox.test/fhir/{path}", "resource": resource, "request": request})
    return {"resourceType": "Bundle", "type": type, "entry": entries}


def _focus(resource: Resource) -> Resource:
    return {"reference": f"{resource['resourceType']}/{resource['id']}"}


def notification(resource: Resource, number: int, content: Content = "id-only") -> dict[str, Any]:
    """Return the Bundle of event `number`. In R4 the status is a Parameters resource, and its counters are strings."""
    event: list[Resource] = [
        {"name": "event-number", "valueString": str(number)},
        {"name": "timestamp", "valueInstant": resource["meta"]["lastUpdated"]},
    ]
    if content != "empty":
        event.append({"name": "focus", "valueReference": _focus(resource)})
    status = [
        {"name": "subscription", "valueReference": {"reference": "Subscription/sandbox"}},
        {"name": "status", "valueCode": "active"},
        {"name": "type", "valueCode": "event-notification"},
        {"name": "events-since-subscription-start", "valueString": str(number)},
        {"name": "notification-event", "part": event},
    ]
    return _bundle("history", {"resourceType": "Parameters", "parameter": status}, resource, content)
