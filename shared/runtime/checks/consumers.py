"""Judge whether every consumer is served. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from shared.messaging.topology_model import Consumer
from shared.runtime.checks.findings import Group

BACKLOG_WARNING = 1000  # pending messages of a consumer


@dataclass(frozen=True, slots=True)
class ConsumerHealth:
    """State of a consumer."""

    consumer: Consumer
    waiting: int  # open pull requests of services
    pending: int  # messages not delivered yet
    unanswered: int
    redelivered: int
    paused: bool = False


def assess_consumers(group: Group, loads: Iterable[ConsumerHealth]) -> None:
    """Assess whether every consumer is served. Pure."""
    services: defaultdict[str, list[ConsumerHealth]] = defaultdict(list)
    for load in loads:
        services[load.consumer.service].append(load)
    for service, found in sorted(services.items()):
        idle = [load for load in found if not load.waiting and not load.unanswered and not load.paused]
        if len(idle) == len(found):
            left = sum(load.pending for load in found)
            group.fault(f"service {service}", f"no process takes its messages; {left} pending", f"start {service}")
            continue
        for load in idle:
            says = f"no process takes its messages; {load.pending} pending"
            group.fault(f"consumer {load.consumer.name}", says, f"restart {service}, and check its log")
        for load in found:
            _assess_backlog(group, load)
        pending, open_ = sum(load.pending for load in found), sum(load.unanswered for load in found)
        if not idle:
            group.ok(
                f"service {service}", f"{len(found)} consumers served; {pending} messages pending, {open_} in progress"
            )


def _assess_backlog(group: Group, load: ConsumerHealth) -> None:
    name = f"consumer {load.consumer.name}"
    if load.paused and load.pending:
        group.ok(name, f"paused (peak hours); {load.pending} messages pending")
    elif load.pending > BACKLOG_WARNING:
        do = f"run more processes of {load.consumer.service}, or find what delays it: countersign dead-letters list"
        group.warning(name, f"{load.pending} messages pending", do)
    if load.redelivered and load.redelivered >= load.consumer.workers:
        do = "see the alerts `step-failing`: a dependency fails"
        group.warning(name, f"{load.redelivered} messages are being retried", do)
