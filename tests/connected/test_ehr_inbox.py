"""Decisions that are taken in the EHR's own inbox: by event, by a search every few minutes, by both at once."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.approval.ehr_inbox import case_in, decision_of
from services.approval.resources import REVIEW_SYSTEM
from services.ingest.notifications import tasks_in
from shared.messaging.connection import Bus
from tests.connected.test_timers import review_task
from tests.support.ehr import client, sandbox
from tests.support.server import NatsServer
from tests.support.stack import Stack, running, until

pytestmark = pytest.mark.connected

SOON = timedelta(seconds=0.3)
NOBODY = {"resourceType": "Task", "status": "completed"}


@pytest.mark.parametrize(
    ("task", "decision"),
    [
        ({"status": "requested"}, None),
        ({"status": "in-progress"}, None),
        ({"status": "cancelled"}, None),
        ({"status": "completed"}, "approve"),
        ({"status": "completed", "businessStatus": {"text": "Declined"}}, "close"),
        ({"status": "completed", "output": [{"valueCode": "rejected-close"}]}, "close"),
        ({"status": "rejected"}, "close"),
        ({}, None),
    ],
)
def test_what_a_task_says(task: dict[str, Any], decision: str | None) -> None:
    assert decision_of(task) == decision


@pytest.mark.parametrize(
    ("value", "found"), [("c-1/2", ("c-1", 2)), ("c-1", None), ("c.>/1", None), ("/1", None), ("c/x", None)]
)
def test_whose_task_it_is(value: str, found: tuple[str, int] | None) -> None:
    assert case_in({"identifier": [{"system": REVIEW_SYSTEM, "value": value}]}) == found
    assert case_in({"identifier": [{"system": "other", "value": value}]}) is None


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"resourceType": "Task", "id": "t1"}, ["t1"]),
        ({"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Task", "id": "t2"}}]}, ["t2"]),
        (
            {"resourceType": "Bundle", "entry": [{"fullUrl": "https://ehr/fhir/Task/t3"}, {"fullUrl": "x/Patient/p"}]},
            ["t3"],
        ),
        (
            {
                "resourceType": "Bundle",
                "entry": [
                    {
                        "resource": {
                            "resourceType": "Parameters",
                            "parameter": [
                                {"name": "type", "valueCode": "event-notification"},
                                {
                                    "name": "notification-event",
                                    "part": [{"name": "focus", "valueReference": {"reference": "Task/t4"}}],
                                },
                            ],
                        }
                    }
                ],
            },
            ["t4"],
        ),
        ({"resourceType": "Bundle", "entry": None}, []),
        ({"resourceType": "Bundle", "entry": [1, {"resource": {"resourceType": "Task"}}, {"resource": 3}]}, ["None"]),
        ({"resourceType": "Task", "id": "a b"}, []),
    ],
)
def test_what_a_notification_names(body: dict[str, Any], found: list[str]) -> None:
    assert list(tasks_in(body)) == found


async def decided_in_the_ehr(stack: Stack, **change: Any) -> str:
    """Somebody changes the review's Task in the EHR; returns its id."""
    ehr = client(stack.ehr)
    task = await ehr.read("Task", review_task(stack)["id"])
    await ehr.update(task | {"lastModified": datetime.now(UTC).isoformat()} | change)
    await ehr.close()
    return str(task["id"])


async def notify(stack: Stack, task: str) -> httpx.Response:
    return await stack.call("ingest", "POST", "/v1/fhir/notifications", json={"resourceType": "Task", "id": task})


async def under_review(stack: Stack) -> str:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    return case_id


async def test_completed_in_the_ehr_is_signed_by_event(stack: Stack) -> None:
    case_id = await under_review(stack)
    task = await decided_in_the_ehr(stack, status="completed")
    assert (await notify(stack, task)).json() == {"tasks": 1}
    case = await stack.reaches(case_id, "filed")
    approved = next(event["detail"] for event in case["events"] if event["event"] == "approved")
    assert approved["by"] == {
        "subject": "ehr:Practitioner/DR-IM-006",
        "role": "physician",
        "practitioner": "Practitioner/DR-IM-006",
        "method": "ehr",
    }
    assert approved["signer"] == "Practitioner/DR-IM-006"
    await notify(stack, task)
    assert (await stack.events(case_id)).count("approved") == 1


