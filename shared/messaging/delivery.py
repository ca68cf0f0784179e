"""Middleware that acknowledges, retries and dead-letters delivered messages.

It wraps the handlers of every consumer. A message is acknowledged when its handler returns. When the handler raises,
the message is retried by the consumer's retry policy and, when that is exhausted, stored as a dead letter.
"""

import asyncio
import json
import logging
import traceback
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any
from weakref import WeakValueDictionary

from faststream import BaseMiddleware, StreamMessage
from faststream.nats import NatsMessage
from nats import errors
from nats.aio.msg import Msg

from shared.contracts.case import fold
from shared.contracts.envelope import decode
from shared.contracts.errors import CountersignError, PermanentError, TransientError
from shared.contracts.events import Failed, StepName
from shared.contracts.retry import next_delay
from shared.contracts.subjects import derived_id
from shared.messaging.ack_extender import AckExtender, consumer_span
from shared.messaging.connection import NatsConnection
from shared.messaging.dead_letter_queue import FailedMessage, dead_letter, publish_alert
from shared.messaging.event_store import Clock, EventStore, StepNoLongerAwaitedError
from shared.messaging.topology import consumer
from shared.messaging.topology_model import Consumer
from shared.telemetry import instruments

logger = logging.getLogger(__name__)

Next = Callable[[StreamMessage[Msg]], Awaitable[Any]]
OnRetriesExhausted = Callable[
    [FailedMessage, str], Awaitable[None]
]  # (message, reason): runs after the last attempt of a consumer


