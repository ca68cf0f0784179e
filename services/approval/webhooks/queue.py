"""Enqueue one delivery of an event for each webhook that is registered for it."""

import asyncio

from nats.aio.msg import Msg

from services.approval.event_feed.message import message_of
from services.approval.webhooks.registry import WebhookRegistry
from services.approval.webhooks.webhook import STREAM, Webhook, WebhookDelivery
from shared.messaging.connection import NatsConnection, WrongSequenceError

FIRST = {"Nats-Expected-Last-Subject-Sequence": "0"}  # only where the subject has no message yet


class WebhookQueue:
    """Enqueues deliveries of every case event."""

    def __init__(self, bus: NatsConnection, registry: WebhookRegistry) -> None:
        self._bus = bus
        self._registry = registry
        self._known: list[Webhook] = []
        self._known_up_to = -1  # webhooks registered later do not get the events up to this sequence
        self._reading = asyncio.Lock()

    async def enqueue(self, message: Msg) -> None:
        """Enqueue the deliveries of a case event. Repeating it adds nothing."""
        metadata = message.metadata
        event = message_of(message.subject, message.headers or {}, metadata.sequence.stream)
        # What follows in the stream is there already: one read of the registry now covers all of those events.
        wanted = [item for item in await self._webhooks(event.sequence, metadata.num_pending) if item.wants(event)]
        await asyncio.gather(*(self._enqueue_delivery(WebhookDelivery.of(item.id, event)) for item in wanted))

    async def _webhooks(self, sequence: int, pending: int) -> list[Webhook]:
        """Return the webhooks as they were after the event at `sequence`, or later.

        The registry is read once for all events that are stored at that time, so an old stream is handled fast.
        """
        async with self._reading:
            if sequence > self._known_up_to:
                up_to = sequence + pending
                self._known = await self._registry.all()
                self._known_up_to = up_to
            return self._known

    async def _enqueue_delivery(self, delivery: WebhookDelivery) -> None:
        data, id = delivery.model_dump_json().encode(), f"{delivery.webhook}.{delivery.id}"
        try:
            await self._bus.publish(delivery.subject, data, stream=STREAM, headers=FIRST, id=id)
        except WrongSequenceError:
            return
