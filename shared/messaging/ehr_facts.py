"""Tells the EHR stream that a Task has changed. Both ways of knowing say it here: a notification, and a search."""

from shared.contracts.cloudevents import event_headers
from shared.contracts.ehr import TaskChanged
from shared.contracts.subjects import task_subject
from shared.messaging.connection import Bus

STREAM = "EHR"


async def tell_task(bus: Bus, fact: TaskChanged, *, source: str, id: str) -> None:
    """Store the fact. A version of a Task counts once (within the dedupe window); `id` is for one without a version."""
    id = f"Task/{fact.task_id}/{fact.version}" if fact.version else id
    headers = event_headers(id=id, type="countersign.ehr.task.updated.v1", source=source)
    body = fact.model_dump_json(exclude_none=True).encode()
    await bus.publish(task_subject(fact.task_id), body, stream=STREAM, headers=headers, id=id)
