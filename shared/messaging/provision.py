"""Brings a server to the topology: creates what is missing, changes what differs; says what it did.

It deletes no message. Consumers that have moved to another stream are removed where they were.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from nats import errors
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, Placement, StorageType, StreamConfig
from nats.js.errors import APIError, NotFoundError

from shared.contracts.errors import PermanentError, TransientError
from shared.messaging.connection import NatsConnection, sort_api_error
from shared.messaging.declared_buckets import BUCKETS, DELETABLE, WRITTEN_ONCE
from shared.messaging.placement import Tags
from shared.messaging.topology import (
    DEDUPE_WINDOW,
    MOVED,
    STREAMS,
    all_consumers,
)
from shared.messaging.topology_model import Consumer, Stream

# Of the server's error table.
NO_SUITABLE_PEERS = 10005  # JSClusterNoPeersErrF
NO_CLUSTER = 10074  # JSStreamReplicasNotSupportedErr
MOVE_AND_SCALE = 10123  # JSStreamMoveAndScaleErr
MOVING = 10124  # JSStreamMoveInProgressF

Action = Literal["created", "updated", "unchanged", "removed"]


@dataclass(frozen=True, slots=True)
class Change:
    """What was done about one stream, bucket or consumer; `differs` names the settings that were not as wanted."""

    what: str
    action: Action
    differs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class StreamStorage:
    """How often each message is kept, and where; a stream that `tags` does not name stays where it is."""

    replicas: int = 1
    tags: Tags = field(default_factory=dict)

    def placement(self, stream: str) -> Placement | None:
        """Return the placement for tags; without tags: any server. None: not set."""
        tags = self.tags.get(stream)
        return None if tags is None else Placement(tags=list(tags) or None)


async def provision(bus: NatsConnection, storage: StreamStorage = StreamStorage()) -> list[Change]:
    """Make streams, buckets and consumers as the topology says. Running it again changes nothing.

    Raises PermanentError when the server refuses a change, TransientError when it does not answer.
    """
    jetstream = bus.jetstream
    try:
        changes = [item for stream, name in MOVED for item in await _remove(jetstream, stream, name)]
        changes += [await _stream(jetstream, item, storage) for item in stream_configs(storage)]
        changes += [await _consumer(jetstream, item) for item in all_consumers()]
    except APIError as error:
        raise sort_api_error(error, "provisioning") from None
    except errors.Error as error:
        raise TransientError(f"provisioning: {type(error).__name__}") from None
    return changes


def placement_error(code: int | None, stream: str, storage: StreamStorage) -> PermanentError | TransientError | None:
    """Return why the servers cannot place `stream` so; None when the error `code` has another cause."""
    tags = ", ".join(storage.tags.get(stream, ()))
    if code == NO_SUITABLE_PEERS and tags:
        return PermanentError(f"no {storage.replicas} servers carry the tags {tags}: stream {stream} cannot be placed")
    if code == NO_SUITABLE_PEERS:
        return TransientError(f"no {storage.replicas} servers are there: stream {stream} cannot be placed")
    if code == NO_CLUSTER:
        return PermanentError(f"{storage.replicas} replicas want a cluster, and this is one server")
    if code == MOVE_AND_SCALE:
        return PermanentError(
            f"stream {stream} cannot move and change its replicas at once: change one of them, then the other"
        )
    if code == MOVING:
        return TransientError(f"stream {stream} is still on its way to other servers: run it again when it is there")
    return None


async def has_stream(bus: NatsConnection, name: str) -> bool:
    """Return whether the stream exists. Raises TransientError when the server does not answer."""
    try:
        await bus.jetstream.stream_info(name)
    except NotFoundError:
        return False
    except (APIError, errors.Error) as error:
        raise TransientError(f"looking for {name}: {type(error).__name__}") from None
    return True


def stream_configs(storage: StreamStorage) -> list[StreamConfig]:
    """Return the configuration of every stream and bucket."""
    return [
        *(stream_config(item, storage) for item in STREAMS),
        *(bucket_config(name, storage) for name in BUCKETS),
    ]


def stream_config(stream: Stream, storage: StreamStorage) -> StreamConfig:
    return StreamConfig(
        name=stream.name,
        subjects=list(stream.subjects),
        storage=StorageType.FILE,
        max_age=stream.max_age or 0,
        duplicate_window=DEDUPE_WINDOW,
        num_replicas=storage.replicas,
        placement=storage.placement(stream.name),
        allow_direct=True,
        deny_delete=stream.append_only,
        deny_purge=stream.append_only,
        allow_msg_schedules=stream.schedules or None,
        allow_rollup_hdrs=stream.schedules,  # the server turns it on with schedules
    )


def bucket_config(name: str, storage: StreamStorage) -> StreamConfig:
    # The stream behind a key-value bucket, as ADR-8 lays it out.
    return StreamConfig(
        name=f"KV_{name}",
        subjects=[f"$KV.{name}.>"],
        storage=StorageType.FILE,
        max_msgs_per_subject=1,
        duplicate_window=DEDUPE_WINDOW,
        num_replicas=storage.replicas,
        placement=storage.placement(f"KV_{name}"),
        allow_rollup_hdrs=False,  # whoever may write one key could empty the bucket
        deny_delete=name not in DELETABLE,
        allow_direct=True,
        allow_msg_ttl=name not in DELETABLE,  # a key must not end by itself
        discard="new",  # type: ignore[arg-type]
        discard_new_per_subject=name in WRITTEN_ONCE,
    )


def consumer_config(target: Consumer) -> ConsumerConfig:
    return ConsumerConfig(
        durable_name=target.name,
        ack_policy=AckPolicy.EXPLICIT,
        ack_wait=target.ack_wait,
        max_deliver=target.max_deliver,
        max_ack_pending=target.max_ack_pending,
        filter_subjects=list(target.subjects),
    )


async def _stream(jetstream: JetStreamContext, wanted: StreamConfig, storage: StreamStorage) -> Change:
    try:
        return await _create_or_update_stream(jetstream, wanted)
    except APIError as error:
        raise placement_error(error.err_code, str(wanted.name), storage) or error from None


async def _create_or_update_stream(jetstream: JetStreamContext, wanted: StreamConfig) -> Change:
    try:
        info = await jetstream.stream_info(str(wanted.name))
    except NotFoundError:
        await jetstream.add_stream(wanted)
        return Change(f"stream {wanted.name}", "created")
    names = differs(info.config, wanted)
    if not names:
        return Change(f"stream {wanted.name}", "unchanged")
    await jetstream.update_stream(info.config.evolve(**{name: getattr(wanted, name) for name in names}))
    return Change(f"stream {wanted.name}", "updated", names)


async def _remove(jetstream: JetStreamContext, stream: str, consumer: str) -> list[Change]:
    try:
        await jetstream.delete_consumer(stream, consumer)
    except NotFoundError:
        return []
    return [Change(f"consumer {consumer} of {stream}", "removed")]


async def _consumer(jetstream: JetStreamContext, target: Consumer) -> Change:
    wanted = consumer_config(target)
    try:
        info = await jetstream.consumer_info(target.stream, target.name)
    except NotFoundError:
        await jetstream.add_consumer(target.stream, wanted)
        return Change(f"consumer {target.name}", "created")
    if info.config is None:
        raise PermanentError(f"the server does not show the settings of consumer {target.name}")
    names = differs(info.config, wanted)
    if not names:
        return Change(f"consumer {target.name}", "unchanged")
    await jetstream.add_consumer(target.stream, wanted)
    return Change(f"consumer {target.name}", "updated", names)


def differs(actual: Any, wanted: Any) -> tuple[str, ...]:
    """Return the names of our settings that differ on the server."""
    stated = {name: value for name, value in vars(wanted).items() if value is not None}
    return tuple(name for name, value in stated.items() if _comparable(getattr(actual, name)) != _comparable(value))


def _comparable(value: Any) -> Any:
    if isinstance(value, Placement):
        return sorted(value.tags or ()) or None
    if isinstance(value, list):
        return sorted(value)
    return value or None
