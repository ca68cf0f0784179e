"""Least rights, as the real server enforces them."""

import asyncio

import pytest
from nats import errors
from nats.js.errors import APIError

from shared.contracts.errors import CountersignError, ErasedError
from shared.messaging.artifacts import Artifacts
from tests.support.server import NatsServer
from tests.support.stack import Stack

pytestmark = pytest.mark.connected

REFUSED = [
    ("ingest", "discharge.x.c1.approved", "DISCHARGE"),
    ("drafter", "discharge.x.c1.approved", "DISCHARGE"),
    ("drafter", "discharge.x.c1.filed", "DISCHARGE"),
    ("auditor", "discharge.x.c1.withdrawn", "DISCHARGE"),
    ("operator", "discharge.x.c1.filed", "DISCHARGE"),
    ("ingest", "$KV.artifacts.x", "KV_artifacts"),
    ("drafter", "timers.escalation.c1.1", "TIMERS"),
    ("ingest", "$KV.keys.c1.0", "KV_keys"),
    ("evaluator", "$KV.keys.c1.0", "KV_keys"),
    ("operator", "$KV.keys.c1.0", "KV_keys"),
    ("drafter", "discharge.x.c1.erasure-ordered", "DISCHARGE"),
    ("operator", "discharge.x.c1.erasure-ordered", "DISCHARGE"),
    ("operator", "discharge.x.c1.hold-released", "DISCHARGE"),
    ("embedder", "discharge.x.c1.approved", "DISCHARGE"),
    ("embedder", "knowledge.all.r1.promoted", "KNOWLEDGE"),
    ("embedder", "$KV.live.knowledge", "KV_live"),
    ("evaluator", "discharge.x.c1.drafted", "DISCHARGE"),
    ("evaluator", "knowledge.all.r1.batch-ready.1", "KNOWLEDGE"),
    ("evaluator", "$KV.artifacts.x", "KV_artifacts"),
    ("ingest", "$KV.live.knowledge", "KV_live"),
    ("ingest", "$KV.live.move.1", "KV_live"),
    ("embedder", "$KV.live.documents.1.1", "KV_live"),
    ("embedder", "$KV.live.move.1", "KV_live"),
    ("drafter", "knowledge.all.r1.requested", "KNOWLEDGE"),
    ("approval", "knowledge.all.r1.requested", "KNOWLEDGE"),
    ("evaluator", "$KV.live.refreshes", "KV_live"),
    ("approval", "knowledge.all.r1.promoted", "KNOWLEDGE"),
    ("drafter", "notify.c1.e1.k1", "NOTIFY"),
    ("ingest", "notified.c1.e1.k1", "NOTIFY"),
    ("auditor", "notify.c1.e1.k1", "NOTIFY"),
    ("operator", "notified.c1.e1.k1", "NOTIFY"),
    ("drafter", "ehr.task.updated.t1", "EHR"),
    ("evaluator", "ehr.task.updated.t1", "EHR"),
    ("approval", "ehr.encounter.discharged.x.e1", "EHR"),
    ("ingest", "timers.reconcile.tasks", "TIMERS"),
    ("ingest", "$KV.reconciled.tasks", "KV_reconciled"),
    ("drafter", "$KV.reviews.inbox", "KV_reviews"),
    ("drafter", "$KV.renditions.x", "KV_renditions"),
    ("ingest", "$KV.department.absences.x", "KV_department"),
    ("operator", "$KV.department.absences.x", "KV_department"),
    ("ingest", "$KV.golden.revision.1", "KV_golden"),
    ("approval", "$KV.usage.day.cloud.2026-11-29", "KV_usage"),
    ("drafter", "drafters.discharge-summary.promoted", "DRAFTERS"),
    ("evaluator", "drafters.discharge-summary.declared", "DRAFTERS"),
    ("approval", "drafters.discharge-summary.promoted", "DRAFTERS"),
    ("operator", "drafters.discharge-summary.promoted", "DRAFTERS"),
    ("auditor", "$KV.drafters.x", "KV_drafters"),
    ("evaluator", "evaluations.e1.drafts-kept.1", "EVALUATIONS"),
    ("approval", "evaluations.e1.drafts-kept.1", "EVALUATIONS"),
    ("drafter", "evaluations.e1.requested", "EVALUATIONS"),
    ("evaluator", "access.viewed.c1", "ACCESS"),
]
ALLOWED = [
    ("ingest", "ehr.task.updated.t1", "EHR"),
    ("approval", "ehr.task.updated.t1", "EHR"),
    ("approval", "timers.reconcile.tasks", "TIMERS"),
    ("approval", "$KV.reconciled.tasks", "KV_reconciled"),
    ("approval", "$KV.reviews.inbox", "KV_reviews"),
    ("approval", "$KV.renditions.x", "KV_renditions"),
    ("approval", "$KV.department.absences.x", "KV_department"),
    ("drafter", "$KV.usage.day.cloud.2026-11-29", "KV_usage"),
    ("drafter", "drafters.discharge-summary.declared", "DRAFTERS"),
    ("evaluator", "drafters.discharge-summary.promoted", "DRAFTERS"),
    ("drafter", "evaluations.e1.drafts-kept.1", "EVALUATIONS"),
    ("evaluator", "$KV.drafters.x", "KV_drafters"),
    ("ingest", "ehr.encounter.other.x.e1", "EHR"),
    ("drafter", "$KV.artifacts.x", "KV_artifacts"),
    ("drafter", "$KV.keys.c1.0", "KV_keys"),
    ("approval", "discharge.x.c1.erasure-ordered", "DISCHARGE"),
    ("approval", "timers.escalation.c1.1", "TIMERS"),
    ("approval", "notify.c1.e1.k1", "NOTIFY"),
    ("approval", "notified.c1.e1.k1", "NOTIFY"),
    ("embedder", "knowledge.all.r1.batch-indexed.1", "KNOWLEDGE"),
    ("evaluator", "$KV.live.knowledge", "KV_live"),
    ("evaluator", "$KV.live.move.1", "KV_live"),
    ("evaluator", "$KV.live.documents.1.1", "KV_live"),
    ("evaluator", "$KV.golden.revision.1", "KV_golden"),
    ("evaluator", "knowledge.all.r1.requested", "KNOWLEDGE"),
]


