"""Store messages that cannot be processed, with the reason, and alert a person."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from shared.contracts.subjects import alert_subject, dead_letter_subject
from shared.messaging.connection import NatsConnection
from shared.messaging.topology_model import Consumer
from shared.telemetry import instruments

Severity = Literal["info", "warning", "critical"]


@dataclass(frozen=True, slots=True)
class FailedMessage:
    """The message that could not be handled."""

    stream: str
    sequence: int
    subject: str
    headers: Mapping[str, str]
    data: bytes


async def dead_letter(
    bus: NatsConnection, consumer: Consumer, original: FailedMessage, reason: str, attempts: int
) -> None:
    """Keep `original` in DEADLETTER. Doing it twice keeps it once (within the dedupe window)."""
    headers = {name: value for name, value in original.headers.items() if not name.startswith("Nats-")}
    headers |= {
        "countersign-reason": reason,
        "countersign-attempts": str(attempts),
        "countersign-stream": original.stream,
        "countersign-sequence": str(original.sequence),
        "countersign-subject": original.subject,
    }
    await bus.publish(
        dead_letter_subject(consumer.service, consumer.name),
        original.data,
        stream="DEADLETTER",
        headers=headers,
        id=f"{consumer.name}-{original.sequence}-{attempts}",
    )
    instruments.increment("countersign.dead_letters", 1, consumer.attributes)


async def publish_alert(bus: NatsConnection, severity: Severity, kind: str, *, id: str, **facts: str | int) -> None:
    """Publish an alert on the stream ALERTS. `facts` are ids, names of steps and figures."""
    await bus.publish(
        alert_subject(severity, kind), json.dumps(facts, sort_keys=True).encode(), stream="ALERTS", id=f"{kind}-{id}"
    )


async def publish_alert_once(
    bus: NatsConnection, severity: Severity, kind: str, *, id: str, **facts: str | int
) -> bool:
    """Publish an alert unless the last one of its kind is the same; return whether it was published.

    The server drops a repeated id within minutes only. A process that died after the alert may be down for longer.
    """
    last = await bus.direct_get("ALERTS", {"last_by_subj": alert_subject(severity, kind)})
    if any((message.headers or {}).get("Nats-Msg-Id") == f"{kind}-{id}" for message in last):
        return False
    await publish_alert(bus, severity, kind, id=id, **facts)
    return True
