"""Check that every stream, bucket and consumer exists as configured, and that there are no unknown consumers."""

from typing import Any

from nats import errors
from nats.js.api import Placement
from nats.js.errors import APIError, NotFoundError

from cli.doctor.findings import Finding, Group
from cli.doctor.target import DoctorTarget
from shared.messaging.connection import NatsConnection
from shared.messaging.provision import consumer_config, differs, stream_configs
from shared.messaging.replica_status import ReplicaStatus, copies
from shared.messaging.snapshots import UNFINISHED
from shared.messaging.topology import all_consumers


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


def compare(
    group: Group, kind: str, expected: dict[str, Any], found: dict[str, Any], provision: str, *, of: str = ""
) -> None:
    """Compare the expected with the found configurations, by name. Pure."""
    where = f" on {of}" if of else ""
    missing = expected.keys() - found.keys()
    for name in sorted(missing):
        group.fault(f"{kind} {name}", f"it is missing{where}", provision)
    good = 0
    for name in sorted(expected.keys() & found.keys()):
        wrong = differs(found[name], expected[name])
        good += not wrong
        if wrong:
            values = ((field, getattr(found[name], field), getattr(expected[name], field)) for field in wrong)
            message = ", ".join(
                f"{field} is {_formatted(is_)}, expected {_formatted(want)}" for field, is_, want in values
            )
            group.fault(f"{kind} {name}", message, provision)
    if good and good == len(expected):
        group.ok(f"{kind}s{where}", f"{good} as expected")
    if of:  # other streams of the account are not ours
        for name in sorted(found.keys() - expected.keys()):
            fix = f"if nothing uses it, remove it: nats consumer rm {of} {name}"
            group.warning(f"{kind} {name}", f"unknown durable consumer{where}", fix)


def assess_replicas(group: Group, found: list[ReplicaStatus]) -> None:
    """Assess whether streams are in sync on all of their servers. Pure."""
    moving = sorted(item.stream for item in found if item.moving)
    if moving:
        group.warning("placement", f"moving to other servers: {', '.join(moving)}", "wait, then run the doctor again")
    for server in sorted({server for item in found for server in item.behind}):
        late = ", ".join(sorted(item.stream for item in found if server in item.behind))
        group.warning(
            f"server {server}", f"it has not caught up on {late}", "check that it runs; wait, then run the doctor again"
        )


def _formatted(value: Any) -> str:
    if isinstance(value, Placement):
        value = value.tags or None
    if value is None:
        return "none"
    return ", ".join(sorted(map(str, value))) if isinstance(value, list) else str(getattr(value, "value", value))
