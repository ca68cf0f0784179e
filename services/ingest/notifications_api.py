"""The door for FHIR notifications: a Subscription of the EHR points here, its header a token of role `ingest`."""

from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path
from pydantic import BaseModel

from services.ingest.notifications import tasks_in
from shared.contracts.ehr import TaskChanged
from shared.contracts.subjects import FHIR_ID
from shared.messaging.connection import Bus
from shared.messaging.ehr_facts import tell_task
from shared.runtime.authentication import Authenticator, Caller
from shared.runtime.problems import ProblemError
from shared.runtime.request_limits import MB, limit_endpoint

LARGEST, VALUES = 2 * MB, 50_000  # a Bundle with whole Tasks in it
MOST_TASKS = 1_000  # each is read in the EHR; what a notification does not tell is found by the search


class Noted(BaseModel):
    """How many Tasks the notification was about."""

    tasks: int


class NotificationDoor:
    """Publishes what a notification is about to the EHR stream, as an integration engine would."""

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id

    def attach(self, bus: Bus) -> None:
        self._bus = bus

    async def publish(self, facts: list[TaskChanged]) -> Noted:
        """Stored when this returns: a server that is answered does not tell it again."""
        if len(facts) > MOST_TASKS:
            raise ProblemError(
                413, "The notification is about too many Tasks", f"At most {MOST_TASKS} are taken at once."
            )
        for fact in facts:
            await tell_task(self._bus, fact, source="ingest", id=self._new_id())
        return Noted(tasks=len(facts))


def make_notification_router(door: NotificationDoor, guard: Authenticator) -> APIRouter:
    router = APIRouter(tags=["ingest"])
    caller = Annotated[Caller, Depends(guard.require("ingest"))]

    @router.post("/v1/fhir/notifications", summary="A FHIR Subscription tells that Tasks have changed")
    @limit_endpoint(LARGEST, values=VALUES)
    async def notified(body: dict[str, Any], _: caller) -> Noted:
        return await door.publish(tasks_in(body))

    # R4's rest-hook with a payload: servers PUT the resource below the endpoint.
    @router.put("/v1/fhir/notifications/Task/{task_id}", summary="A FHIR Subscription sends a Task that has changed")
    @limit_endpoint(LARGEST, values=VALUES)
    async def sent(task_id: Annotated[str, Path(pattern=FHIR_ID)], body: dict[str, Any], _: caller) -> Noted:
        facts = [fact for fact in tasks_in(body) if fact.task_id == task_id]
        return await door.publish(facts or [TaskChanged(task_id=task_id)])

    return router
