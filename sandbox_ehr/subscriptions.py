"""Subscriptions that a client creates: a rest-hook by the criteria of R4, as servers without topics have them.

https://hl7.org/fhir/R4/subscription.html
"""

import asyncio
from urllib.parse import parse_qsl

import httpx

from sandbox_ehr.notifications import ATTEMPTS, INITIAL_DELAY_S, request
from sandbox_ehr.search import find_parameter, matches
from sandbox_ehr.store import Resource, Store

TYPE = "Subscription"


class Subscriptions:
    """Notifies each endpoint of what matches its criteria. A Subscription whose endpoint refuses becomes `error`."""

    def __init__(self, store: Store, http: httpx.AsyncClient) -> None:
        self._store, self._http = store, http
        self._tasks: set[asyncio.Task[None]] = set()

    def on_stored(self, resource: Resource) -> Resource:
        """Activate a Subscription that asks for it, or notify of another resource; returns what is stored now."""
        if resource["resourceType"] == TYPE:
            active = resource | {"status": "active"} if resource.get("status") == "requested" else resource
            self._store.put(active)
            return active
        for item in list(self._store.candidates(TYPE, None, None)):
            if item["status"] == "active" and _is_wanted(resource, item["criteria"]):
                task = asyncio.get_running_loop().create_task(self._send(item["id"], item["channel"], resource))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
        return resource

    async def _send(self, id: str, channel: Resource, resource: Resource) -> None:
        sent = request("put" if channel.get("payload") else "empty", channel["endpoint"], resource, 1)
        for line in channel.get("header", ()):
            name, _, value = line.partition(":")
            sent["headers"][name.strip()] = value.strip()
        reason = ""
        for attempt in range(ATTEMPTS):
            try:
                answer = await self._http.request(**sent)
            except httpx.HTTPError as error:
                reason = type(error).__name__
            else:
                if answer.is_success:
                    return
                reason = f"HTTP {answer.status_code}"
            await asyncio.sleep(INITIAL_DELAY_S * 2**attempt)
        if (known := self._store.get(TYPE, id)) is not None:
            self._store.put(known | {"status": "error", "error": reason})


def _is_wanted(resource: Resource, criteria: str) -> bool:
    type, _, query = criteria.partition("?")
    if resource["resourceType"] != type:
        return False
    wanted = [(find_parameter(type, name), value) for name, value in parse_qsl(query)]
    return all(known is not None and matches(resource, known, value) for known, value in wanted)
