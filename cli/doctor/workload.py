"""Check that work is done: consumers, dead letters, decisions in the EHR, checkpoints, the live knowledge base."""

from datetime import UTC, datetime

import httpx
from nats import errors
from nats.js.errors import APIError, NotFoundError

from cli.client import Api
from cli.doctor import census, checkpoints
from cli.doctor.spend import check_spend
from cli.doctor.target import DoctorTarget
from cli.errors import CommandError
from services.approval.ehr_tasks.hold import read_hold
from services.approval.ehr_tasks.reconciler import KEY
from services.approval.ehr_tasks.watermark import Watermark
from services.approval.health.rules import assess_dead_letters, assess_hold
from shared.contracts.errors import CountersignError
from shared.knowledge.live import LiveBucket
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection
from shared.messaging.dead_letters import read_all
from shared.messaging.topology import all_consumers
from shared.messaging.topology_model import Consumer
from shared.runtime.checks.consumers import ConsumerHealth, assess_consumers
from shared.runtime.checks.findings import Finding, Group
from shared.runtime.checks.knowledge import assess_knowledge


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


async def _dead_letters(bus: NatsConnection, group: Group) -> None:
    try:
        letters = [letter for letter, _, _ in (await read_all(bus)).values() if letter.waits]
    except CountersignError as failure:
        group.fault("dead letters", failure.reason, "see the findings about streams")
        return
    assess_dead_letters(group, [letter.consumer for letter in letters])


async def _ehr_decisions(bus: NatsConnection, group: Group) -> None:
    """Check that decisions in the EHR's own inbox are allowed."""
    try:
        hold, entry = await read_hold(bus), await Bucket(bus, "reconciled").get(KEY)
    except CountersignError as failure:
        group.fault("decisions in the EHR", failure.reason, "see the findings about streams")
        return
    assess_hold(group, hold, Watermark.read(entry.value) if entry else Watermark())


async def _knowledge(bus: NatsConnection, target: DoctorTarget, group: Group) -> None:
    """Check that the live version has its vectors."""
    try:
        live, _ = await LiveBucket(bus).live()
        passages = await _passages(target, live.collection, live.version) if live is not None else 0
    except (CountersignError, CommandError, httpx.HTTPError, OSError) as error:
        message = f"the vectors cannot be counted ({type(error).__name__})"
        group.fault("knowledge", message, "check that Qdrant, or the stack with the vectors, runs")
        return
    assess_knowledge(group, live, passages)


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
