"""The EHR's own inbox: it shows what was opened, and what is decided there is decided, once, whoever tells of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from sandbox_ehr.faults import Fault
from shared.contracts.ehr import TaskChanged
from shared.messaging.connection import NatsConnection
from shared.messaging.ehr_publisher import publish_task_changed
from tests.support.clinician import answer, open_task, subscribe
from tests.support.ehr import sandbox, stay_without_open_points, stays
from tests.support.server import NatsServer
from tests.support.stack import Stack, running, until

pytestmark = pytest.mark.connected

SOON = timedelta(milliseconds=300)


async def awaiting(stack: Stack, encounter: str | None = None, *, opened: bool = True) -> tuple[str, dict[str, Any]]:
    """A case that waits for its physician, who has opened the draft, and its Task. Nothing of it is to be settled."""
    case_id = await stack.discharge(encounter or stay_without_open_points(stack.ehr))
    await stack.reaches(case_id, "awaiting-review")
    if opened:
        await stack.review(case_id)
    return case_id, open_task(stack.ehr)


async def alerts(stack: Stack, kind: str) -> list[dict[str, Any]]:
    bus = await stack.server.connect("operator")
    found = await bus.direct_get("ALERTS", {"seq": 1, "next_by_subj": f"alert.*.{kind}", "batch": 100})
    await bus.close()
    return [json.loads(item.data) for item in found]


async def told_of(stack: Stack, kind: str) -> dict[str, Any]:
    (found,) = await until(lambda: alerts(stack, kind), f"the alert {kind}")
    return dict(found)


async def tell(stack: Stack, *tasks: str) -> None:
    """As an integration engine would, without a version: every one of them counts."""
    bus = await stack.server.connect("ingest")
    for number, task in enumerate(tasks):
        await publish_task_changed(bus, TaskChanged(task_id=task), source="test", id=f"{task}-{number}")
    await bus.close()


async def all_heard(stack: Stack) -> None:
    """Wait until approval has nothing more to hear."""
    bus = await stack.server.connect("admin")

    async def idle() -> bool:
        info = await bus.jetstream.consumer_info("EHR", "approval-ehr-task")
        return info.num_pending == 0 and info.num_ack_pending == 0

    await until(idle, "approval to have heard everything")
    await bus.close()


def decision(case: dict[str, Any]) -> dict[str, Any]:
    (found,) = [event for event in case["events"] if event["event"] in ("approved", "rejected")]
    return dict(found)


@pytest.fixture
async def told(stack: Stack) -> AsyncIterator[Stack]:
    """A stack that the EHR tells of every Task that has ended."""
    subscribe(stack)
    yield stack
    stack.ehr.subscriber = None


async def test_a_task_completed_in_the_ehr_is_a_signature(told: Stack) -> None:
    case_id, task = await awaiting(told)
    draft = (await told.review(case_id))["draft"]
    await answer(told.ehr, task["id"], "completed")
    case = await told.reaches(case_id, "filed")
    found = decision(case)
    assert found["event"] == "approved"
    assert found["detail"]["channel"] == "ehr"
    assert found["detail"]["signer"] == task["owner"]["reference"] == found["detail"]["by"]["practitioner"]
    assert found["detail"]["draft"]["digest"] == draft["digest"]
    (document,) = told.in_chart("DocumentReference")
    assert document["authenticator"] == task["owner"]
    await all_heard(told)
    assert await alerts(told, "*") == []


async def test_what_our_own_inbox_decides_is_no_decision_of_the_ehrs(told: Stack) -> None:
    case_id, _ = await awaiting(told)
    await told.decide(case_id, "reject", action="redraft", reason="Mention the stairs.")
    await told.reaches(case_id, "awaiting-review", events=8)
    await told.decide(case_id, "approve")
    case = await told.reaches(case_id, "filed")
    await all_heard(told)
    taken = [event["detail"]["channel"] for event in case["events"] if event["event"] in ("approved", "rejected")]
    assert taken == ["api", "api"]
    assert await alerts(told, "*") == []


async def test_a_refusal_in_the_ehr_brings_another_draft_with_the_physicians_words(told: Stack) -> None:
    case_id, task = await awaiting(told)
    await answer(told.ehr, task["id"], "completed", "rejected-redraft", statusReason={"text": "Mention the stairs."})
    case = await told.reaches(case_id, "awaiting-review", events=8)
    assert decision(case)["detail"]["action"] == "redraft"
    assert "Mention the stairs." in told.generator.prompts[-1]
    (point,) = (await told.review(case_id))["draft"]["open_points"]
    assert "Your words went to the model" in point["text"]
    assert (await told.decide(case_id, "approve")).status_code == 200
    await told.reaches(case_id, "filed")
    await all_heard(told)
    assert await alerts(told, "*") == []


async def test_a_task_that_is_declined_ends_the_case_and_a_person_is_told(told: Stack) -> None:
    case_id, task = await awaiting(told)
    await answer(told.ehr, task["id"], "rejected", statusReason={"text": "I write it myself."})
    case = await told.reaches(case_id, "closed", events=6)
    assert (decision(case)["detail"]["action"], decision(case)["detail"]["channel"]) == ("close", "ehr")
    assert (await told_of(told, "review-declined"))["case"] == case_id
    assert told.in_chart("DocumentReference") == []


@pytest.mark.parametrize(
    ("status", "changes", "why"),
    [
        ("completed", {"input": [{"type": {"text": "draft sha-256"}, "valueString": "f" * 64}]}, "stale"),
        ("completed", {"focus": {"reference": "Encounter/another"}}, "stale"),
        ("completed", {"owner": {"display": "Supervisor of cardiology"}}, "nobody-known"),
        ("completed", {"businessStatus": {"text": "Refused"}}, "unclear"),
        ("cancelled", {}, "gone"),
    ],
)
async def test_what_is_no_decision_changes_nothing_and_a_person_is_told(
    told: Stack, status: str, changes: dict[str, Any], why: str
) -> None:
    case_id, task = await awaiting(told)
    await answer(told.ehr, task["id"], status, **changes)
    found = await told_of(told, "ehr-decision-not-taken")
    assert (found["case"], found["task"], found["why"]) == (case_id, task["id"], why)
    await tell(told, task["id"], task["id"])
    await all_heard(told)
    assert len(await alerts(told, "ehr-decision-not-taken")) == 1
    assert (await told.case(case_id))["state"] == "awaiting-review"
    assert (await told.decide(case_id, "approve")).status_code == 200
    await told.reaches(case_id, "filed")


async def test_a_draft_composed_without_a_model_is_signed_by_completing_the_task(told: Stack) -> None:
    told.generator.text = "banana " * 50
    case_id, task = await awaiting(told)
    await answer(told.ehr, task["id"], "completed")
    await told.reaches(case_id, "filed")


async def reason_of_return(stack: Stack) -> str:
    """Why the Task waits in the EHR's inbox again, as it says itself."""

    async def back() -> Any:
        tasks = [task for task in stack.in_chart("Task") if task["status"] == "in-progress"]
        return tasks and tasks[0].get("statusReason")

    return str((await until(back, "the Task to wait again"))["text"])


