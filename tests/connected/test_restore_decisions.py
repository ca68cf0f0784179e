"""After a restore: what we wrote into Tasks ourselves decides nothing, what was decided there waits for a word."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from cli.doctor.workload import _ehr_decisions
from services.approval.ehr_tasks.hold import read_hold
from shared.messaging.requests import DecisionHoldRequest, ask
from shared.runtime.checks.findings import Group
from tests.connected.test_ehr_task import all_heard, awaiting
from tests.support.backup import as_user, back_up, restore_backup
from tests.support.clinician import answer
from tests.support.ehr import sandbox
from tests.support.server import NatsServer
from tests.support.stack import running, until

pytestmark = [pytest.mark.connected, pytest.mark.system]

SOON = timedelta(milliseconds=300)


async def allow(server: NatsServer) -> None:
    async with as_user(server, "operator") as bus:
        request = DecisionHoldRequest(held=False, by="op", why="looked at")
        assert await ask(bus, "approval", "ehr-decisions", request) == "decisions in the EHR count"


async def reconciled(server: NatsServer, since: datetime) -> bool:
    """Whether the EHR was asked for decisions since then."""
    async with as_user(server, "admin") as bus:
        (entry,) = await bus.direct_get("KV_reconciled", {"last_by_subj": "$KV.reconciled.tasks"}) or [None]
        stored = entry and dict(entry.headers or {}).get("Nats-Time-Stamp", "")
        return bool(stored) and datetime.fromisoformat(str(stored)[:26] + "+00:00") > since


@pytest.mark.parametrize("decision", ["approve", "reject"])
async def test_a_task_that_we_completed_ourselves_decides_nothing(
    nats: NatsServer, empty: NatsServer, tmp_path: Path, decision: str
) -> None:
    """Signed with an edit, or refused, after the backup; also once a person has said that decisions count."""
    await nats.provision()
    ehr = sandbox()
    async with running(nats, ehr, reconcile_every=SOON) as stack:
        case_id, _ = await awaiting(stack)
        await back_up(nats, tmp_path / "backup")
        text = f"{(await stack.text(case_id)).rstrip()}\nSeen by the dietician.\n"
        sent = {"text": text} if decision == "approve" else {"action": "close", "reason": "no"}
        assert (await stack.decide(case_id, decision, **sent)).status_code == 200
        await stack.reaches(case_id, "filed" if decision == "approve" else "closed", events=6)
        (task,) = stack.in_chart("Task")
        assert task["status"] == "completed"
    nats.kill()
    await restore_backup(empty, tmp_path / "backup")
    async with running(empty, ehr, reconcile_every=SOON) as stack:
        await allow(empty)
        begun = datetime.now(UTC)
        await until(lambda: reconciled(empty, begun), "the EHR to be asked")
        await all_heard(stack)
        case = await stack.case(case_id)
        assert (case["state"], len(case["events"])) == ("awaiting-review", 4)


async def test_what_a_physician_decided_in_the_ehr_waits_until_somebody_says_that_it_counts(
    nats: NatsServer, empty: NatsServer, tmp_path: Path
) -> None:
    await nats.provision()
    ehr = sandbox()
    async with running(nats, ehr) as stack:
        case_id, task = await awaiting(stack)
    await back_up(nats, tmp_path / "backup")
    nats.kill()
    await restore_backup(empty, tmp_path / "backup")
    await answer(ehr, task["id"], "completed")
    async with running(empty, ehr, reconcile_every=SOON) as stack:
        async with as_user(empty, "operator") as bus:

            async def waits() -> bool:
                async with as_user(empty, "admin") as admin:
                    info = await admin.jetstream.consumer_info("EHR", "approval-ehr-task")
                    return bool(info.num_redelivered)

            await until(waits, "the decision to be heard and to wait")
            assert (await stack.case(case_id))["state"] == "awaiting-review"
            hold = await read_hold(bus)
            assert hold is not None
            assert (hold.held, hold.by) == (True, "restore")
        group = Group("work")
        async with as_user(empty, "admin") as bus:
            await _ehr_decisions(bus, group)
        (finding,) = group.found
        assert (finding.level, "ehr-decisions allow" in finding.do) == ("warning", True)
        await allow(empty)
        case = await stack.reaches(case_id, "filed")
        assert case["events"][4]["event"] == "approved"
