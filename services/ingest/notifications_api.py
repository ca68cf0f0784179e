"""REST API for FHIR notifications: a Subscription of the EHR points here, with a token of role `ingest`."""

from typing import Annotated, Any

from fastapi import APIRouter, Path
from pydantic import BaseModel

from services.ingest.dependencies import Notifications, Sender
from services.ingest.notifications import tasks_in
from services.ingest.publishers import NotificationPublisher
from shared.contracts.ehr import TaskChanged
from shared.contracts.subjects import FHIR_ID
from shared.runtime.problems import ProblemError
from shared.runtime.request_limits import MB, limit_endpoint

MAX_BODY_BYTES, VALUES = 2 * MB, 50_000  # a Bundle with whole Tasks in it
MOST_TASKS = 1_000  # each is read in the EHR; what a notification does not tell is found by the search

router = APIRouter(tags=["ingest"])


class NotificationAccepted(BaseModel):
    """The number of Tasks in the notification."""

    tasks: int


@router.post("/v1/fhir/notifications", summary="A FHIR Subscription tells that Tasks have changed")
@limit_endpoint(MAX_BODY_BYTES, values=VALUES)
async def notified(body: dict[str, Any], _: Sender, notifications: Notifications) -> NotificationAccepted:
    return await _publish(notifications, tasks_in(body))


# R4's rest-hook with a payload: servers PUT the resource below the endpoint.
@router.put("/v1/fhir/notifications/Task/{task_id}", summary="A FHIR Subscription sends a Task that has changed")
@limit_endpoint(MAX_BODY_BYTES, values=VALUES)
async def sent(
    task_id: Annotated[str, Path(pattern=FHIR_ID)], body: dict[str, Any], _: Sender, notifications: Notifications
) -> NotificationAccepted:
    facts = [fact for fact in tasks_in(body) if fact.task_id == task_id]
    return await _publish(notifications, facts or [TaskChanged(task_id=task_id)])


async def _publish(notifications: NotificationPublisher, facts: list[TaskChanged]) -> NotificationAccepted:
    """Raises ProblemError 413 where there are more than MOST_TASKS."""
    if len(facts) > MOST_TASKS:
        raise ProblemError(413, "The notification is about too many Tasks", f"At most {MOST_TASKS} are taken at once.")
    await notifications.publish(facts)
    return NotificationAccepted(tasks=len(facts))
