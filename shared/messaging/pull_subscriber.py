"""A FastStream subscriber of a durable JetStream pull consumer, with one standing pull request.

FastStream's own pull subscriber asks for a batch, and waits for all of it or a time-out before it asks again. This one
asks for as many messages as it has free workers, hands each to the handler as it arrives, and renews the request when
half of it is used up: one request covers many messages, and none waits for another. It does not read the messages.

Protocol: https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-37.md
"""

import asyncio
import json
import logging
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from faststream import AckPolicy
from faststream._internal.broker.registrator import Registrator
from faststream._internal.endpoint.subscriber.call_item import CallsCollection
from faststream.message import StreamMessage
from faststream.nats import JStream, NatsBroker, NatsMessage
from faststream.nats.subscriber.config import NatsSubscriberConfig, NatsSubscriberSpecificationConfig
from faststream.nats.subscriber.specification import NatsSubscriberSpecification
from faststream.nats.subscriber.usecases.stream_basic import StreamSubscriber
from nats import errors
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig

if TYPE_CHECKING:
    from nats.aio.subscription import Subscription

logger = logging.getLogger(__name__)

REQUEST_EXPIRY_S = 30.0  # seconds that a request stands; finite, because a server that restarts never answers it
IDLE_HEARTBEAT = 5.0  # seconds after which the server says that there is nothing to deliver
MISSED_HEARTBEATS = 2.5  # heartbeats that may be missed before the request is taken for lost
STOP_TIMEOUT_S = 4.0  # seconds that work gets when the subscriber is stopped
OPTIONS = {"expires": int(REQUEST_EXPIRY_S * 1e9), "idle_heartbeat": int(IDLE_HEARTBEAT * 1e9)}  # in nanoseconds


async def raw_message(message: StreamMessage[Msg]) -> Msg:
    """Decode nothing: handlers take the nats-py message with subject, headers, bytes and metadata."""
    return message.raw_message


async def parse(message: Msg) -> NatsMessage:
    """Parse as FastStream does for JetStream, but with the message's own id: a random id is slow."""
    headers = message.headers or {}
    id = headers.get("Nats-Msg-Id") or message.reply
    return NatsMessage(
        raw_message=message,
        body=message.data,
        reply_to=headers.get("reply_to", ""),
        headers=headers,
        content_type=headers.get("content-type"),
        message_id=id,
        correlation_id=headers.get("correlation_id") or id,
    )


class StandingPullSubscriber(StreamSubscriber):
    """Consumes the durable consumer `durable` of `stream`, at most `max_workers` messages at once.

    The consumer exists already: nothing is created. The handler acknowledges its messages itself.
    """

    def __init__(
        self,
        config: NatsSubscriberConfig,
        specification: NatsSubscriberSpecification,
        calls: CallsCollection[Msg],
        *,
        stream: JStream,
        durable: str,
        max_workers: int,
    ) -> None:
        super().__init__(config, specification, calls, stream=stream, queue="")
        self._parser = parse
        self.durable = durable
        self.max_workers = max_workers
        self._next_subject = f"$JS.API.CONSUMER.MSG.NEXT.{stream.name}.{durable}"
        self._requested = 0  # messages that standing requests may still bring
        self._last_received = 0.0  # loop time of the last message or heartbeat
        self._working: set[asyncio.Task[None]] = set()
        self._stopping = False
        self._watcher: asyncio.Task[None] | None = None

    def get_log_context(self, message: StreamMessage[Msg] | None) -> dict[str, str]:
        return self.build_log_context(message, self.durable, stream=self.stream.name)

    async def _create_subscription(self) -> None:
        if self.subscription:
            return
        self._loop = asyncio.get_running_loop()
        self._stopping = False
        self._inbox = self.connection.new_inbox()
        self._post_start()  # messages may arrive before `start` returns
        self.subscription = await self.connection.subscribe(self._inbox, cb=self._on_message)
        self._watcher = asyncio.create_task(self._watch())
        await self.request_anew()

    async def stop(self) -> None:
        """Take nothing new, and give running handlers `GRACE` seconds.

        What has not ended by then is cancelled, and delivered again to whoever is there.
        """
        self._stopping = True
        if self._watcher is not None:
            self._watcher.cancel()
        subscription: Subscription | None = self.subscription  # type: ignore[assignment]
        self.subscription = None
        if subscription is not None:
            with suppress(errors.Error):  # the connection is gone, and the requests with it
                await subscription.unsubscribe()
        if self._working:
            await asyncio.wait(self._working, timeout=STOP_TIMEOUT_S)
        for task in self._working:
            task.cancel()
        await super().stop()

    async def _on_message(self, message: Msg) -> None:
        self._last_received = self._loop.time()
        status = (message.headers or {}).get("Status")
        if status is None and self._stopping:
            await message.nak()  # of a request that stood when we stopped: whoever is there takes it
        elif status is None:
            self._requested -= 1
            task = self._loop.create_task(self._work(message))
            self._working.add(task)
            task.add_done_callback(self._working.discard)
        elif status != "100":  # a request has ended: its time is up, or the consumer is gone for now
            pending = int((message.headers or {}).get("Nats-Pending-Messages", self._requested))
            self._requested = max(0, self._requested - pending)
            if status == "408":
                await self._request()

    async def _work(self, message: Msg) -> None:
        try:
            await self.consume(message)
        finally:
            await self._request(done=1)

    async def _request(self, done: int = 0) -> None:
        """Request messages for the free workers, if no request is open or half of them are free."""
        room = self.max_workers - (len(self._working) - done) - self._requested
        if self._stopping or room <= 0 or (self._requested > 0 and 2 * room < self.max_workers):
            return
        self._requested += room
        request = {"batch": room} | OPTIONS
        try:
            await self.connection.publish(self._next_subject, json.dumps(request).encode(), reply=self._inbox)
        except errors.Error as error:
            self._requested = 0
            logger.warning("%s: no messages requested: %s", self.durable, type(error).__name__)

    async def request_anew(self) -> None:
        """Request again without the open requests, as after a lost connection."""
        if self.subscription is None:
            return
        self._requested = 0
        self._last_received = self._loop.time()
        await self._request()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(IDLE_HEARTBEAT)
            silent = self._loop.time() - self._last_received > MISSED_HEARTBEATS * IDLE_HEARTBEAT
            if self._requested == 0 or silent:
                await self.request_anew()


def pull_subscriber(
    broker: NatsBroker,
    *,
    stream: str,
    durable: str,
    filter_subjects: Sequence[str],
    max_workers: int,
    specification: type[NatsSubscriberSpecification] = NatsSubscriberSpecification,
    title: str | None = None,
    description: str | None = None,
) -> StandingPullSubscriber:
    """Declare a subscriber on `broker`, as `broker.subscriber(...)` does for FastStream's own kinds."""
    config: Any = broker.config
    calls = CallsCollection[Msg]()
    subscriber = StandingPullSubscriber(
        NatsSubscriberConfig(
            subject="",
            sub_config=ConsumerConfig(durable_name=durable, filter_subjects=list(filter_subjects)),
            no_reply=True,
            _outer_config=config,
            _ack_policy=AckPolicy.MANUAL,
        ),
        specification(
            _outer_config=config,
            calls=calls,
            specification_config=NatsSubscriberSpecificationConfig(
                subject="",
                queue=None,
                filter_subjects=list(filter_subjects),
                title_=title,
                description_=description,
                include_in_schema=True,
            ),
        ),
        calls,
        stream=JStream(stream, declare=False),
        durable=durable,
        max_workers=max_workers,
    )
    Registrator.subscriber(broker, subscriber)
    return subscriber
