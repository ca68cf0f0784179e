"""What the state of the installation means: which consumers are served, and what needs a person. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from services.approval.operations.outcomes import DOCS
from services.approval.system.schedules import Schedule
from shared.messaging.broker_status import BrokerStatus, ConsumerStatus, ServerReport
from shared.messaging.topology import consumer

BACKLOG = 1000  # pending messages of a consumer, as in `countersign doctor`
STORAGE_SHARE = 0.8  # as the alert NatsStorageFills
CERTIFICATE_LEFT = timedelta(days=30)
ALERTS = f"{DOCS}/alerts.md"

State = Literal["served", "busy", "paused", "backlog", "retrying", "unserved", "missing", "unknown"]
ATTENTION: tuple[State, ...] = ("unserved", "missing", "retrying", "backlog")


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that needs a person; `runbook` is the address of the page that says what to do."""

    level: Literal["fault", "warning"]
    words: str
    runbook: str


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
    if item.pending > BACKLOG:
        return "backlog"
    return "busy" if item.pending or item.in_flight else "served"


def consumer_findings(items: Sequence[ConsumerStatus], missing: Sequence[str]) -> list[Finding]:
    """Return what is wrong with consumers. A service of which nothing is served is one finding."""
    found = [
        Finding("fault", f"Consumer {name} is missing.", f"{DOCS}/how-to/check-an-installation.md") for name in missing
    ]
    services: dict[str, list[ConsumerStatus]] = {}
    for item in items:
        services.setdefault(consumer(item.name).service, []).append(item)
    for service, own in services.items():
        unserved = [item for item in own if state_of(item) == "unserved"]
        if len(unserved) == len(own):
            left = sum(item.pending for item in own)
            words = f"No process of {service} takes messages; {left} pending. Start {service}."
            found.append(Finding("fault", words, f"{ALERTS}#laggrows"))
            continue
        for item in own:
            found += _consumer_finding(item)
    return found


def _consumer_finding(item: ConsumerStatus) -> list[Finding]:
    service, state = consumer(item.name).service, state_of(item)
    words = {
        "unserved": f"No process takes messages of {item.name}; {item.pending} pending. Restart {service}.",
        "retrying": f"{item.name} retries {item.redelivered} messages: something that it needs fails.",
        "backlog": f"{item.name} has {item.pending} pending messages. Run more processes of {service}.",
    }
    level: Literal["fault", "warning"] = "fault" if state == "unserved" else "warning"
    return [Finding(level, words[state], f"{ALERTS}#laggrows")] if state in words else []


def server_findings(report: ServerReport) -> list[Finding]:
    """Return what is wrong with a NATS server."""
    found, name, server = [], f"NATS server {report.name}", report.status
    if not server.sync_always:
        words = f"{name} acknowledges writes that are not on disk yet: a power failure may lose them."
        found.append(Finding("fault", words, f"{ALERTS}#natsnotsyncing"))
    if server.may_store and server.stored / server.may_store > STORAGE_SHARE:
        words = f"{name} has used {server.stored / server.may_store:.0%} of its storage."
        found.append(Finding("warning", words, f"{ALERTS}#natsstoragefills"))
    if server.certificate_ends is not None and server.certificate_ends - server.now < CERTIFICATE_LEFT:
        days = max((server.certificate_ends - server.now).days, 0)
        words = f"The certificate of {name} ends in {days} days."
        found.append(Finding("warning", words, f"{ALERTS}#natscertificateends"))
    if server.single:
        words = f"Streams with one replica in a cluster of {server.servers} servers: {', '.join(server.single)}."
        found.append(Finding("fault", words, f"{DOCS}/how-to/check-an-installation.md"))
    return found


def dependency_findings(checks: Mapping[str, bool]) -> list[Finding]:
    """Return the dependencies that do not answer."""
    runbooks = {"ehr": "#ehrnotanswering", "triton": "#tritonnotready", "generator": "#tritonnotready"}
    return [
        Finding("fault", f"{name} does not answer.", ALERTS + runbooks.get(name, ""))
        for name, answers in sorted(checks.items())
        if not answers
    ]


def work_findings(*, dead_letters: int, unfiled: int, held: bool) -> list[Finding]:
    """Return what waits for a person."""
    found = []
    if dead_letters:
        words = f"{dead_letters} dead letter{'s' if dead_letters != 1 else ''} to resolve."
        found.append(Finding("warning", words, f"{ALERTS}#deadletters"))
    if unfiled:
        words = f"{unfiled} signed document{'s' if unfiled != 1 else ''} not in the chart yet."
        found.append(Finding("warning", words, f"{ALERTS}#documentnotinchart"))
    if held:
        words = "Decisions that physicians make in the EHR are held."
        found.append(Finding("warning", words, f"{DOCS}/how-to/backup-and-restore.md"))
    return found


def schedule_findings(schedules: Iterable[Schedule], now: datetime) -> list[Finding]:
    """Return the schedules that are late."""
    return [
        Finding("warning", f"{item.title} was due at {item.next_at:%Y-%m-%d %H:%M} UTC and has not run.", item.runbook)
        for item in schedules
        if item.next_at is not None and item.state(now) == "late"
    ]


def broker_findings(status: BrokerStatus) -> list[Finding]:
    found = [finding for report in status.servers for finding in server_findings(report)]
    return [*found, *consumer_findings(status.consumers, status.missing)]