async def test_a_draft_that_nobody_opened_is_not_signed_by_completing_the_task(told: Stack) -> None:
    case_id, task = await awaiting(told, opened=False)
    await answer(told.ehr, task["id"], "completed")
    assert (await told_of(told, "ehr-decision-not-taken"))["why"] == "unopened"
    assert "has not been opened" in await reason_of_return(told)
    await all_heard(told)
    assert (await told.case(case_id))["state"] == "awaiting-review"
    await told.review(case_id)
    await answer(told.ehr, task["id"], "completed")
    await told.reaches(case_id, "filed")


async def test_somebody_elses_look_is_not_the_signers(told: Stack) -> None:
    case_id, task = await awaiting(told, opened=False)
    await told.call("supervisor", "GET", f"/v1/reviews/{case_id}")
    await answer(told.ehr, task["id"], "completed")
    assert (await told_of(told, "ehr-decision-not-taken"))["why"] == "unopened"


async def test_what_is_to_be_settled_is_not_signed_by_completing_the_task(told: Stack) -> None:
    case_id, task = await awaiting(told, stays()[2])
    await answer(told.ehr, task["id"], "completed")
    assert (await told_of(told, "ehr-decision-not-taken"))["why"] == "unresolved"
    assert "open points" in await reason_of_return(told)
    assert (await told.decide(case_id, "approve")).status_code == 200
    await told.reaches(case_id, "filed")


