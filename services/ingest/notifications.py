"""What an EHR's subscriptions send: the R4 backport's history Bundles, or the bare resource. Only Tasks are heard.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/notifications.html
"""

import re
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends
from pydantic import BaseModel

from services.ingest.api import Door
from shared.contracts.subjects import FHIR_ID
from shared.runtime.access import Caller, Guard
from shared.runtime.problems import Problem


class Heard(BaseModel):
    """How many Tasks the notification was about. A handshake or a heartbeat is about none."""

    tasks: int


def make_notifications_router(door: Door, guard: Guard) -> APIRouter:
    router = APIRouter(tags=["ingest"])
    caller = Annotated[Caller, Depends(guard.allow("ingest"))]

    @router.post("/v1/fhir/notifications", status_code=202, summary="A subscription's notification")
    async def notified(_: caller, body: Annotated[dict[str, Any], Body()]) -> Heard:
        if body.get("resourceType") not in ("Bundle", "Task"):
            raise Problem(422, "The request is not valid", "Send the subscription's Bundle, or a Task.")
        found = sorted(set(tasks_in(body)))
        for task in found:
            await door.task_updated(task)
        return Heard(tasks=len(found))

    return router


def tasks_in(body: dict[str, Any]) -> Iterator[str]:
    """Ids of the Tasks that a notification names: as its resources, as full URLs, or as the events' focus."""
    if body.get("resourceType") == "Task":
        yield from _ids([f"Task/{body.get('id')}"])
        return
    for entry in _dicts(body.get("entry")):
        resource = entry.get("resource")
        if isinstance(resource, dict) and resource.get("resourceType") == "Parameters":
            yield from _ids(_focuses(resource))
        elif isinstance(resource, dict):
            yield from _ids([f"{resource.get('resourceType')}/{resource.get('id')}"])
        else:
            yield from _ids([str(entry.get("fullUrl", ""))])


def _focuses(parameters: dict[str, Any]) -> list[str]:
    """`notification-event` parameters carry a part `focus` with a reference."""
    return [
        str((part.get("valueReference") or {}).get("reference", ""))
        for event in _dicts(parameters.get("parameter"))
        for part in _dicts(event.get("part"))
        if part.get("name") == "focus"
    ]


def _ids(references: list[str]) -> Iterator[str]:
    for reference in references:
        match = re.search(r"(?:^|/)Task/([A-Za-z0-9\-.]{1,64})(?:/_history/.*)?$", reference)
        if match and re.match(FHIR_ID, match[1]):
            yield match[1]


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
