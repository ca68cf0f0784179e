"""Approval dies between any two of its writes, to the bus or to the EHR: no escalation is lost, and none is doubled."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from services.approval.notifications import channels
from shared.clinical.fhir_client import FhirClient
from shared.messaging import pull_subscriber
from shared.messaging.connection import NatsConnection
from shared.messaging.topology_model import Consumer
from tests.connected.test_escalation import LEVELS, notices, told
from tests.connected.test_timers import timers_left
from tests.support.channels import channels as receivers
from tests.support.channels import write_directory
from tests.support.ehr import sandbox
from tests.support.server import NatsServer
from tests.support.stack import running, until

pytestmark = [pytest.mark.connected, pytest.mark.system, pytest.mark.timeout(180)]

SOON = (timedelta(seconds=0.4), timedelta(seconds=0.8), timedelta(seconds=1.2))
WRITES = (1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 13, 16, 19, 22, 24, 27)  # three escalations of this case write 29 times
OWN = ("timers.escalation.", "notify.", "notified.", "alert.", "discharge.")
OTHERS = (".discharged", ".context-extracted", ".drafted")


class Death:
    """Every write of approval hangs from the `at`-th on, before or after it was made: the process is no more."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, at: int) -> None:
        self._at = at
        self._count = 0
        self.armed = True
        self.came = asyncio.Event()
        self.begun = 0  # messages that were on their way to a channel
        publish, create, update, send = NatsConnection.publish, FhirClient.create, FhirClient.update, channels.send

        async def on_bus(bus: NatsConnection, subject: str, *args: Any, **sent: Any) -> Any:
            if not subject.startswith(OWN) or subject.endswith(OTHERS):
                return await publish(bus, subject, *args, **sent)
            return await self._write(lambda: publish(bus, subject, *args, **sent))

        async def on_create(ehr: FhirClient, resource: Any, **more: Any) -> Any:
            return await self._write(lambda: create(ehr, resource, **more))

        async def on_update(ehr: FhirClient, resource: Any, **more: Any) -> Any:
            return await self._write(lambda: update(ehr, resource, **more))

        def on_send(*message: Any) -> None:
            self.begun += 1
            send(*message)

        monkeypatch.setattr(channels, "send", on_send)
        monkeypatch.setattr(NatsConnection, "publish", on_bus)
        monkeypatch.setattr(FhirClient, "create", on_create)
        monkeypatch.setattr(FhirClient, "update", on_update)

    async def _write(self, real: Callable[[], Awaitable[Any]]) -> Any:
        if not self.armed:
            return await real()
        self._count += 1
        if self._count < self._at:
            return await real()
        if self._count == self._at and self._at % 2:
            await real()
        self.came.set()
        return await asyncio.Event().wait()


@pytest.mark.parametrize("at", WRITES)
async def test_a_death_anywhere_tells_everybody_once(
    nats: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(Consumer, "ack_wait", 1.5)  # messages of the dead come back soon
    monkeypatch.setattr(pull_subscriber, "STOP_TIMEOUT_S", 0.05)
    await nats.provision()
    ehr, death = sandbox(), Death(monkeypatch, at)
    with receivers() as (mailbox, webhook):
        file = write_directory(tmp_path / "directory.yaml", mailbox.address, webhook.address)
        async with running(nats, ehr, SOON, directory=file) as stack:
            case_id = await stack.discharge()
            await asyncio.wait_for(death.came.wait(), 30)
        death.armed = False
        unproven = death.begun - len(await notices(nats, "notified.>"))
        async with running(nats, ehr, SOON, directory=file) as stack:
            await stack.reaches(case_id, "awaiting-review", events=7)

            async def everything() -> bool:
                owner = [item["owner"]["reference"] for item in stack.in_chart("Task") if "partOf" not in item]
                receipts = len(await notices(nats, "notified.>"))
                return receipts == 6 and len(told(stack)) == 4 and owner == ["Practitioner/boss"]

            await until(everything, "all six messages and all four Tasks")

            async def no_timer() -> bool:
                return await timers_left(nats) == 0

            await until(no_timer, "the timers to be dealt with")
            assert (await stack.events(case_id)).count("escalated") == 3
        sent = Counter(mailbox.subjects + [str(post["title"]) for post in webhook.posts])
        assert set(sent) == set(LEVELS)
        assert all(count >= 2 for count in sent.values())
        # What may double, and nothing else: messages that were on their way when it died, without a receipt yet.
        assert sent.total() <= 6 + unproven


@pytest.mark.parametrize("at", [1, 2, 3, 4, 5])  # a reassignment writes four times, then its clock fires
async def test_a_death_in_a_reassignment_leaves_one_clock_that_runs(
    nats: NatsServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    monkeypatch.setattr(Consumer, "ack_wait", 1.5)
    monkeypatch.setattr(pull_subscriber, "STOP_TIMEOUT_S", 0.05)
    times = (timedelta(seconds=1), timedelta(hours=1), timedelta(hours=2))
    await nats.provision()
    ehr, death = sandbox(), Death(monkeypatch, at)
    death.armed = False
    with receivers() as (mailbox, _):
        file = write_directory(tmp_path / "directory.yaml", mailbox.address)
        sent = {"to": "Practitioner/DR-IM-002", "reason": "I am on leave."}
        async with running(nats, ehr, times, directory=file) as stack:
            case_id = await stack.discharge()
            await stack.reaches(case_id, "awaiting-review", events=5)

            async def told_once() -> bool:
                return len(told(stack)) == 1 and len(await notices(nats, "notified.>")) == 1

            await until(told_once, "the first escalation")
            death.armed = True
            call = asyncio.create_task(stack.call("supervisor", "POST", f"/v1/reviews/{case_id}/reassign", json=sent))
            await asyncio.wait_for(death.came.wait(), 30)
            call.cancel()
        death.armed = False
        async with running(nats, ehr, times, directory=file) as stack:
            await stack.reaches(case_id, "awaiting-review", events=7)

            async def one_clock() -> bool:
                statuses = sorted(item["status"] for item in told(stack))
                owners = {item["owner"]["reference"] for item in stack.in_chart("Task") if "partOf" not in item}
                there = statuses == ["cancelled", "requested"] and owners == {"Practitioner/DR-IM-002"}
                return there and await timers_left(nats) == 1

            await until(one_clock, "one clock, with its Tasks")
            names = await stack.events(case_id)
            assert names[4:] == ["escalated", "reassigned", "escalated"]
