"""Send notifications about escalations: one message for each channel, each delivered alone."""

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import Executor

from nats.aio.msg import Msg

from services.approval.escalation import rules as escalation_rules
from services.approval.escalation.directory import Directory
from services.approval.escalation.rules import EscalationRecord
from services.approval.notifications.channels import NotifyType
from services.approval.notifications.notification import STREAM, Notification, read_notification
from shared.contracts.case import causing_event, fold
from shared.contracts.envelope import RecordedEvent, decode
from shared.contracts.errors import PermanentError
from shared.contracts.events import Escalated
from shared.contracts.subjects import CaseRef
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.messaging.dead_letter_queue import Severity, publish_alert
from shared.messaging.event_store import EventStore
from shared.messaging.steps import Clock
from shared.web.local_time import ZoneOf

Send = Callable[[str, str, str, NotifyType], None]  # address, title, text, weight; blocks
Link = Callable[[CaseRef], str]

MAX_REMEMBERED = 256
FIRST = {"Nats-Expected-Last-Subject-Sequence": "0"}  # only if the subject has no message yet


class NotificationDispatcher:
    """Announces escalations and delivers messages. `send` blocks, and runs in a thread of `threads`."""

    def __init__(
        self,
        bus: NatsConnection,
        directory: Directory,
        link: Link,
        clock: Clock,
        send: Send,
        threads: Executor,
        zone_of: ZoneOf,
    ) -> None:
        self._directory = directory
        self._link = link
        self._clock = clock
        self._send = send
        self._threads = threads
        self._zone_of = zone_of
        self._sending: dict[str, asyncio.Future[None]] = {}  # by subject: being sent, or sent recently
        self._bus = bus
        self._event_store = EventStore(bus, "approval")

    async def announce(self, message: Msg) -> None:
        """Handle an escalation: alert the operators, and enqueue one message for each channel."""
        event = decode(message.subject, message.headers or {}, message.data, message.metadata.sequence.stream)
        history = await self._event_store.history(event.case)
        found, since = _waiting(history, event.id), escalation_rules.waiting_since(history)
        if found is None or since is None:
            return
        case, level = event.case, found.level
        severity: Severity = "critical" if isinstance(event.body, Escalated) and event.body.owner else "warning"
        facts: dict[str, str | int] = {"case": case.id, "department": case.department, "level": level}
        await publish_alert(self._bus, severity, "review-overdue", id=event.id, **facts)
        for channel in self._directory.channels(case.department, level):
            await enqueue(
                self._bus,
                Notification(
                    department=case.department,
                    case=case.id,
                    escalation=event.id,
                    level=level,
                    since=since,
                    channel=channel.key,
                ),
            )

    async def deliver(self, message: Msg) -> None:
        """Send one message to its channel, unless that was done or the review is decided.

        At least once, and almost always once. It is sent twice if this process crashes after the channel accepted the
        message and before the receipt is stored, or if a channel accepts a message but answers too late or with an
        error. A redelivery to this process, also while its first attempt is still sending, sends nothing again.
        """
        notification = read_notification(message.subject, message.data)
        if await self._bus.direct_get(STREAM, {"last_by_subj": notification.receipt}):
            return
        if notification.subject_key not in self._sending:
            if not _is_due(notification, await self._event_store.find(notification.case)):
                return
            # Nothing is awaited between this look and the entry: of two deliveries at once, one sends.
            if notification.subject_key not in self._sending:
                self._sending[notification.subject_key] = self._begin(notification)
        sending = self._sending[notification.subject_key]
        try:
            # The thread cannot be stopped: an attempt that runs out of time leaves it to the next one.
            await asyncio.shield(sending)
        finally:
            if sending.done() and (sending.cancelled() or sending.exception() is not None):
                self._sending.pop(notification.subject_key, None)
        await self._keep_receipt(notification, message.metadata.num_delivered)
        self._forget_oldest()

    def _begin(self, notification: Notification) -> asyncio.Future[None]:
        channel = self._directory.channel(notification.department, notification.channel)
        if channel is None:
            raise PermanentError("the channel of a notice is no longer in the directory")
        link = self._link(CaseRef(notification.department, notification.case))
        call = (
            channel.address(),
            notification.title,
            notification.text(link, self._zone_of(notification.department)),
            notification.notify_type,
        )
        return asyncio.get_running_loop().run_in_executor(self._threads, self._send, *call)

    def _forget_oldest(self) -> None:
        """Forget the oldest sent messages.

        Recent ones are kept, as a redelivery may have looked for its receipt too early.
        """
        done = [key for key, sending in self._sending.items() if sending.done()]
        for key in done[:-MAX_REMEMBERED]:
            del self._sending[key]

    async def _keep_receipt(self, notification: Notification, attempt: int) -> None:
        sent = json.dumps({"sent": self._clock().isoformat(), "attempt": attempt}, sort_keys=True).encode()
        try:
            await self._bus.publish(notification.receipt, sent, stream=STREAM, headers=FIRST, id=notification.receipt)
        except WrongSequenceError:
            return  # an earlier attempt's


async def enqueue(bus: NatsConnection, notification: Notification) -> None:
    """Publish the message once, also if this is repeated later than the deduplication window.

    The id holds for the deduplication window, the expected sequence as long as the stream keeps the message.
    """
    data, id = notification.model_dump_json().encode(), notification.subject_key
    try:
        await bus.publish(notification.subject, data, stream=STREAM, headers=FIRST, id=id)
    except WrongSequenceError:
        return


def _is_due(notification: Notification, history: list[RecordedEvent]) -> bool:
    """Return whether what the message is about still waits."""
    if notification.about == "transfer":
        signature = causing_event("file", history)
        return fold(history).awaits == "file" and signature is not None and signature.id == notification.escalation
    if notification.about == "reminder":
        case = fold(history)
        return case.open and case.owner == notification.owner
    return _waiting(history, notification.escalation) is not None


def _waiting(history: list[RecordedEvent], escalation: str) -> EscalationRecord | None:
    """Return the escalation with this id if its clock is still running, otherwise None."""
    found = next((item for item in escalation_rules.escalations(history) if item.event.id == escalation), None)
    return found if found is not None and escalation_rules.is_current(fold(history), found.clock) else None
