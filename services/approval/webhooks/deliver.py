"""Deliver events to webhooks: at least once, each retried alone, for days."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from nats.aio.msg import Msg

from services.approval.webhooks.attempts import WebhookAttempts
from services.approval.webhooks.registry import WebhookRegistry
from services.approval.webhooks.rules import EndpointCircuitBreaker, with_jitter
from services.approval.webhooks.sender import Answer, WebhookSender
from services.approval.webhooks.webhook import (
    Attempt,
    DisabledBecause,
    Health,
    Outcome,
    Webhook,
    WebhookDelivery,
    read_delivery,
)
from shared.contracts.errors import PermanentError, RateLimitedError, TransientError, as_transient
from shared.messaging.connection import NatsConnection
from shared.messaging.dead_letter_queue import publish_alert
from shared.messaging.steps import Clock

ALERT_AFTER = timedelta(hours=1)  # of failures only


class WebhookDispatcher:
    """`retry_for`: how long a delivery is tried, and how long an endpoint may fail before it is disabled."""

    def __init__(
        self,
        bus: NatsConnection,
        registry: WebhookRegistry,
        sender: WebhookSender,
        clock: Clock,
        retry_for: timedelta,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        self._bus = bus
        self._registry = registry
        self._sender = sender
        self._attempts = WebhookAttempts(bus)
        self._clock = clock
        self._retry_for = retry_for
        self._timer = timer
        self._gates: dict[str, EndpointCircuitBreaker] = {}

    async def deliver(self, message: Msg) -> None:
        """Send one delivery, unless an earlier attempt of this message has succeeded or the webhook is removed.

        It is sent again, with the same id, if this process dies between the answer and the attempt's record.
        Raises TransientError to be tried again; PermanentError when it is given up, which makes it a dead letter.
        """
        delivery = read_delivery(message.subject, message.data)
        sequence, enqueued_at = message.metadata.sequence.stream, message.metadata.timestamp
        # A delivery past its time skips the gate: it is given up now, unless it was sent before.
        gate = None if self._is_old(enqueued_at) else self._enter(delivery.webhook, sequence)
        answer: Answer | None = None
        try:
            webhook, health = await self._registry.with_health(delivery.webhook)
            if webhook is None or await self._attempts.is_done(delivery, sequence):
                return
            if not webhook.enabled:
                await self._give_up(delivery, sequence, f"webhook {webhook.id} is disabled")
            if gate is None:
                await self._give_up(delivery, sequence, await self._why_old(webhook, delivery, health))
            with as_transient():  # a master key that is missing may come back
                secrets = self._registry.secrets(webhook, self._clock())
            answer = await self._sender.post(webhook.url, delivery.id, delivery.event.cloudevent(), secrets)
        finally:
            self._leave(delivery.webhook, gate, answer)
        await self._settle(webhook, health, delivery, sequence, answer)

    def _is_old(self, enqueued_at: datetime) -> bool:
        return self._clock() - enqueued_at > self._retry_for

    def _enter(self, webhook: str, message: int) -> EndpointCircuitBreaker:
        gate = self._gates.setdefault(webhook, EndpointCircuitBreaker())
        if (wait := gate.enter(self._timer())) is not None:
            raise RateLimitedError("the endpoint is busy or does not answer", with_jitter(wait, message))
        return gate

    def _leave(self, webhook: str, gate: EndpointCircuitBreaker | None, answer: Answer | None) -> None:
        if gate is None:
            return
        if answer is None:
            gate.leave(self._timer(), ok=None)
        else:
            gate.leave(self._timer(), ok=answer.verdict.kind == "delivered", wait=answer.verdict.wait)
        if gate.idle:
            self._gates.pop(webhook, None)

    async def _settle(
        self, webhook: Webhook, health: Health | None, delivery: WebhookDelivery, message: int, answer: Answer
    ) -> None:
        verdict = answer.verdict
        if verdict.kind == "delivered":
            await self._record(delivery, message, "delivered", answer)
            if health is not None:
                await self._registry.set_health(webhook.id, None)
            return
        if verdict.kind == "gone":
            await self._disable(webhook, "gone", verdict.reason)
            await self._give_up(delivery, message, verdict.reason, answer)
        await self._record(delivery, message, "failed", answer)
        await self._note_failure(webhook, health, verdict.reason)
        if verdict.wait is not None:
            raise RateLimitedError(verdict.reason, verdict.wait)
        raise TransientError(f"webhook {webhook.id}: {verdict.reason}")

    async def _note_failure(self, webhook: Webhook, health: Health | None, reason: str) -> None:
        """Remember since when the endpoint fails; alert a person, and later disable it."""
        now = self._clock()
        if health is None:
            await self._registry.set_health(webhook.id, Health(failing_since=now))
        elif now - health.failing_since > self._retry_for:
            await self._disable(webhook, "failing", reason)
        elif now - health.failing_since > ALERT_AFTER and not health.alerted:
            id = f"{webhook.id}-{health.failing_since.isoformat()}"
            await publish_alert(self._bus, "warning", "webhook-failing", id=id, webhook=webhook.id, reason=reason)
            await self._registry.set_health(webhook.id, health.model_copy(update={"alerted": True}))

    async def _why_old(self, webhook: Webhook, delivery: WebhookDelivery, health: Health | None) -> str:
        last = await self._attempts.last(delivery)
        reason = last.reason if last is not None and last.reason else "the endpoint was busy or did not answer"
        if health is not None and self._clock() - health.failing_since > self._retry_for:
            await self._disable(webhook, "failing", reason)
        return f"not delivered within {self._retry_for}: {reason}"

    async def _disable(self, webhook: Webhook, because: DisabledBecause, reason: str) -> None:
        """Disable the webhook, and alert a person first: a process that dies in between does the rest later."""
        now = self._clock()
        id = f"{webhook.id}-{webhook.secrets[0].created_at.isoformat()}-{now.date().isoformat()}"
        await publish_alert(self._bus, "warning", "webhook-disabled", id=id, webhook=webhook.id, reason=reason)
        update = {"enabled": False, "disabled_because": because, "disabled_at": now}
        await self._registry.change(webhook.id, lambda it: it.model_copy(update=update) if it.enabled else it)

    async def _give_up(
        self, delivery: WebhookDelivery, message: int, reason: str, answer: Answer | None = None
    ) -> None:
        """Record that it is given up. Raises PermanentError."""
        await self._record(delivery, message, "given-up", answer, reason)
        raise PermanentError(reason)

    async def _record(
        self, delivery: WebhookDelivery, message: int, outcome: Outcome, answer: Answer | None, reason: str = ""
    ) -> None:
        await self._attempts.record(
            Attempt(
                delivery=delivery,
                message=message,
                at=self._clock(),
                outcome=outcome,
                status=answer.status if answer is not None else None,
                reason=reason or (answer.verdict.reason if answer is not None else ""),
                seconds=answer.seconds if answer is not None else 0.0,
            )
        )