class Delivery:
    """Makes the middleware of each message, as FastStream asks for it. One for all consumers of a service."""

    def __init__(self, service: str, bus: NatsConnection, clock: Clock) -> None:
        self._service = service
        self._bus = bus
        self._clock = clock
        self.on_exhausted: dict[str, OnRetriesExhausted] = {}  # by the consumer's name
        self._turns: WeakValueDictionary[tuple[str, int], asyncio.Lock] = WeakValueDictionary()

    def __call__(self, msg: Msg | None, /, *, context: Any) -> "DeliveryMiddleware":
        return DeliveryMiddleware(self, msg, context=context)

    async def consume(self, call_next: Next, message: NatsMessage) -> None:
        """Process one attempt: apply its time limit, extend its deadline, and handle its failure.

        A server that was restarted delivers a message again whose handler still runs. The second attempt then waits for
        the first: in the EHR, both would look for what the other one is about to create.
        """
        metadata = message.raw_message.metadata
        target, attempt = consumer(metadata.consumer), metadata.num_delivered
        if attempt > 1:
            instruments.increment("countersign.redeliveries", 1, target.attributes)
        subject = message.raw_message.subject
        turn = self._turns.setdefault((target.name, metadata.sequence.stream), asyncio.Lock())
        try:
            with AckExtender(message, target.ack_wait / 3), consumer_span(target, subject, message.headers, attempt):
                async with turn, asyncio.timeout(target.retry.timeout):
                    await call_next(message)
        except CountersignError as failure:
            await self._fail(target, message, attempt, failure)
        except TimeoutError:
            await self._fail(target, message, attempt, TransientError(f"no result within {target.retry.timeout:g} s"))
        except Exception as error:  # noqa: BLE001 - a bug must end in front of a person, not in a redelivery loop
            # Frames only: the exception's own text may quote what it choked on.
            frames = "".join(traceback.format_tb(error.__traceback__))
            logger.error("%s: %s\n%s", target.name, type(error).__name__, frames)
            await self._fail(target, message, attempt, PermanentError(f"unexpected {type(error).__name__}"))
        else:  # an error here is no failure of the handler: after redelivery it finds its work done
            await message.ack()

    async def _fail(self, target: Consumer, message: NatsMessage, attempt: int, failure: CountersignError) -> None:
        delay = next_delay(target.retry, attempt, failure)
        if delay is not None:
            logger.info("%s: attempt %d failed, again in %.1f s: %s", target.name, attempt, delay, failure.reason)
            if attempt == target.retry.alert_after:
                await self._alert(target, _original(message, target), attempt, failure.reason)
            await message.nack(delay=delay)
            return
        try:
            await self._dead_letter(target, _original(message, target), failure.reason, attempt)
        except CountersignError as error:  # no message is rejected before its dead letter is stored
            logger.warning("%s: the dead letter was not stored yet: %s", target.name, error.reason)
            await message.nack(delay=target.retry.initial_interval)
            return
        await message.reject()

    async def _alert(self, target: Consumer, original: FailedMessage, attempts: int, reason: str) -> None:
        try:
            await self._publish_alert("warning", "step-failing", target, original, attempts, reason)
        except TransientError as error:
            logger.warning("%s: alert not sent: %s", target.name, error.reason)

    async def _publish_alert(
        self, severity: Any, kind: str, target: Consumer, original: FailedMessage, attempts: int, reason: str
    ) -> None:
        # The server drops a second one with the same id within the deduplication window.
        id = target.name if target.alerts_together else f"{target.name}-{original.sequence}"
        await publish_alert(
            self._bus,
            severity,
            kind,
            id=id,
            consumer=target.name,
            subject=original.subject,
            attempts=attempts,
            reason=reason,
        )

    async def _dead_letter(self, target: Consumer, original: FailedMessage, reason: str, attempts: int) -> None:
        """Store the dead letter, mark the case as failed, and alert a person. Each part is idempotent."""
        logger.warning("%s: retries exhausted after %d attempts: %s", target.name, attempts, reason)
        await dead_letter(self._bus, target, original, reason, attempts)
        if target.step is not None:
            await self._mark_failed(target.step, original, reason, attempts)
        if (callback := self.on_exhausted.get(target.name)) is not None:
            await callback(original, reason)
        await self._publish_alert("critical", "step-failed", target, original, attempts, reason)

    async def _mark_failed(self, name: StepName, original: FailedMessage, reason: str, attempts: int) -> None:
        try:
            cause = decode(original.subject, original.headers, original.data, original.sequence)
        except PermanentError:
            return  # not an event: there is no case to mark
        event_store = EventStore(self._bus, self._service)
        history = await event_store.history_with(cause)
        if fold(history).awaits != name:
            return
        failed = Failed(step=name, reason=reason, attempts=attempts)
        with suppress(StepNoLongerAwaitedError):
            id = derived_id(f"{cause.id}/{attempts}", "failed")
            await event_store.append_awaited(name, cause, failed, history, id=id, clock=self._clock)

    async def on_advisory(self, message: Msg) -> None:
        """Dead-letter a message that was delivered too often without an answer: each process crashed or hung."""
        advisory = json.loads(message.data)
        target = consumer(advisory["consumer"])
        stored = await self._bus.direct_get(advisory["stream"], {"seq": advisory["stream_seq"]})
        for item in stored:
            headers = dict(item.headers or {})
            original = FailedMessage(
                advisory["stream"], advisory["stream_seq"], headers["Nats-Subject"], headers, item.data
            )
            await self._dead_letter(target, original, "delivered too often without an answer", advisory["deliveries"])


class DeliveryMiddleware(BaseMiddleware):
    """`Delivery` around the handling of one message."""

    def __init__(self, delivery: Delivery, msg: Msg | None, /, *, context: Any) -> None:
        super().__init__(msg, context=context)
        self._delivery = delivery

    async def consume_scope(self, call_next: Next, msg: NatsMessage) -> None:  # type: ignore[override]
        try:
            await self._delivery.consume(call_next, msg)
        except errors.Error as error:  # the connection is gone: the server will deliver the message again
            logger.warning("%s: not acknowledged: %s", msg.raw_message.metadata.consumer, type(error).__name__)
            raise


def _original(message: NatsMessage, target: Consumer) -> FailedMessage:
    raw = message.raw_message
    return FailedMessage(target.stream, raw.metadata.sequence.stream, raw.subject, raw.headers or {}, raw.data)
