"""Check that every stream, bucket and consumer exists as configured, and that there are no unknown consumers."""

from nats import errors
from nats.js.errors import APIError, NotFoundError

from cli.doctor.target import DoctorTarget
from shared.messaging.connection import NatsConnection
from shared.messaging.provision import consumer_config, stream_configs
from shared.messaging.replica_status import copies
from shared.messaging.snapshots import UNFINISHED
from shared.messaging.topology import all_consumers
from shared.runtime.checks.findings import Finding, Group
from shared.runtime.checks.streams import assess_replicas, compare


async def check(bus: NatsConnection, target: DoctorTarget) -> list[Finding]:
    group = Group("streams")
    expected = {str(item.name): item for item in stream_configs(target.storage)}
    try:
        listed = await bus.jetstream.streams_info()
    except (APIError, errors.Error) as error:
        group.fault(
            "streams",
            f"they cannot be listed ({type(error).__name__})",
            "check that JetStream is enabled, and that the user is admin",
        )
        return group.found
    found = {str(item.config.name): item.config for item in listed}
    if UNFINISHED in found:
        group.fault("restore", "a restore was not finished", "run it again: countersign restore")
    compare(group, "stream", expected, found, target.provision)
    assess_replicas(group, [copies(item) for item in listed if item.config.name in expected])
    for name in sorted(expected.keys() & found.keys()):
        await _consumers(bus, group, name, target)
    return group.found


async def _consumers(bus: NatsConnection, group: Group, stream: str, target: DoctorTarget) -> None:
    expected = {item.name: consumer_config(item) for item in all_consumers() if item.stream == stream}
    try:
        listed = await bus.jetstream.consumers_info(stream)
    except (NotFoundError, errors.Error):
        return  # it was deleted just now; the next run reports it
    found = {str(item.name): item.config for item in listed if item.config is not None and item.config.durable_name}
    compare(group, "consumer", expected, found, target.provision, of=stream)