async def test_an_ehr_that_keeps_an_ended_task_leaves_the_review_to_our_inbox(told: Stack) -> None:
    case_id, task = await awaiting(told, opened=False)
    await answer(told.ehr, task["id"], "completed")
    told.ehr.faults.armed.append(Fault(kind="status", type="Task", method="PUT", status=422))
    assert (await told_of(told, "ehr-decision-not-taken"))["why"] == "unopened"
    await all_heard(told)
    assert (await told.decide(case_id, "approve")).status_code == 200
    await told.reaches(case_id, "filed")


async def test_where_the_ehr_shows_the_draft_nobody_has_to_open_our_page(nats: NatsServer) -> None:
    await nats.provision()
    async with running(nats, sandbox(), ehr_shows_draft=True) as stack:
        case_id, task = await awaiting(stack, opened=False)
        await answer(stack.ehr, task["id"], "completed")
        await tell(stack, task["id"])
        await stack.reaches(case_id, "filed")


async def test_the_last_to_change_the_task_signs_where_the_ehr_says_who_it_was(told: Stack) -> None:
    case_id, task = await awaiting(told)
    await told.call("supervisor", "GET", f"/v1/reviews/{case_id}")
    told.ehr.subscriber = None
    done = await answer(told.ehr, task["id"], "completed")
    by = {"reference": "Practitioner/boss"}
    told.ehr.store.put(provenance("p1", task["id"], done["meta"]["lastUpdated"], by))
    await tell(told, task["id"])
    case = await told.reaches(case_id, "filed")
    assert decision(case)["detail"]["signer"] == "Practitioner/boss", "the department's supervisor"


async def test_whoever_the_review_does_not_belong_to_does_not_sign_it(told: Stack) -> None:
    case_id, task = await awaiting(told)
    told.ehr.subscriber = None
    done = await answer(told.ehr, task["id"], "completed")
    told.ehr.store.put(provenance("p1", task["id"], done["meta"]["lastUpdated"], {"reference": "Practitioner/nurse"}))
    await tell(told, task["id"])
    assert (await told_of(told, "ehr-decision-not-taken"))["why"] == "forbidden"
    assert (await told.case(case_id))["state"] == "awaiting-review"


def provenance(id: str, task: str, recorded: str, who: dict[str, str]) -> dict[str, Any]:
    return {
        "resourceType": "Provenance",
        "id": id,
        "meta": {"versionId": "1", "lastUpdated": recorded},
        "target": [{"reference": f"Task/{task}"}],
        "recorded": recorded,
        "agent": [{"who": who}],
    }


async def test_a_discharge_that_was_taken_back_is_not_signed_in_the_ehr_either(told: Stack) -> None:
    case_id, task = await awaiting(told)
    encounter = told.ehr.store.get("Encounter", task["focus"]["reference"].removeprefix("Encounter/"))
    assert encounter is not None
    told.ehr.store.put(encounter | {"status": "in-progress"})
    await answer(told.ehr, task["id"], "completed")
    await told.reaches(case_id, "withdrawn")
    await all_heard(told)
    assert "approved" not in await told.events(case_id)


async def test_a_look_at_the_draft_shows_in_the_ehr(stack: Stack) -> None:
    case_id, task = await awaiting(stack, opened=False)
    stack.ehr.faults.armed.append(Fault(kind="status", type="Task", method="PUT", status=503))

    async def begun() -> bool:
        return bool(open_task(stack.ehr)["status"] == "in-progress")

    await stack.review(case_id)
    await stack.review(case_id)
    await until(begun, "the Task to be in progress")
    version = (open_task(stack.ehr)["meta"]["versionId"], task["meta"]["versionId"])
    assert version == ("2", "1"), "once, however often it is looked at"


async def test_a_look_after_the_decision_does_not_reopen_the_task(stack: Stack) -> None:
    case_id, task = await awaiting(stack)
    await stack.decide(case_id, "approve")
    await stack.reaches(case_id, "filed")
    await stack.review(case_id)
    bus = await stack.server.connect("admin")

    async def idle() -> bool:
        info = await bus.jetstream.consumer_info("ACCESS", "approval-opened")
        return info.num_pending == 0 and info.num_ack_pending == 0

    await until(idle, "every look to be dealt with")
    await bus.close()
    stored = stack.ehr.store.get("Task", task["id"])
    assert stored is not None
    assert stored["status"] == "completed"


