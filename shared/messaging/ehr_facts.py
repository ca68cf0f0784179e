"""Publish to the EHR stream that a Task has changed, as known from a notification or from a search."""

from shared.contracts.cloudevents import event_headers
from shared.contracts.ehr import TaskChanged
from shared.contracts.subjects import task_subject
from shared.messaging.connection import NatsConnection

STREAM = "EHR"


async def publish_task_changed(bus: NatsConnection, fact: TaskChanged, *, source: str, id: str) -> None:
    """Publish `fact`, deduplicated by the Task's version; `id` identifies a Task without one."""
    id = f"Task/{fact.task_id}/{fact.version}" if fact.version else id
    headers = event_headers(id=id, type="countersign.ehr.task.updated.v1", source=source)
    body = fact.model_dump_json(exclude_none=True).encode()
    await bus.publish(task_subject(fact.task_id), body, stream=STREAM, headers=headers, id=id)
