"""Escalation timers: NATS delivers them at their time, once, through restarts, and not after a decision."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.contracts.subjects import CaseRef
from shared.messaging.timers import Timers
from tests.support.ehr import sandbox
from tests.support.server import NatsServer
from tests.support.stack import Stack, running, until

pytestmark = pytest.mark.connected

SOON = (timedelta(seconds=0.5), timedelta(seconds=1), timedelta(seconds=1.5))
SLOWEST = 1.0  # seconds an escalation may come late on a busy machine


async def timers_left(server: NatsServer) -> int:
    """Timers of cases, waiting or fired."""
    bus = await server.connect("admin")
    info = await bus.jetstream.stream_info("TIMERS", subjects_filter="timers.>")
    await bus.close()
    return sum(count for subject, count in (info.state.subjects or {}).items() if ".escalation." in subject)


def review_task(stack: Stack) -> dict[str, Any]:
    """The review's own Task, not those of its escalations."""
    (task,) = [item for item in stack.in_chart("Task") if "partOf" not in item]
    return task


async def test_nobody_decides_the_supervisor_is_told_twice_and_takes_over(nats: NatsServer) -> None:
    await nats.provision()
    async with running(nats, sandbox(), SOON) as stack:
        case_id = await stack.discharge()
        case = await stack.reaches(case_id, "awaiting-review", events=7)
        assert [event["event"] for event in case["events"][4:]] == ["escalated"] * 3
        asked = datetime.fromisoformat(case["events"][3]["time"])
        for event, wait in zip(case["events"][4:], SOON, strict=True):
            late = datetime.fromisoformat(event["time"]) - asked - wait
            assert timedelta(seconds=-0.1) < late < timedelta(seconds=SLOWEST)
        assert case["owner"] == "Practitioner/boss"
        assert [event["detail"].get("owner") for event in case["events"][4:]] == [None, None, "Practitioner/boss"]

        async def taken_over() -> Any:
            return review_task(stack)["owner"]["reference"] == "Practitioner/boss"

        await until(taken_over, "the Task's owner")
        listed = (await stack.call("supervisor", "GET", "/v1/reviews")).json()["items"]
        assert [(item["level"], item["owner"]) for item in listed] == [(3, "Practitioner/boss")]
        assert (await stack.decide(case_id, "approve", role="supervisor")).status_code == 200
        await stack.reaches(case_id, "filed")
        assert await timers_left(nats) == 0


async def test_a_decision_stops_the_clock(stack: Stack) -> None:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    assert await timers_left(stack.server) == 1
    await stack.decide(case_id, "approve")
    await stack.reaches(case_id, "filed")
    assert await timers_left(stack.server) == 0


async def test_a_fired_timer_after_the_decision_says_nothing(nats: NatsServer) -> None:
    await nats.provision()
    async with running(nats, sandbox()) as stack:
        case_id = await stack.discharge()
        case = await stack.reaches(case_id, "awaiting-review")
        await stack.decide(case_id, "approve")
        await stack.reaches(case_id, "filed")
        bus = await nats.connect("approval")
        late = datetime.now(UTC) - timedelta(seconds=1)
        await Timers(bus).schedule(CaseRef(case["department"], case_id), "review", 1, late)

        async def dealt_with() -> bool:
            return await timers_left(nats) == 0

        await until(dealt_with, "the timer to be dealt with")
        await bus.close()
        assert "escalated" not in await stack.events(case_id)


async def test_timers_outlive_a_killed_server_and_stopped_services_and_each_level_is_told_once(
    nats: NatsServer,
) -> None:
    await nats.provision()
    ehr = sandbox()
    async with running(nats, ehr, SOON) as stack:
        case_id = await stack.discharge()
        await stack.reaches(case_id, "awaiting-review")
    nats.kill()
    await asyncio.to_thread(nats.start)
    # Down for long enough that all three are due: they come at once, and are told in their order.
    async with running(nats, ehr, SOON) as stack:
        case = await stack.reaches(case_id, "awaiting-review", events=7)
        assert [event["detail"]["level"] for event in case["events"][4:]] == [1, 2, 3]

        async def none_left() -> bool:
            return await timers_left(nats) == 0

        await until(none_left, "all timers to be dealt with")
        assert (await stack.events(case_id)).count("escalated") == 3


async def test_services_go_on_when_the_server_comes_back(stack: Stack) -> None:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    assert (await stack.http.get("/readyz")).status_code == 200
    stack.server.kill()

    async def not_ready() -> bool:
        response = await stack.http.get("/readyz")
        return response.status_code == 503 and "nats" in response.json()["not_answering"]

    await until(not_ready, "readiness to say so")
    refused = await stack.call("auditor", "GET", f"/v1/cases/{case_id}")
    assert refused.status_code == 503
    assert refused.headers["content-type"] == "application/problem+json"
    await asyncio.to_thread(stack.server.start)

    async def ready() -> bool:
        return (await stack.http.get("/readyz")).status_code == 200

    await until(ready, "the services to be connected again")
    assert (await stack.decide(case_id, "approve")).status_code == 200
    await stack.reaches(case_id, "filed")