async def test_a_stay_that_is_discharged_again_has_a_new_task(told: Stack) -> None:
    case_id, first = await awaiting(told)
    sent = {"encounter_id": first["focus"]["reference"].removeprefix("Encounter/"), "department": "internal-medicine"}
    await told.call("ingest", "POST", "/v1/encounters/discharge-cancelled", json=sent)
    await told.reaches(case_id, "withdrawn")

    async def cancelled() -> bool:
        return [task["status"] for task in told.in_chart("Task")] == ["cancelled"]

    await until(cancelled, "the Task to be cancelled")
    _, second = await awaiting(told)
    assert second["id"] != first["id"]
    await answer(told.ehr, second["id"], "completed")
    await told.reaches(case_id, "filed")
    await all_heard(told)
    assert await alerts(told, "*") == []


async def test_an_answer_that_overtakes_the_review_on_the_trail_waits_for_it(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = asyncio.Event()
    real = NatsConnection.publish

    async def publish(bus: NatsConnection, subject: str, *args: Any, **sent: Any) -> Any:
        if subject.endswith(".review-requested"):
            await held.wait()
        return await real(bus, subject, *args, **sent)

    monkeypatch.setattr(NatsConnection, "publish", publish)
    case_id = await stack.discharge(stay_without_open_points(stack.ehr))

    async def there() -> bool:
        return len(stack.in_chart("Task")) == 1

    await until(there, "the Task")
    task = open_task(stack.ehr)
    await answer(stack.ehr, task["id"], "completed")
    await tell(stack, task["id"])
    bus = await stack.server.connect("admin")

    async def tried() -> bool:
        info = await bus.jetstream.consumer_info("EHR", "approval-ehr-task")
        return info.num_pending == 0

    await until(tried, "the first attempt")
    await bus.close()
    held.set()
    await stack.reaches(case_id, "awaiting-review")
    await stack.review(case_id)
    await stack.reaches(case_id, "filed")


# Reconciliation: the EHR tells of nothing.


async def test_a_decision_that_nobody_told_of_is_found(nats: NatsServer) -> None:
    await nats.provision()
    async with running(nats, sandbox(), reconcile_every=SOON) as stack:
        case_id, task = await awaiting(stack)
        await answer(stack.ehr, task["id"], "completed")
        case = await stack.reaches(case_id, "filed")
        assert decision(case)["detail"]["channel"] == "ehr"


async def test_a_decision_taken_while_everything_was_down_is_found_at_the_start(nats: NatsServer) -> None:
    await nats.provision()
    ehr = sandbox()
    async with running(nats, ehr, reconcile_every=SOON) as stack:
        case_id, task = await awaiting(stack)
    await answer(ehr, task["id"], "completed")
    nats.kill()
    await asyncio.to_thread(nats.start)
    async with running(nats, ehr, reconcile_every=SOON) as stack:
        await stack.reaches(case_id, "filed")


async def test_one_search_a_run_whatever_the_number_of_processes_and_none_while_nobody_waits(
    nats: NatsServer,
) -> None:
    await nats.provision()
    ehr = sandbox()
    searches: list[str] = []
    real = ehr.handle

    async def handle(request: Any) -> Any:
        if request.method == "GET" and "_lastUpdated" in request.query_params and "Task" in request.url.path:
            searches.append(str(request.url))
        return await real(request)

    ehr.handle = handle  # type: ignore[method-assign]
    async with running(nats, ehr, reconcile_every=SOON) as stack, running(nats, ehr, reconcile_every=SOON):
        bus = await nats.connect("admin")

        async def runs(number: int) -> bool:
            info = await bus.jetstream.consumer_info("TIMERS", "approval-reconcile")
            return info.ack_floor is not None and info.ack_floor.consumer_seq >= number

        await until(lambda: runs(2), "two runs")
        assert searches == [], "nobody waits"
        await awaiting(stack)
        info = await bus.jetstream.consumer_info("TIMERS", "approval-reconcile")
        before = info.ack_floor.consumer_seq if info.ack_floor else 0
        searches.clear()
        await until(lambda: runs(before + 3), "three more runs")
        info = await bus.jetstream.consumer_info("TIMERS", "approval-reconcile")
        done = (info.ack_floor.consumer_seq if info.ack_floor else 0) - before
        assert 2 <= len(searches) <= done + 1
        timers = await bus.jetstream.stream_info("TIMERS", subjects_filter="timers.reconcile.tasks")
        assert len(timers.state.subjects or {}) <= 1, "one chain"
        await bus.close()


async def test_an_ehr_that_is_away_is_asked_again_and_a_person_is_told_once(nats: NatsServer) -> None:
    await nats.provision()
    async with running(nats, sandbox(), reconcile_every=SOON) as stack:
        case_id, task = await awaiting(stack)
        await answer(stack.ehr, task["id"], "completed", "banana")
        stack.ehr.faults.armed.append(Fault(kind="status", type="Task", method="GET", status=503, times=4))
        found = await told_of(stack, "ehr-decision-not-taken")
        assert found["why"] == "unclear"
        assert len(await alerts(stack, "reconcile-failing")) <= 1
        assert (await stack.case(case_id))["state"] == "awaiting-review"


async def test_an_ehr_without_tasks_is_not_asked_and_our_inbox_serves(nats: NatsServer) -> None:
    await nats.provision()
    async with running(nats, sandbox(), reconcile_every=SOON) as stack:
        stack.ehr.faults.armed.append(Fault(kind="status", type="Task", status=404, times=999))
        case_id = await stack.discharge()
        await stack.reaches(case_id, "awaiting-review")
        assert (await stack.review(case_id))["state"] == "awaiting-review"
        bus = await nats.connect("admin")

        async def ran() -> bool:
            info = await bus.jetstream.consumer_info("TIMERS", "approval-reconcile")
            return info.ack_floor is not None and info.ack_floor.consumer_seq >= 2

        await until(ran, "two runs")
        await bus.close()
        (fault,) = stack.ehr.faults.armed
        assert fault.times == 998, "asked once: for the review itself"
        assert (await stack.decide(case_id, "approve")).status_code == 200
        await stack.reaches(case_id, "filed")
        assert await alerts(stack, "*") == []


# Races.


async def test_both_ways_at_once_are_one_decision(nats: NatsServer) -> None:
    await nats.provision()
    async with running(nats, sandbox(), reconcile_every=timedelta(milliseconds=100)) as stack:
        subscribe(stack)
        case_id, task = await awaiting(stack)
        await answer(stack.ehr, task["id"], "completed")
        await tell(stack, *[task["id"]] * 10)
        case = await stack.reaches(case_id, "filed")
        await all_heard(stack)
        assert decision(case)["event"] == "approved"
        assert len(stack.in_chart("DocumentReference")) == 1
        assert await alerts(stack, "*") == []


@pytest.mark.parametrize("ours", ["approve", "reject"])
async def test_of_a_decision_here_and_one_there_one_stands(told: Stack, ours: str) -> None:
    case_id, task = await awaiting(told)
    sent = {"action": "close", "reason": "no"} if ours == "reject" else {}
    review = await told.review(case_id)
    headers = {"If-Match": f'"{review["draft"]["digest"]}"'}

    async def here() -> int:
        path = f"/v1/reviews/{case_id}/{ours}"
        response = await told.call("physician", "POST", path, headers=headers, json=sent or None)
        return response.status_code

    async def there() -> None:
        await answer(told.ehr, task["id"], "completed")

    status, _ = await asyncio.gather(here(), there())
    assert status in (200, 409)
    await all_heard(told)

    async def ended() -> bool:
        return (await told.case(case_id))["state"] in ("filed", "closed")

    await until(ended, "the case to end")
    await all_heard(told)
    found = decision(await told.case(case_id))
    assert found["detail"]["channel"] == ("api" if status == 200 else "ehr")
    assert await alerts(told, "*") == []


@pytest.mark.parametrize("ours", ["approve", "reject"])
async def test_a_decision_here_between_reading_the_task_and_appending_stands(
    told: Stack, monkeypatch: pytest.MonkeyPatch, ours: str
) -> None:
    case_id, task = await awaiting(told)
    held, reached = asyncio.Event(), asyncio.Event()
    real = NatsConnection.publish

    async def publish(bus: NatsConnection, subject: str, data: bytes, **sent: Any) -> Any:
        if b'"channel":"ehr"' in data:
            reached.set()
            await held.wait()
        return await real(bus, subject, data, **sent)

    monkeypatch.setattr(NatsConnection, "publish", publish)
    await answer(told.ehr, task["id"], "completed")
    await asyncio.wait_for(reached.wait(), 10)
    sent = {"action": "close", "reason": "no"} if ours == "reject" else {}
    assert (await told.decide(case_id, ours, **sent)).status_code == 200
    held.set()
    await all_heard(told)
    assert decision(await told.case(case_id))["detail"]["channel"] == "api"
    assert await alerts(told, "*") == []
