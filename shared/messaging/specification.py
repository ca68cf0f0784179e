"""What FastStream says of our subscribers and publishers in AsyncAPI documents: their channels, one for each."""

from faststream.nats.publisher.config import NatsPublisherConfig, NatsPublisherSpecificationConfig
from faststream.nats.publisher.specification import NatsPublisherSpecification
from faststream.nats.publisher.usecase import LogicPublisher
from faststream.nats.subscriber.specification import NatsSubscriberSpecification
from faststream.specification.schema import Message, Operation, PublisherSpec, SubscriberSpec
from faststream.specification.schema.bindings import ChannelBinding, nats

from shared.messaging.channels import Channel, received_by
from shared.messaging.topology import consumer

SCHEMAS = "schemas:"  # stands for where the schemas' files are, which depends on where the document is


class ConsumerSpecification(NatsSubscriberSpecification):
    """The channels of a consumer, by its filters; it is titled by the consumer's name."""

    __slots__ = ()

    def get_schema(self) -> dict[str, SubscriberSpec]:
        name = self.config.title_ or ""
        found = {f"{name}-receives-{item.name}": item for item in received_by(consumer(name))}
        return {
            key: SubscriberSpec(item.description, _operation(key, item), _binding(item), item.address)
            for key, item in found.items()
        }


class EventSpecification(NatsPublisherSpecification):
    """The channel of a publisher, titled `<service>-sends-<channel>`."""

    __slots__ = ("channel",)

    channel: Channel

    def get_schema(self) -> dict[str, PublisherSpec]:
        return {
            self.name: PublisherSpec(
                self.channel.description,
                _operation(self.name, self.channel),
                _binding(self.channel),
                self.channel.address,
            )
        }


def publisher_of(service: str, channel: Channel, broker_config: object) -> LogicPublisher:
    """Return the publisher of a channel to which a service may send."""
    config: dict[str, object] = {"_outer_config": broker_config, "subject": channel.address}
    specification = EventSpecification(
        broker_config,  # type: ignore[arg-type]
        NatsPublisherSpecificationConfig(
            subject=channel.address,
            schema_=None,
            title_=f"{service}-sends-{channel.name}",
            description_=channel.description,
            include_in_schema=True,
        ),
    )
    specification.channel = channel
    return LogicPublisher(
        NatsPublisherConfig(**config, stream=None, reply_to="", headers=None, timeout=None),  # type: ignore[arg-type]
        specification,
    )


def _operation(name: str, channel: Channel) -> Operation:
    message = channel.message
    payload = {"$ref": f"{SCHEMAS}{message.schema}"} if message.schema else dict(message.payload)
    return Operation(message=Message(title=f"{name}:Message", payload=payload), bindings=None)


def _binding(channel: Channel) -> ChannelBinding:
    return ChannelBinding(nats=nats.ChannelBinding(subject=channel.pattern, queue=None))
