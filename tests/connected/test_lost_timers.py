"""A timer that was due while the disk was full: the server drops it, and it fires all the same."""

from datetime import UTC, datetime, timedelta

import pytest

from shared.messaging import lost_timers
from tests.support.backup import as_user, timers
from tests.support.ehr import sandbox
from tests.support.server import NatsServer
from tests.support.stack import running, until

pytestmark = pytest.mark.connected

ROOM, NO_ROOM = '"jetstream": "enabled"', '"jetstream": {"max_file": 1000, "max_mem": 0}'
SOON, LATER = timedelta(seconds=3), (timedelta(hours=1), timedelta(hours=2))
NOW = timedelta(milliseconds=500)


async def reconciles_on(server: NatsServer) -> bool:
    """Whether the chain of runs that ask the EHR goes on: its timer lies ahead, or has just fired."""
    async with as_user(server, "admin") as bus:
        (found,) = await bus.direct_get("TIMERS", {"last_by_subj": "timers.reconcile.tasks"}) or [None]
        due = found and dict(found.headers or {})["countersign-due"]
        return due is None or datetime.fromisoformat(due) > datetime.now(UTC) - NOW


async def test_what_was_due_while_the_disk_was_full_is_told_once_there_is_room(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lost_timers, "CHECK_INTERVAL", 0.2)
    monkeypatch.setattr(lost_timers, "GRACE_PERIOD", NOW)
    await nats.provision()
    async with running(nats, sandbox(), (SOON, *LATER), reconcile_every=NOW) as stack:
        case_id = await stack.discharge()
        await stack.reaches(case_id, "awaiting-review")
        (timer,) = await timers(nats, case_id)
        due = datetime.fromisoformat(timer["countersign-due"])
        nats.reload(lambda text: text.replace(ROOM, NO_ROOM))

        async def passed() -> bool:
            return datetime.now(UTC) > due + 2 * NOW

        await until(passed, "the timer to be due")
        (left,) = await timers(nats, case_id)
        assert left["countersign-due"] == timer["countersign-due"], "it did not fire: there is no room"
        assert "escalated" not in await stack.events(case_id)
        nats.reload(lambda text: text.replace(NO_ROOM, ROOM))

        async def told() -> bool:
            return "escalated" in await stack.events(case_id)

        await until(told, "the escalation")
        await until(lambda: reconciles_on(nats), "the EHR to be asked again")
        assert (await stack.events(case_id)).count("escalated") == 1
