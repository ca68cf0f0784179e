"""A service on the bus: its FastStream broker, one NATS connection, and its consumers with what handles them."""

import asyncio
from collections.abc import Awaitable, Callable
from types import TracebackType

from faststream._internal.broker import BrokerUsecase
from faststream._internal.broker.registrator import Registrator
from faststream.nats import NatsBroker
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.contracts.steps import StepDefinition
from shared.messaging import pull_subscriber
from shared.messaging.channels import sent_by
from shared.messaging.connection import NatsConnection
from shared.messaging.delivery import Delivery, OnRetriesExhausted
from shared.messaging.event_store import Clock
from shared.messaging.fair_share import FairShareScheduler
from shared.messaging.pull_subscriber import StandingPullSubscriber, raw_message
from shared.messaging.specification import ConsumerSpecification, publisher_of
from shared.messaging.steps import Appended, Compensation, Consumed, Handler, StepRunner
from shared.messaging.topology import advisory_consumer, consumer
from shared.messaging.topology_model import Consumer
from shared.telemetry import instruments

Receiver = Callable[[Msg], Awaitable[None]]


class ServiceBroker(NatsBroker):
    """FastStream's broker of one service. `bus` is its connection, and is there before it is connected: what handles
    messages is made with it. Subscribers acknowledge by `Delivery` alone.
    """

    def __init__(self, service: str, bus: NatsConnection, clock: Clock) -> None:
        self._delivery = Delivery(service, bus, clock)
        super().__init__(
            decoder=raw_message,
            middlewares=(self._delivery,),
            apply_types=False,  # dependency injection would cost more than everything else before a handler
            serializer=None,  # handlers take the message as it is: no model of their arguments is built at start
            logger=None,  # FastStream would log what exceptions say, which may be a patient's data
            graceful_timeout=None,  # each subscriber has its own (`STOP_TIMEOUT_S`)
            specification_url="nats://localhost:4222",
            description="nkey users, JetStream",
        )
        self.service = service
        self.bus = bus
        self.clock = clock
        self._schedulers: list[FairShareScheduler] = []
        self.consumers: dict[str, StandingPullSubscriber] = {}
        self._subscribe(advisory_consumer(service), self._delivery.on_advisory)
        for channel in sent_by(service):
            Registrator.publisher(self, publisher_of(service, channel, self.config))

    def on(
        self,
        step: StepDefinition[Consumed, Appended],
        handle: Handler[Consumed, Appended],
        compensate: Compensation[Consumed] | None = None,
    ) -> None:
        """Run `handle` for the events of `step`, and append what it returns. `compensate`: see StepRunner."""
        runner = StepRunner(step, handle, compensate, self.bus, self.clock)
        if runner.fair_share is not None:
            self._schedulers.append(runner.fair_share)
        self._subscribe(consumer(step.consumer), runner.receive)

    def on_message(self, consumer_name: str, handle: Receiver, on_exhausted: OnRetriesExhausted | None = None) -> None:
        """Run `handle` for every message of a consumer. It appends events itself and must be idempotent.

        So must `on_exhausted`, which runs when the retry policy of the consumer is exhausted.
        """
        if on_exhausted is not None:
            self._delivery.on_exhausted[consumer_name] = on_exhausted
        self._subscribe(consumer(consumer_name), handle)

    def _subscribe(self, target: Consumer, handle: Receiver) -> None:
        subscriber = pull_subscriber.pull_subscriber(
            self,
            stream=target.stream,
            durable=target.name,
            filter_subjects=target.subjects,
            max_workers=target.workers,
            title=target.name,
            specification=ConsumerSpecification,
        )
        subscriber(handle)
        self.consumers[target.name] = subscriber
        self.bus.on_reconnect(subscriber.request_anew)

    async def start(self) -> None:
        """Start consuming."""
        for name in self.consumers:
            attributes = consumer(name).attributes
            instruments.increment("countersign.dead_letters", 0, attributes)
            instruments.increment("countersign.redeliveries", 0, attributes)
        instruments.increment("countersign.nats.refused", 0)
        await super().start()

    async def _connect(self) -> Client:
        await self.bus.open(patient=True)
        self.config.connect(self.bus.client)
        return self.bus.client

    async def stop(
        self,
        exc_type: type[BaseException] | None = None,
        exc_val: BaseException | None = None,
        exc_tb: TracebackType | None = None,
    ) -> None:
        """Stop consuming, finish messages in progress, and close the connection."""
        ends = [scheduler.stop(pull_subscriber.STOP_TIMEOUT_S) for scheduler in self._schedulers]
        await asyncio.gather(BrokerUsecase.stop(self, exc_type, exc_val, exc_tb), *ends)
        await self.disconnect()

    async def disconnect(self) -> None:
        """Close the connection; `connect` opens a new one."""
        if self._connection is not None:
            self._connection = None
            await self.bus.close()
        self.config.disconnect()

    async def collect_gauges(self) -> None:
        """Update the gauges of this service's consumers; all its processes report the same values."""
        for name in self.consumers:
            target = consumer(name)
            info = await self.bus.consumer_info(target.stream, target.name)
            instruments.set_gauge("countersign.consumer.lag", info["num_pending"], target.attributes)
            instruments.set_gauge("countersign.consumer.unacknowledged", info["num_ack_pending"], target.attributes)