@pytest.mark.parametrize(("user", "subject", "stream"), REFUSED)
async def test_nobody_may_write_what_is_not_theirs(
    nats: NatsServer, user: str, subject: str, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.messaging.connection.REQUEST_TIMEOUT", 0.3)
    await nats.provision()
    bus = await nats.connect(user)
    with pytest.raises(CountersignError):
        await bus.publish(subject, b"x", stream=stream)
    await bus.close()
    admin = await nats.connect("admin")
    assert (await admin.jetstream.stream_info(stream)).state.messages == 0
    await admin.close()


@pytest.mark.parametrize(("user", "subject", "stream"), ALLOWED)
async def test_everybody_may_write_what_is_theirs(nats: NatsServer, user: str, subject: str, stream: str) -> None:
    await nats.provision()
    bus = await nats.connect(user)
    assert (await bus.publish(subject, b"x", stream=stream)).seq == 1
    await bus.close()


async def test_the_trail_can_be_neither_purged_nor_deleted(stack: Stack) -> None:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    admin = await stack.server.connect("admin")
    with pytest.raises(Exception, match=r"purge|denied|not permitted"):
        await admin.jetstream.purge_stream("DISCHARGE")
    with pytest.raises(Exception, match=r"delete|denied|not permitted"):
        await admin.jetstream.delete_msg("DISCHARGE", 1)
    await admin.close()


USERS = ("ingest", "drafter", "embedder", "evaluator", "auditor", "operator", "backup")


async def test_nobody_but_approval_may_destroy_keys_or_texts(nats: NatsServer) -> None:
    await nats.provision()
    approval = await nats.connect("approval")
    texts = Artifacts(approval)
    key = await texts.of("c1", 1).put(b"text")
    others = await asyncio.gather(*map(nats.connect, USERS))
    attempts = []
    for jetstream in (other.client.jetstream(timeout=0.5) for other in others):
        attempts += [jetstream.delete_msg(stream, 1) for stream in ("KV_keys", "KV_artifacts")]
        attempts += [jetstream.purge_stream(stream) for stream in ("KV_keys", "KV_artifacts")]
    answers = await asyncio.gather(*attempts, return_exceptions=True)
    assert [answer for answer in answers if not isinstance(answer, errors.Error | APIError)] == []
    assert await Artifacts(approval).of("c1").get(key) == b"text"
    await texts.erase_case("c1", 2, [key])
    with pytest.raises(ErasedError):
        await texts.of("c1").get(key)
    await asyncio.gather(*(bus.close() for bus in (approval, *others)))
