"""Cases that have ended are looked at again: what an EHR commits late leaves one document and no open Task."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.approval.filing import late_write_check, resources
from services.approval.filing.late_write_check import due
from shared.contracts.retry import RetryPolicy
from shared.messaging import pull_subscriber
from shared.messaging.event_store import RawMessage
from shared.messaging.topology_model import Consumer
from tests.connected.test_ehr_task import alerts
from tests.connected.test_ehr_task_crash import Death
from tests.support import corrections
from tests.support import stack as stacks
from tests.support.ehr import sandbox, stays
from tests.support.server import NatsServer
from tests.support.stack import Stack, running, until
from tests.support.unreliable_ehr import UnreliableEhr

pytestmark = [pytest.mark.connected, pytest.mark.timeout(120)]

SOON = timedelta(milliseconds=300)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What failed comes back at once, what is of the dead soon; looks are due when they are wanted."""
    monkeypatch.setattr(RetryPolicy, "wait", lambda row, attempt: 0.05)
    monkeypatch.setattr(Consumer, "ack_wait", 1.5)
    monkeypatch.setattr(pull_subscriber, "STOP_TIMEOUT_S", 0.05)
    monkeypatch.setattr(late_write_check, "CHECK_DELAYS", (timedelta(0),))


@pytest.fixture
def ehr(monkeypatch: pytest.MonkeyPatch) -> UnreliableEhr:
    troubled = UnreliableEhr(sandbox(), deletes=True)
    monkeypatch.setattr(stacks, "client", lambda _: troubled.client)
    return troubled


@asynccontextmanager
async def looking(nats: NatsServer, ehr: UnreliableEhr) -> AsyncIterator[Stack]:
    async with running(nats, ehr.sandbox, reconcile_every=SOON) as stack:
        yield stack


def in_order(ehr: UnreliableEhr, case: dict[str, Any]) -> bool:
    current = [item["id"] for item in ehr.chart("DocumentReference") if item["status"] == "current"]
    ours = [item for item in ehr.chart("Provenance") if resources.chain_head_of(item)]
    tasks = {item["status"] for item in ehr.chart("Task")}
    return current == [case["document_reference"]] and len(ours) == 1 and tasks <= {"completed", "cancelled"}


async def filed(stack: Stack) -> tuple[str, dict[str, Any]]:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    assert (await stack.decide(case_id, "approve")).status_code == 200
    return case_id, await stack.reaches(case_id, "filed")


