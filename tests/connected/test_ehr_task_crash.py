"""Approval dies at any write that follows a decision in the EHR: the restart completes it, once."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from shared.contracts.errors import CountersignError
from shared.messaging import pull_subscriber
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.messaging.topology_model import Consumer
from tests.connected.test_ehr_task import alerts, all_heard, awaiting, decision, tell
from tests.support.clinician import answer
from tests.support.ehr import sandbox, stay_without_open_points
from tests.support.server import NatsServer
from tests.support.stack import running

pytestmark = [pytest.mark.connected, pytest.mark.system, pytest.mark.timeout(120)]

SOON = timedelta(milliseconds=300)


class Death:
    """Every write hangs from the `nth` to `subject` on, before or after it reached the server."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, subject: str, *, after: bool, nth: int = 1) -> None:
        self.subject = subject
        self.came = asyncio.Event()
        self._dead = False
        self._left = nth
        self.armed = False
        real = NatsConnection.publish

        async def publish(bus: NatsConnection, to: str, *args: Any, **sent: Any) -> Any:
            if self.armed and not self._dead and subject in to:
                self._left -= 1
                self._dead = self._left == 0
                if self._dead and after:
                    await self._last_write(real(bus, to, *args, **sent))
                if self._dead:
                    self.came.set()
            if self.armed and self._dead:
                return await asyncio.Event().wait()
            return await real(bus, to, *args, **sent)

        monkeypatch.setattr(NatsConnection, "publish", publish)

    async def _last_write(self, write: Any) -> None:
        """Make the write; one that the server refuses is not the last."""
        try:
            await write
        except (CountersignError, WrongSequenceError):
            self._dead, self._left = False, 1
            raise


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages of the dead come back soon, and nobody waits for their work."""
    monkeypatch.setattr(Consumer, "ack_wait", 1.5)
    monkeypatch.setattr(pull_subscriber, "STOP_TIMEOUT_S", 0.05)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("status", "subject", "end"),
    [
        ("completed", ".approved", "filed"),
        ("rejected", "$KV.artifacts", "closed"),
        ("rejected", ".rejected", "closed"),
        ("rejected", ".review-declined", "closed"),
    ],
)
async def test_a_death_between_reading_and_telling_leaves_one_decision(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch, status: str, subject: str, end: str, *, after: bool
) -> None:
    await nats.provision()
    ehr = sandbox()
    death = Death(monkeypatch, subject, after=after)
    async with running(nats, ehr) as stack:
        case_id, task = await awaiting(stack)
        await answer(ehr, task["id"], status)
        death.armed = True
        asyncio.get_running_loop().create_task(tell(stack, task["id"]))
        await asyncio.wait_for(death.came.wait(), 20)
    death.armed = False
    async with running(nats, ehr) as stack:
        await stack.reaches(case_id, end, events=6)
        await all_heard(stack)
        assert decision(await stack.case(case_id))["detail"]["channel"] == "ehr"
        kinds = await alerts(stack, "review-declined")
        assert len(kinds) == (1 if status == "rejected" else 0)


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("subject", ["timers.reconcile.tasks", "ehr.task.updated", "$KV.reconciled"])
async def test_a_death_in_the_middle_of_a_run_loses_no_decision_and_keeps_the_chain(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch, subject: str, *, after: bool
) -> None:
    await nats.provision()
    ehr = sandbox()
    death = Death(monkeypatch, subject, after=after)
    async with running(nats, ehr, reconcile_every=SOON) as stack:
        case_id, task = await awaiting(stack)
        death.armed = True
        await answer(ehr, task["id"], "completed")
        await asyncio.wait_for(death.came.wait(), 20)
    death.armed = False
    async with running(nats, ehr, reconcile_every=SOON) as stack:
        await stack.reaches(case_id, "filed")
        assert decision(await stack.case(case_id))["detail"]["channel"] == "ehr"
        another, task = await awaiting(stack, stay_without_open_points(stack.ehr, 1))  # the chain goes on
        await answer(ehr, task["id"], "completed")
        await stack.reaches(another, "filed")
