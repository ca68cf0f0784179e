"""Tell people that a signed document waits for its transfer to the chart."""

from services.approval.escalation.directory import Directory
from services.approval.notifications.handlers import enqueue
from services.approval.notifications.notification import Notification
from shared.contracts.envelope import RecordedEvent
from shared.messaging.connection import NatsConnection
from shared.messaging.dead_letter_queue import publish_alert

LEVEL = 1  # channels that the department has for its first escalation


class TransferNotifier:
    def __init__(self, bus: NatsConnection, directory: Directory) -> None:
        self._bus = bus
        self._directory = directory

    async def notify(self, decision: RecordedEvent) -> None:
        """Alert the operators and enqueue one message for each channel of the department. Repeating it adds nothing."""
        case = decision.case
        facts = {"case": case.id, "department": case.department, "page": f"/reviews/{case.id}"}
        await publish_alert(self._bus, "warning", "document-to-transfer", id=decision.id, **facts)
        for channel in self._directory.channels(case.department, LEVEL):
            await enqueue(
                self._bus,
                Notification(
                    department=case.department,
                    case=case.id,
                    escalation=decision.id,
                    level=LEVEL,
                    since=decision.time,
                    channel=channel.key,
                    about="transfer",
                ),
            )
