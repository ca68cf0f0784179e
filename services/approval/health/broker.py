"""Judge what NATS's monitoring endpoints report: servers, streams, consumers. Pure."""

from collections.abc import Iterable
from datetime import datetime

from shared.messaging.broker_status import BrokerStatus, ConsumerStatus
from shared.messaging.provision import StreamStorage, consumer_config, stream_configs
from shared.messaging.topology import all_consumers, consumer
from shared.runtime.checks.consumers import ConsumerHealth, assess_consumers
from shared.runtime.checks.findings import Finding, Group
from shared.runtime.checks.nats_server import assess_durability
from shared.runtime.checks.streams import assess_replicas, compare

PROVISION = "run countersign provision as admin: it updates what differs and deletes nothing"


def broker_findings(status: BrokerStatus, now: datetime) -> list[Finding]:
    """Return the findings about every server, stream and consumer."""
    return [*_servers(status, now), *_streams(status), *_consumers(status)]


def _servers(status: BrokerStatus, now: datetime) -> list[Finding]:
    found = []
    for report in status.servers:
        group = Group("server" if len(status.servers) == 1 else f"server {report.name}")
        assess_durability(group, report.status, now)
        found += group.found
    size = max(item.status.servers for item in status.servers)
    if not status.complete:
        group = Group("server")
        do = "check that the others run, and that COUNTERSIGN_NATS_MONITOR_URL resolves to all servers"
        group.warning("cluster", f"{len(status.servers)} of {size} servers report", do)
        found += group.found
    return found


def _streams(status: BrokerStatus) -> list[Finding]:
    """Compare streams and consumers with the topology. Replicas and placement are settings of `provision` alone."""
    group = Group("streams")
    found = {item.name: item.config for item in status.streams if item.config is not None}
    wanted = {
        str(item.name): item.evolve(num_replicas=found[str(item.name)].num_replicas if item.name in found else 1)
        for item in stream_configs(StreamStorage())
    }
    if len(found) < len(status.streams):
        group.unknown("streams", "the monitoring endpoint does not show their configuration", ELSEWHERE)
    elif not status.complete and (absent := wanted.keys() - found.keys()):
        group.unknown("streams", f"no server that reports has {', '.join(sorted(absent))}", ELSEWHERE)
        compare(group, "stream", {name: wanted[name] for name in wanted.keys() & found.keys()}, found, PROVISION)
    else:
        compare(group, "stream", wanted, found, PROVISION)
    assess_replicas(group, [item.copies for item in status.streams if item.copies is not None and item.name in wanted])
    _consumer_configs(group, status)
    return group.found


def _consumer_configs(group: Group, status: BrokerStatus) -> None:
    configs = {item.name: item.config for item in status.consumers if item.config is not None}
    known = {item.name for item in status.consumers}
    expected = {item.name: consumer_config(item) for item in all_consumers()}
    compared = expected.keys() & configs.keys()
    if status.complete:
        compared |= expected.keys() - known
    elif missing := expected.keys() - known:
        group.unknown("consumers", f"no server that reports has {', '.join(sorted(missing))}", ELSEWHERE)
    compare(group, "consumer", {name: expected[name] for name in sorted(compared)}, configs, PROVISION)
    for stream, name in status.strange:
        do = f"if nothing uses it, remove it: nats consumer rm {stream} {name}"
        group.warning(f"consumer {name}", f"unknown durable consumer on {stream}", do)


def _consumers(status: BrokerStatus) -> list[Finding]:
    """Assess whether consumers are served. Only the leader of a consumer knows its workers."""
    group = Group("work")
    unknown = [item.name for item in status.consumers if item.follower and not item.in_flight]
    assess_consumers(group, _loads(item for item in status.consumers if item.name not in unknown))
    if unknown:
        says = f"the servers that lead {', '.join(unknown)} do not report"
        group.unknown("consumers", says, "check that all NATS servers run")
    return group.found


def _loads(items: Iterable[ConsumerStatus]) -> list[ConsumerHealth]:
    return [
        ConsumerHealth(consumer(item.name), item.waiting, item.pending, item.in_flight, item.redelivered, item.paused)
        for item in items
    ]


ELSEWHERE = "run countersign doctor where NATS can be reached (docs/how-to/check-an-installation.md)"
