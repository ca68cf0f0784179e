"""Check that work is done: consumers, dead letters, decisions in the EHR, checkpoints, the live knowledge base."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import httpx
from nats import errors
from nats.js.errors import APIError, NotFoundError

from cli.client import Api
from cli.doctor import census, checkpoints
from cli.doctor.findings import Finding, Group
from cli.doctor.spend import check_spend
from cli.doctor.target import DoctorTarget
from cli.errors import CommandError
from services.approval.ehr_tasks.hold import read_hold
from services.approval.ehr_tasks.reconciler import ALERT_AFTER_FAILURES, KEY
from services.approval.ehr_tasks.watermark import Watermark
from shared.contracts.errors import CountersignError
from shared.knowledge.live import LiveBucket
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection
from shared.messaging.dead_letters import read_all
from shared.messaging.topology import all_consumers
from shared.messaging.topology_model import Consumer

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


async def check(bus: NatsConnection, target: DoctorTarget) -> list[Finding]:
    group = Group("work")
    assess_consumers(
        group, [load for item in all_consumers() if (load := await _consumer_health(bus, item)) is not None]
    )
    await _dead_letters(bus, group)
    await _ehr_decisions(bus, group)
    await checkpoints.check(bus, group, datetime.now(UTC))
    await census.check_timers(bus, group, target.census, datetime.now(UTC))
    await check_spend(bus, group, target, datetime.now(UTC))
    await _knowledge(bus, target, group)
    return group.found


async def _consumer_health(bus: NatsConnection, item: Consumer) -> ConsumerHealth | None:
    try:
        info = await bus.jetstream.consumer_info(item.stream, item.name)
    except (NotFoundError, APIError, errors.Error):
        return None  # reported with the streams
    return ConsumerHealth(
        item,
        info.num_waiting or 0,
        info.num_pending or 0,
        info.num_ack_pending or 0,
        info.num_redelivered or 0,
        bool(info.paused),
    )


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
            message = f"no process takes its messages; {load.pending} pending"
            group.fault(f"consumer {load.consumer.name}", message, f"restart {service}, and check its log")
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
        fix = f"run more processes of {load.consumer.service}, or find what delays it: countersign dead-letters list"
        group.warning(name, f"{load.pending} messages pending", fix)
    if load.redelivered and load.redelivered >= load.consumer.workers:
        fix = "see the alerts `step-failing`: a dependency fails"
        group.warning(name, f"{load.redelivered} messages are being retried", fix)


async def _dead_letters(bus: NatsConnection, group: Group) -> None:
    try:
        letters = [letter for letter, _, _ in (await read_all(bus)).values() if letter.waits]
    except CountersignError as failure:
        group.fault("dead letters", failure.reason, "see the findings about streams")
        return
    if not letters:
        group.ok("dead letters", "none")
        return
    consumers = ", ".join(sorted({letter.consumer for letter in letters}))
    fix = "countersign dead-letters list; fix the cause; then redrive or discard"
    group.warning("dead letters", f"{len(letters)} unresolved, of {consumers}", fix)


async def _ehr_decisions(bus: NatsConnection, group: Group) -> None:
    """Check that decisions in the EHR's own inbox are allowed."""
    try:
        hold = await read_hold(bus)
    except CountersignError as failure:
        group.fault("decisions in the EHR", failure.reason, "see the findings about streams")
        return
    if hold is None or not hold.held:
        group.ok("decisions in the EHR", "allowed")
        entry = await Bucket(bus, "reconciled").get(KEY)
        assess_watermark(group, Watermark.read(entry.value) if entry else Watermark())
        return
    fix = "countersign cases reimport; countersign audit verify; then countersign ehr-decisions allow"
    group.warning("decisions in the EHR", f"held since {hold.at:%Y-%m-%d %H:%M} UTC: {hold.why}", fix)


def assess_watermark(group: Group, mark: Watermark) -> None:
    """Assess how far the ended Tasks of the EHR have been read. Pure."""
    until = f"read up to {mark.seen:%Y-%m-%d %H:%M} UTC" if mark.seen else "none read yet"
    if mark.failed >= ALERT_AFTER_FAILURES:
        fix = "see the alerts `reconcile-failing`: decisions in the EHR are delayed"
        group.warning("Tasks in the EHR", f"the EHR could not be read {mark.failed} times; {until}", fix)
    elif mark.behind:
        group.warning("Tasks in the EHR", f"{until}, more remain", "wait: each run reads some of them")
    elif mark.seen:
        group.ok("Tasks in the EHR", until)


async def _knowledge(bus: NatsConnection, target: DoctorTarget, group: Group) -> None:
    """Check that the live version has its vectors."""
    try:
        live, _ = await LiveBucket(bus).live()
        if live is None:
            fix = "countersign knowledge refresh"
            group.warning("knowledge", "no version is live: drafts cite nothing", fix)
            return
        passages = await _passages(target, live.collection, live.version)
    except (CountersignError, CommandError, httpx.HTTPError, OSError) as error:
        message = f"the vectors cannot be counted ({type(error).__name__})"
        group.fault("knowledge", message, "check that Qdrant, or the stack with the vectors, runs")
        return
    if passages == 0:
        message = f"version {live.version} is live, but it has no vectors"
        group.fault(
            "knowledge", message, "run countersign restore, or embed it again: countersign knowledge refresh --full"
        )
        return
    pinned = f", pinned by {live.pin.by} since {live.pin.since:%Y-%m-%d}: {live.pin.reason}" if live.pin else ""
    group.ok("knowledge", f"version {live.version} is live, {passages} passages{pinned}")
    if live.relevance.origin == "default":
        fix = "add problems to the golden file, then: countersign knowledge refresh --evaluate-only"
        group.warning("relevance", f"version {live.version} has the default threshold: drafts cite little", fix)


async def _passages(target: DoctorTarget, collection: str, version: int) -> int:
    if target.base_url and not target.qdrant.url:  # only the process of an embedded stack can count its vectors
        call = Api(target.base_url, target.operator_token)
        try:
            return int((await call("GET", "/v1/knowledge"))["passages"])
        finally:
            await call.close()
    base = target.qdrant.connect()
    try:
        return await base.count(collection, version)
    finally:
        await base.close()
