"""Streams as earlier versions laid them out, for what has to come over from there."""

from nats.js.api import AckPolicy, ConsumerConfig, StorageType, StreamConfig

from shared.messaging.connection import NatsConnection


async def installed_before(bus: NatsConnection) -> None:
    """Timers as they were before each kind had a stream of its own, and artifacts that took roll-ups."""
    jetstream = bus.jetstream
    await jetstream.add_stream(
        StreamConfig(
            name="TIMERS", subjects=["timers.>"], storage=StorageType.FILE, allow_direct=True, allow_msg_schedules=True
        )
    )
    for name, subject in (
        ("ingest-schedule", "timers.due.refresh.*"),
        ("embedder-peak", "timers.due.peak.*"),
        ("approval-escalate", "timers.due.escalation.>"),
    ):
        await jetstream.add_consumer(
            "TIMERS", ConsumerConfig(durable_name=name, ack_policy=AckPolicy.EXPLICIT, filter_subject=subject)
        )
    await jetstream.add_stream(
        StreamConfig(
            name="KV_artifacts",
            subjects=["$KV.artifacts.>"],
            storage=StorageType.FILE,
            max_msgs_per_subject=1,
            allow_rollup_hdrs=True,
            deny_delete=True,
            allow_direct=True,
            allow_msg_ttl=True,
            discard="new",  # type: ignore[arg-type]
        )
    )
