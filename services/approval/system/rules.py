"""What the figures of a consumer mean. Pure."""

from typing import Literal

from shared.messaging.broker_status import ConsumerStatus
from shared.messaging.topology import consumer
from shared.runtime.checks.consumers import BACKLOG_WARNING

State = Literal["served", "busy", "paused", "backlog", "retrying", "unserved", "missing", "unknown"]
ATTENTION: tuple[State, ...] = ("unserved", "missing", "retrying", "backlog")


def state_of(item: ConsumerStatus) -> State:
    """Return the state of a consumer, as `countersign doctor` judges it."""
    workers = consumer(item.name).workers
    if item.follower and not item.in_flight:
        return "unknown"  # only its leader knows whether a worker waits
    if item.paused:
        return "paused"
    if not item.waiting and not item.in_flight:
        return "unserved"
    if item.redelivered and item.redelivered >= workers:
        return "retrying"
    if item.pending > BACKLOG_WARNING:
        return "backlog"
    return "busy" if item.pending or item.in_flight else "served"