@contextmanager
def no_look_yet(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Looks are not due while the block runs: what comes after it is not looked at too early."""
    monkeypatch.setattr(late_write_check, "CHECK_DELAYS", (timedelta(days=1),))
    yield
    monkeypatch.setattr(late_write_check, "CHECK_DELAYS", (timedelta(0),))


async def gets_in_order(ehr: UnreliableEhr, case: dict[str, Any]) -> None:
    async def now() -> bool:
        return in_order(ehr, case)

    await until(now, "one document, one Provenance, no open Task")


@pytest.mark.parametrize("type", ["DocumentReference", "Provenance", "Task"])
async def test_what_is_committed_after_all_was_done_is_put_in_order(
    nats: NatsServer, ehr: UnreliableEhr, monkeypatch: pytest.MonkeyPatch, type: str
) -> None:
    await nats.provision()
    ehr.late.add(type)
    with no_look_yet(monkeypatch):
        async with looking(nats, ehr) as stack:
            _, case = await filed(stack)
            assert len(ehr.held) == 1
    await ehr.commit()
    assert not in_order(ehr, case)
    async with looking(nats, ehr) as stack:  # by another process
        await gets_in_order(ehr, case)


async def test_a_task_that_comes_after_its_case_was_withdrawn_is_called_off(
    nats: NatsServer, ehr: UnreliableEhr, monkeypatch: pytest.MonkeyPatch
) -> None:
    await nats.provision()
    ehr.late.add("Task")
    with no_look_yet(monkeypatch):
        async with looking(nats, ehr) as stack:
            case_id = await stack.discharge()
            await stack.reaches(case_id, "awaiting-review")
            sent = {"encounter_id": stays()[0], "department": "internal-medicine"}
            await stack.call("ingest", "POST", "/v1/encounters/discharge-cancelled", json=sent)
            await stack.reaches(case_id, "withdrawn")
    await ehr.commit()
    async with looking(nats, ehr):

        async def called_off() -> bool:
            return [item["status"] for item in ehr.chart("Task")] == ["cancelled"] * 2

        await until(called_off, "both Tasks to be cancelled")


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("subject", [".approved", ".filed"])
async def test_a_death_in_the_middle_of_a_filing_leaves_one_document_and_no_open_task(
    nats: NatsServer, ehr: UnreliableEhr, monkeypatch: pytest.MonkeyPatch, subject: str, *, after: bool
) -> None:
    await nats.provision()
    death = Death(monkeypatch, subject, after=after)
    ehr.late |= {"DocumentReference", "Provenance", "Task"}
    async with looking(nats, ehr) as stack:
        case_id = await stack.discharge()
        await stack.reaches(case_id, "awaiting-review")
        death.armed = True
        approving = asyncio.create_task(stack.decide(case_id, "approve"))
        await asyncio.wait_for(death.came.wait(), 20)
        approving.cancel()
    death.armed = False
    await ehr.commit()
    async with looking(nats, ehr) as stack:
        if (await stack.case(case_id))["state"] == "awaiting-review":  # the decision itself was lost
            await stack.decide(case_id, "approve")
        await gets_in_order(ehr, await stack.reaches(case_id, "filed"))


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("subject", ["$KV.reconciled.filed", "timers.reconcile"])
async def test_a_death_in_the_middle_of_a_look_loses_none(
    nats: NatsServer, ehr: UnreliableEhr, monkeypatch: pytest.MonkeyPatch, subject: str, *, after: bool
) -> None:
    await nats.provision()
    death = Death(monkeypatch, subject, after=after)
    ehr.late |= {"DocumentReference", "Provenance", "Task"}
    with no_look_yet(monkeypatch):
        async with looking(nats, ehr) as stack:
            _, case = await filed(stack)
    await ehr.commit()
    async with looking(nats, ehr):
        death.armed = True
        await asyncio.wait_for(death.came.wait(), 20)
    death.armed = False
    async with looking(nats, ehr):
        await gets_in_order(ehr, case)


async def test_a_provenance_that_cannot_be_deleted_is_told_and_holds_up_no_other_case(
    nats: NatsServer, ehr: UnreliableEhr, monkeypatch: pytest.MonkeyPatch
) -> None:
    await nats.provision()
    ehr.deletes = False
    ehr.late.add("Provenance")
    with no_look_yet(monkeypatch):
        async with looking(nats, ehr) as stack:
            await filed(stack)
    await ehr.commit()
    async with looking(nats, ehr) as stack:

        async def told() -> Any:
            return await alerts(stack, "chart-not-in-order")

        await until(told, "the alert")


async def test_an_ehr_that_is_away_is_waited_for(
    nats: NatsServer, ehr: UnreliableEhr, monkeypatch: pytest.MonkeyPatch
) -> None:
    await nats.provision()
    ehr.late.add("DocumentReference")
    with no_look_yet(monkeypatch):
        async with looking(nats, ehr) as stack:
            _, case = await filed(stack)
    ehr.refused = {(method, type): 503 for method in ("GET", "PUT") for type in ("DocumentReference", "Encounter")}
    await ehr.commit()
    asked = len(ehr.seen)
    async with looking(nats, ehr):

        async def tried_often() -> bool:
            tries = [item for item in ehr.seen[asked:] if item.url.path == "/fhir/DocumentReference"]
            return len(tries) > late_write_check.ALERT_AFTER_FAILURES + 1

        await until(tried_often, "several runs")
        assert not in_order(ehr, case)
        ehr.refused = {}
        await gets_in_order(ehr, case)


async def test_a_correction_that_is_committed_late_leaves_one_document(
    nats: NatsServer, ehr: UnreliableEhr, monkeypatch: pytest.MonkeyPatch
) -> None:
    await nats.provision()
    with no_look_yet(monkeypatch):
        async with looking(nats, ehr) as stack:
            case_id, first = await filed(stack)
            ehr.late |= {"DocumentReference", "Provenance"}
            await corrections.amend(stack, case_id)
            await ehr.commit()
            old = ehr.sandbox.store.get("DocumentReference", first["document_reference"])
            assert old is not None
            ehr.sandbox.store.put(old | {"status": "current"})  # by somebody whose write came late, too
            case = await stack.case(case_id)
    async with looking(nats, ehr):

        async def in_its_place() -> bool:
            standing = {item["id"]: item["status"] for item in ehr.chart("DocumentReference")}
            current = [id for id, status in standing.items() if status == "current"]
            ours = [item for item in ehr.chart("Provenance") if resources.chain_head_of(item)]
            replaced = standing[first["document_reference"]] == "superseded"
            return current == [case["document_reference"]] and replaced and len(ours) == 2

        await until(in_its_place, "the correction alone to be current")


async def test_a_late_copy_of_what_was_retracted_does_not_stay(
    nats: NatsServer, ehr: UnreliableEhr, monkeypatch: pytest.MonkeyPatch
) -> None:
    await nats.provision()
    ehr.late.add("DocumentReference")
    with no_look_yet(monkeypatch):
        async with looking(nats, ehr) as stack:
            case_id, _ = await filed(stack)
            await corrections.retract(stack, case_id)
            await ehr.commit()
    async with looking(nats, ehr) as stack:

        async def none_stands() -> bool:
            ended = "retraction-filed" in await stack.events(case_id)
            found = [item["status"] for item in ehr.chart("DocumentReference")]
            return ended and found == ["entered-in-error"] * 2

        await until(none_stands, "both copies to be in error")


def test_looks_are_due_in_the_order_of_the_trail() -> None:
    def ended(sequence: int, minute: int) -> RawMessage:
        time = datetime(2026, 11, 23, 9, minute, tzinfo=UTC)
        return RawMessage("discharge.d.c.filed", {"ce-time": time.isoformat()}, b"", sequence)

    page = [ended(1, 0), ended(2, 5), ended(3, 1)]
    until_ = datetime(2026, 11, 23, 9, 4, tzinfo=UTC)
    assert [item.sequence for item in due(page, until_)] == [1], "a clock that went back is waited for"
    assert due([], until_) == []
