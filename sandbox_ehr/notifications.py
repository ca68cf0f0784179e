"""Notify a subscriber of ended Tasks, as an id-only Subscription of the R4 backport does.

Like real servers it gives up after a few attempts: a client that must not miss a Task also searches for them.
https://hl7.org/fhir/uv/subscriptions-backport/notifications.html
"""

import asyncio
from typing import Any

import httpx

from sandbox_ehr.store import Resource

ATTEMPTS = 3
INITIAL_DELAY_S = 0.2  # seconds between tries
# The subscription's criteria: Task?status=…
STATUSES = ("completed", "rejected", "cancelled", "failed", "entered-in-error")


class SubscriptionNotifier:
    """Sends notifications to one endpoint. `delivered` counts those that were accepted."""

    def __init__(self, http: httpx.AsyncClient, endpoint: str, token: str | None = None) -> None:
        self._http = http
        self._endpoint = endpoint
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._events = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.delivered = 0

    def notify(self, resource: Resource) -> None:
        """Send a notification in the background if `resource` is an ended Task."""
        if resource["resourceType"] != "Task" or resource["status"] not in STATUSES:
            return
        self._events += 1
        task = asyncio.get_running_loop().create_task(self._send(notification(resource, self._events)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        await self._http.aclose()

    async def _send(self, body: dict[str, Any]) -> None:
        for attempt in range(ATTEMPTS):
            try:
                answer = await self._http.post(self._endpoint, json=body, headers=self._headers)
            except httpx.HTTPError:
                pass
            else:
                if answer.is_success:
                    self.delivered += 1
                    return
            await asyncio.sleep(INITIAL_DELAY_S * 2**attempt)


def notification(resource: Resource, number: int) -> dict[str, Any]:
    """Return the Bundle of event `number`. In R4 the status is a Parameters resource, and its counters are strings."""
    reference = f"{resource['resourceType']}/{resource['id']}"
    event = [
        {"name": "event-number", "valueString": str(number)},
        {"name": "timestamp", "valueInstant": resource["meta"]["lastUpdated"]},
        {"name": "focus", "valueReference": {"reference": reference}},
    ]
    status = [
        {"name": "subscription", "valueReference": {"reference": "Subscription/sandbox"}},
        {"name": "status", "valueCode": "active"},
        {"name": "type", "valueCode": "event-notification"},
        {"name": "events-since-subscription-start", "valueString": str(number)},
        {"name": "notification-event", "part": event},
    ]
    entry = {"resource": {"resourceType": "Parameters", "parameter": status}}
    return {"resourceType": "Bundle", "type": "history", "entry": [entry]}
