"""Take a notification: prove who sent it, store what it names, and have the EHR polled for what it does not name."""

import asyncio
from collections.abc import Mapping, Sequence

from services.ingest.encounters.poll_timer import PollTimer
from services.ingest.notifications import Change, Notification
from services.ingest.publishers import NotificationPublisher
from services.ingest.signatures import signer
from services.ingest.subscription_state import SubscriptionStates
from services.ingest.subscriptions import Subscriptions
from shared.telemetry import instruments
from shared.telemetry.metric_definitions import NOTIFICATION, SUBSCRIPTION

UNKNOWN = "other"  # a sender that the file does not declare: a token of role `ingest`


class NotificationService:
    """What the notification endpoint does. Everything is stored when a method returns."""

    def __init__(
        self,
        publisher: NotificationPublisher,
        subscriptions: Subscriptions,
        states: SubscriptionStates,
        poll: PollTimer,
    ) -> None:
        self._publisher, self._subscriptions = publisher, subscriptions
        self._states, self._poll = states, poll

    @property
    def accepts_signatures(self) -> bool:
        return self._subscriptions.signs

    async def signer(self, body: bytes, headers: Mapping[str, str]) -> str | None:
        """Return the sender whose secret signed `body`; None for none. Raises PermanentError for a missing secret."""
        secrets = await asyncio.to_thread(lambda: list(self._subscriptions.secrets()))
        return signer(body, headers, secrets)

    async def receive(self, sender: str, notification: Notification) -> None:
        """Store the changes that a notification of `sender` reports. Raises CountersignError."""
        await self._publisher.publish(notification.changes)
        missed = await self._note(sender, notification)
        if missed or notification.is_unspecific:
            await self._poll.request()

    async def receive_changes(self, sender: str, changes: Sequence[Change]) -> None:
        """Store changes that the URL names. Raises CountersignError."""
        await self.receive(sender, Notification(tuple(changes)))

    async def receive_unspecific(self, sender: str) -> None:
        """Handle a notification without a body: start a search, as it names no resource. Raises CountersignError."""
        await self._note(sender, Notification())
        await self._poll.request()

    async def _note(self, sender: str, notification: Notification) -> bool:
        """Note the sender's event numbers; return whether events are missing."""
        found = self._subscriptions.named(sender)
        name = found.name if found is not None else UNKNOWN
        kind = notification.kind or "resource"
        kind = kind if kind in KINDS else "event-notification"
        instruments.increment("countersign.ehr.notifications", 1, {SUBSCRIPTION: name, NOTIFICATION: kind})
        if found is None:
            return False
        return await self._states.note(found, notification.events, named=notification.kind == "event-notification")


KINDS = ("handshake", "heartbeat", "event-notification", "query-status", "resource")
