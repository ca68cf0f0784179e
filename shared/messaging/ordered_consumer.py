"""Ordered push consumers that receive no more than they handle."""

from collections.abc import Awaitable, Callable
from functools import partial

from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.js import JetStreamContext
from nats.js.api import ConsumerConfig

from shared.messaging.connection import NatsConnection

# Seconds between the server's heartbeats while there are no messages. If two to four are missed, nats-py recreates the
# consumer.
IDLE_HEARTBEAT = 1.0


async def subscribe_ordered(
    bus: NatsConnection, stream: str, config: ConsumerConfig, on_message: Callable[[Msg], Awaitable[None]]
) -> JetStreamContext.PushSubscription:
    """Give `on_message` the messages of a stream, in order, each once. Raises what nats-py raises.

    The server sends on when what it sent is handled. For a subscription with a callback, nats-py 2 answers its question
    as soon as messages are received: a long stream was in memory at once, and what was over nats-py's limits (524,288
    messages, 128 MiB) was dropped.
    """
    found = await bus.jetstream.subscribe(
        "", stream=stream, config=config, ordered_consumer=True, idle_heartbeat=IDLE_HEARTBEAT, cb=on_message
    )
    subscription, state = found._sub, found._sub._jsi
    if state is not None:
        state.get_js_delivered = partial(_handled, subscription, state)  # type: ignore[method-assign]
    return found


def _handled(subscription: Subscription, state: JetStreamContext._JSI) -> int:
    """Return how many messages the callback has been given."""
    return state._fciseq - subscription._pending_queue.qsize()
