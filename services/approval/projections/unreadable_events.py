"""Collect messages of the event stream that cannot be read as events: listed in the inbox, and alerted once.

No service writes such a message, and only an administrator of the server could. It stops its own case only.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterator

from services.approval.projections.catch_up import CatchUpSubscription
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import CountersignError, TransientError
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection
from shared.messaging.dead_letter_queue import Severity, publish_alert
from shared.messaging.event_store import RawMessage, UnreadableEvent, read_event
from shared.runtime.authentication import Caller

logger = logging.getLogger(__name__)

MAX_REMEMBERED = 1_000  # latest events
ALERT_RETRY_DELAY = 5.0  # seconds


class UnreadableEvents:
    """Follows every event, and keeps those that cannot be read."""

    def __init__(self) -> None:
        self._found: OrderedDict[int, UnreadableEvent] = OrderedDict()
        self._alerts: asyncio.Queue[UnreadableEvent] = asyncio.Queue()
        self._alerting: asyncio.Task[None] | None = None

    async def start(self, bus: NatsConnection) -> None:
        """Follow the events in the background; nothing waits for it.

        Raises TransientError when the event stream cannot be read.
        """
        await self.close()  # a start that failed
        self._found.clear()
        self._bus, self._sent_alerts = bus, Bucket(bus, "reconciled")
        self._alerting = asyncio.create_task(self._send_alerts())
        await CatchUpSubscription("unreadable", ("*",), self._apply_message, self._live_sequences).start(bus)

    async def close(self) -> None:
        if self._alerting is not None:
            self._alerting.cancel()

    def of(self, who: Caller) -> list[UnreadableEvent]:
        """Return the unreadable events of the caller's departments, latest first."""
        return [item for item in reversed(self._found.values()) if who.can_access_department(item.case.department)]

    def _live_sequences(self) -> Iterator[int]:
        return iter(self._found)

    def _apply_message(self, message: RawMessage) -> None:
        item = read_event(message)
        if isinstance(item, RecordedEvent):
            return
        self._found[item.sequence] = item
        if len(self._found) > MAX_REMEMBERED:
            self._found.popitem(last=False)
        self._alerts.put_nowait(item)

    async def _send_alerts(self) -> None:
        while True:
            item = await self._alerts.get()
            if not await self._alert_once(item):
                await asyncio.sleep(ALERT_RETRY_DELAY)
                self._alerts.put_nowait(item)

    async def _alert_once(self, item: UnreadableEvent) -> bool:
        """Publish the alert unless another process did; return False if it has to be repeated.

        Events of a newer version share one alert for each name.
        """
        key = f"unreadable.newer.{item.event}" if item.newer else f"unreadable.{item.sequence}"
        facts = {"case": item.case.id, "department": item.case.department, "event": item.event, "reason": item.reason}
        try:
            if await self._sent_alerts.get(key) is None:
                severity: Severity = "warning" if item.newer else "critical"
                await publish_alert(self._bus, severity, "event-unreadable", id=key, sequence=item.sequence, **facts)
                await self._sent_alerts.put(key, b"told")
        except CountersignError as failure:
            logger.error("an alert about event %d could not be given: %s", item.sequence, failure.reason)
            return not isinstance(failure, TransientError)
        logger.error("%s", item)
        return True
