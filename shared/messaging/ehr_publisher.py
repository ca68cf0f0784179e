"""Publish changes of resources to the EHR stream, as a notification or a search reported them."""

from shared.contracts.cloudevents import event_headers
from shared.contracts.ehr import AppointmentChanged, EncounterChanged, TaskChanged
from shared.contracts.subjects import updated_subject
from shared.messaging.connection import NatsConnection

STREAM = "EHR"


async def publish_task_changed(bus: NatsConnection, fact: TaskChanged, *, source: str, id: str) -> None:
    """Publish `fact`, deduplicated by the Task's version; `id` identifies a Task without one."""
    id = f"Task/{fact.task_id}/{fact.version}" if fact.version else id
    headers = event_headers(id=id, type="countersign.ehr.task.updated.v1", source=source)
    body = fact.model_dump_json(exclude_none=True).encode()
    await bus.publish(updated_subject("task", fact.task_id), body, stream=STREAM, headers=headers, id=id)


async def publish_encounter_changed(bus: NatsConnection, fact: EncounterChanged, *, source: str, id: str) -> None:
    """Publish `fact`, deduplicated by the Encounter's version; `id` identifies one without a version, or a deletion."""
    id = f"Encounter/{fact.encounter_id}/{fact.version}" if fact.version and not fact.deleted else id
    headers = event_headers(id=id, type="countersign.ehr.encounter.updated.v1", source=source)
    body = fact.model_dump_json(exclude_none=True, exclude_defaults=True).encode()
    await bus.publish(updated_subject("encounter", fact.encounter_id), body, stream=STREAM, headers=headers, id=id)


async def publish_appointment_changed(bus: NatsConnection, fact: AppointmentChanged, *, source: str, id: str) -> None:
    """Publish `fact`, deduplicated by the Appointment's version; `id` identifies one without, or a deletion."""
    id = f"Appointment/{fact.appointment_id}/{fact.version}" if fact.version and not fact.deleted else id
    headers = event_headers(id=id, type="countersign.ehr.appointment.updated.v1", source=source)
    body = fact.model_dump_json(exclude_none=True, exclude_defaults=True).encode()
    await bus.publish(updated_subject("appointment", fact.appointment_id), body, stream=STREAM, headers=headers, id=id)