async def test_rejected_in_the_ehr_is_a_refusal(stack: Stack) -> None:
    case_id = await under_review(stack)
    await notify(stack, await decided_in_the_ehr(stack, status="rejected", statusReason={"text": "I write it"}))
    await stack.reaches(case_id, "closed")
    assert stack.in_chart("DocumentReference") == []


async def test_an_ehr_that_cannot_notify_is_asked_in_one_search(nats: NatsServer) -> None:
    await nats.provision()
    ehr = sandbox()
    async with running(nats, ehr, reconcile_every=SOON) as stack:
        case_id = await under_review(stack)
        await decided_in_the_ehr(stack, status="completed")
        await stack.reaches(case_id, "filed")
    async with running(nats, ehr, reconcile_every=SOON) as stack:  # the chain of timers goes on, and there is one
        bus = await nats.connect("admin")

        async def one_waits() -> bool:
            info = await bus.jetstream.stream_info("TIMERS", subjects_filter="timers.>")
            return (info.state.subjects or {}) == {"timers.reconcile.ehr": 1}

        await until(one_waits, "one timer")
        await bus.close()


async def test_what_was_decided_while_we_were_down_is_found(nats: NatsServer) -> None:
    await nats.provision()
    ehr = sandbox()
    async with running(nats, ehr) as stack:
        case_id = await under_review(stack)
        task = await decided_in_the_ehr(stack, status="completed")
        assert task
    # Its timer is five minutes away: move it, as five minutes of downtime would.
    bus = await nats.connect("approval")
    waiting = (await bus.direct_get("TIMERS", {"last_by_subj": "timers.reconcile.ehr"}))[0]
    since = dict(waiting.headers or {})["countersign-since"]
    await fire(bus, since)
    await bus.close()
    async with running(nats, ehr) as stack:
        await stack.reaches(case_id, "filed")


async def fire(bus: Bus, since: str) -> None:
    from shared.messaging.timers import Timers

    now = datetime.now(UTC)
    await Timers(bus).set("timers.reconcile.ehr", "timers.due.reconcile.ehr", now, {"countersign-since": since})


async def test_both_ways_and_our_own_inbox_at_once_end_in_one_decision(nats: NatsServer) -> None:
    await nats.provision()
    async with running(nats, sandbox(), reconcile_every=SOON) as stack:
        case_id = await under_review(stack)
        task = await decided_in_the_ehr(stack, status="completed")
        await asyncio.gather(notify(stack, task), notify(stack, task), stack.decide(case_id, "approve"))
        await stack.reaches(case_id, "filed")
        assert (await stack.events(case_id)).count("approved") == 1
        assert len(stack.in_chart("DocumentReference")) == 1


async def test_a_stranger_who_completes_it_signs_nothing(stack: Stack) -> None:
    case_id = await under_review(stack)
    task = await decided_in_the_ehr(stack, status="completed", owner={"reference": "Practitioner/DR-IM-002"})
    await notify(stack, task)
    bus = await stack.server.connect("operator")

    async def told() -> Any:
        return await bus.direct_get("ALERTS", {"last_by_subj": "alert.warning.ehr-decision-refused"})

    await until(told, "the alert")
    await bus.close()
    assert (await stack.case(case_id))["state"] == "awaiting-review"


async def test_our_own_completion_is_no_second_decision(stack: Stack) -> None:
    case_id = await under_review(stack)
    await stack.decide(case_id, "approve")
    await stack.reaches(case_id, "filed")
    await notify(stack, review_task(stack)["id"])
    other = await stack.call("ingest", "POST", "/v1/fhir/notifications", json={"resourceType": "Patient"})
    assert other.status_code == 422
    assert (await stack.events(case_id)).count("approved") == 1
