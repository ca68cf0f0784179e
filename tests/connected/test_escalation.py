"""Nobody decides: who is told, by which channels, how often, and what stops it. Real NATS, SMTP, HTTP, sandbox EHR."""

import asyncio
import json
import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.dead_letters import Attribution, redrive
from sandbox_ehr.faults import Fault
from shared.messaging.dead_letters import read_all
from shared.messaging.event_store import raw_message_of
from tests.connected.test_timers import review_task, timers_left
from tests.support.channels import Mailbox, Webhook, channels, write_directory
from tests.support.ehr import sandbox, stays
from tests.support.server import NatsServer
from tests.support.stack import Stack, running, until

pytestmark = pytest.mark.connected

SOON = (timedelta(seconds=0.5), timedelta(seconds=1), timedelta(seconds=1.5))
SLOWLY = (timedelta(seconds=0.5), timedelta(hours=1), timedelta(hours=2))
LEVELS = [f"A discharge summary waits for its review: escalation {level} of 3" for level in (1, 2, 3)]


@pytest.fixture
def reached() -> Iterator[tuple[Mailbox, Webhook]]:
    with channels() as found:
        yield found


@pytest.fixture
def directory(tmp_path: Path, reached: tuple[Mailbox, Webhook]) -> Path:
    mailbox, webhook = reached
    return write_directory(tmp_path / "directory.yaml", mailbox.address, webhook.address)


async def notices(server: NatsServer, subjects: str) -> list[Any]:
    bus = await server.connect("admin")
    found = await bus.direct_get("NOTIFY", {"seq": 1, "next_by_subj": subjects, "batch": 100})
    await bus.close()
    return [raw_message_of(message) for message in found]


async def all_sent(server: NatsServer, wanted: int) -> None:
    """Wait until each of `wanted` messages has its receipt."""

    async def sent() -> bool:
        return len(await notices(server, "notified.>")) >= wanted

    await until(sent, f"{wanted} receipts")
    assert len(await notices(server, "notify.>")) == wanted
    assert len(await notices(server, "notified.>")) == wanted


def told(stack: Stack) -> list[dict[str, Any]]:
    """The Tasks of those who were told, in the order of levels."""
    found = [item for item in stack.in_chart("Task") if "partOf" in item]
    return sorted(found, key=lambda item: item["businessStatus"]["coding"][0]["code"])


async def test_an_undecided_case_tells_three_times_by_every_channel_and_is_taken_over(
    nats: NatsServer, directory: Path, reached: tuple[Mailbox, Webhook]
) -> None:
    mailbox, webhook = reached
    await nats.provision()
    async with running(nats, sandbox(), SOON, directory=directory) as stack:
        case_id = await stack.discharge()
        case = await stack.reaches(case_id, "awaiting-review", events=7)
        assert [event["event"] for event in case["events"][4:]] == ["escalated"] * 3
        assert case["owner"] == "Practitioner/boss"
        assert case["events"][5]["detail"]["deputies"] == ["Practitioner/deputy"]
        await all_sent(nats, 6)
        assert sorted(mailbox.subjects) == LEVELS
        assert sorted(post["title"] for post in webhook.posts) == LEVELS

        async def four_tasks() -> Any:
            return len(told(stack)) == 4 and review_task(stack)["owner"]["reference"] == "Practitioner/boss"

        await until(four_tasks, "a Task for each who was told")
        parent = {"reference": f"Task/{review_task(stack)['id']}"}
        assert all(item["partOf"] == [parent] and item["status"] == "requested" for item in told(stack))
        owners = sorted(item["owner"]["reference"] for item in told(stack))
        assert owners == ["Practitioner/boss"] * 3 + ["Practitioner/deputy"]
        await stack.decide(case_id, "approve", role="supervisor")
        await stack.reaches(case_id, "filed")

        async def completed() -> Any:
            return {item["status"] for item in stack.in_chart("Task")} == {"completed"}

        await until(completed, "all Tasks to be completed")
        assert await timers_left(nats) == 0


async def test_a_message_names_no_patient_and_the_bus_no_address(
    nats: NatsServer, directory: Path, reached: tuple[Mailbox, Webhook], caplog: pytest.LogCaptureFixture
) -> None:
    mailbox, webhook = reached
    webhook.down = True
    caplog.set_level(logging.DEBUG)
    await nats.provision()
    async with running(nats, sandbox(), SLOWLY, directory=directory) as stack:
        case_id = await stack.discharge()
        await stack.reaches(case_id, "awaiting-review", events=5)

        async def tried() -> bool:
            return webhook.refused > 0

        await until(tried, "a failure to be logged")
        webhook.down = False
        await all_sent(nats, 2)
        review = await stack.review(case_id)
        (post,), (mail,) = webhook.posts, mailbox.mails
        lines = post["message"].strip().splitlines()
        assert [line.partition(":")[0] for line in lines] == ["Department", "Waiting since", "Escalation", "Review"]
        assert lines[-1] == f"Review: https://countersign.test/reviews/{case_id}"
        patient = review_task(stack)["for"]["reference"].rpartition("/")[2]
        encounter = review["encounter"].rpartition("/")[2]
        for text in (json.dumps(post), mail.as_string()):
            assert patient not in text
            assert encounter not in text
        on_the_bus = b"".join(item.data + item.subject.encode() for item in await notices(nats, ">"))
        for secret in (b"a-secret-path", b"127.0.0.1", b"example.org", patient.encode()):
            assert secret not in on_the_bus
        # The SMTP server logs what it is sent, and it is the test's own.
        logged = "\n".join(record.getMessage() for record in caplog.records if record.name != "mail.log")
        assert "a json channel did not take the message" in logged
        assert "a-secret-path" not in logged
        assert "lead@example.org" not in logged


async def test_a_case_that_is_decided_after_the_first_escalation_shows_one_and_has_no_timer(
    nats: NatsServer, directory: Path, reached: tuple[Mailbox, Webhook]
) -> None:
    mailbox, webhook = reached
    await nats.provision()
    async with running(nats, sandbox(), SLOWLY, directory=directory) as stack:
        case_id = await stack.discharge()
        await stack.reaches(case_id, "awaiting-review", events=5)
        await all_sent(nats, 2)
        await stack.decide(case_id, "approve")
        await stack.reaches(case_id, "filed")
        assert (await stack.events(case_id)).count("escalated") == 1

        async def settled() -> Any:
            return [item["status"] for item in told(stack)] == ["completed"] and await timers_left(nats) == 0

        await until(settled, "Task and timer to be gone")
        assert (mailbox.subjects, len(webhook.posts)) == (LEVELS[:1], 1)


async def test_a_channel_that_is_down_delays_no_other_and_gets_its_message_when_it_is_back(
    nats: NatsServer, directory: Path, reached: tuple[Mailbox, Webhook]
) -> None:
    mailbox, webhook = reached
    webhook.down = True
    await nats.provision()
    async with running(nats, sandbox(), SLOWLY, directory=directory) as stack:
        case_id = await stack.discharge()
        await stack.reaches(case_id, "awaiting-review", events=5)

        async def tried() -> bool:
            return webhook.refused > 0 and len(mailbox.mails) == 1 and len(told(stack)) == 1

        await until(tried, "the mail and the Task, the webhook being down")
        assert len(await notices(nats, "notified.>")) <= 1
        webhook.down = False
        await all_sent(nats, 2)
        assert (len(mailbox.mails), len(webhook.posts)) == (1, 1)


async def test_what_could_not_be_told_before_the_decision_is_told_no_more(
    nats: NatsServer, directory: Path, reached: tuple[Mailbox, Webhook]
) -> None:
    mailbox, webhook = reached
    webhook.down = mailbox.refuses = True
    await nats.provision()
    async with running(nats, sandbox(), SLOWLY, directory=directory) as stack:
        case_id = await stack.discharge()
        await stack.reaches(case_id, "awaiting-review", events=5)

        async def tried() -> bool:
            return webhook.refused > 0

        await until(tried, "the webhook to be tried")
        await stack.decide(case_id, "approve")
        await stack.reaches(case_id, "filed")
        bus = await nats.connect("admin")

        async def nothing_to_deliver() -> bool:
            info = await bus.jetstream.consumer_info("NOTIFY", "approval-deliver")
            return info.num_ack_pending == 0 and info.num_pending == 0

        # Both channels are still down: what is not waiting any more was dropped.
        await until(nothing_to_deliver, "the messages to be dropped")
        await bus.close()
        assert (mailbox.mails, webhook.posts) == ([], [])


async def test_restarts_between_levels_lose_and_double_nothing(
    nats: NatsServer, directory: Path, reached: tuple[Mailbox, Webhook]
) -> None:
    mailbox, webhook = reached
    times = (timedelta(seconds=0.5), timedelta(seconds=3), timedelta(seconds=6))
    await nats.provision()
    ehr = sandbox()
    for level in (1, 2, 3):
        async with running(nats, ehr, times, directory=directory) as stack:
            case_id = await stack.discharge()
            await stack.reaches(case_id, "awaiting-review", events=4 + level)
            # Stopped as soon as it stands on the trail: messages and Tasks may be anywhere.
    async with running(nats, ehr, times, directory=directory) as stack:
        await all_sent(nats, 6)

        async def everybody_told() -> bool:
            return len(told(stack)) == 4

        await until(everybody_told, "the Tasks")
        assert (await stack.events(case_id)).count("escalated") == 3
        assert sorted(mailbox.subjects) == LEVELS
        assert sorted(post["title"] for post in webhook.posts) == LEVELS


async def test_the_same_message_many_times_is_one_mail(
    nats: NatsServer, directory: Path, reached: tuple[Mailbox, Webhook]
) -> None:
    mailbox, webhook = reached
    await nats.provision()
    async with running(nats, sandbox(), SLOWLY, directory=directory) as stack:
        case_id = await stack.discharge()
        await stack.reaches(case_id, "awaiting-review", events=5)
        await all_sent(nats, 2)
        bus = await nats.connect("approval")
        for item in await notices(nats, "notify.>"):
            for _ in range(3):  # as a dead letter that is put back
                await bus.publish(item.subject, item.data, stream="NOTIFY")
        await bus.close()
        admin = await nats.connect("admin")

        async def all_delivered() -> bool:
            info = await admin.jetstream.consumer_info("NOTIFY", "approval-deliver")
            return info.num_ack_pending == 0 and info.num_pending == 0

        await until(all_delivered, "the repeats to be dealt with")
        await admin.close()
        assert (len(mailbox.mails), len(webhook.posts)) == (1, 1)


async def test_a_reassigned_review_has_a_new_clock(
    nats: NatsServer, directory: Path, reached: tuple[Mailbox, Webhook]
) -> None:
    mailbox, _ = reached
    await nats.provision()
    async with running(nats, sandbox(), SLOWLY, directory=directory) as stack:
        case_id = await stack.discharge()
        before = await stack.reaches(case_id, "awaiting-review", events=5)
        await all_sent(nats, 2)  # what is not sent when the clock ends is not sent
        sent = {"to": "Practitioner/DR-IM-002", "reason": "I am on leave."}
        answer = await stack.call("supervisor", "POST", f"/v1/reviews/{case_id}/reassign", json=sent)
        assert answer.status_code == 200
        case = await stack.reaches(case_id, "awaiting-review", events=7)
        assert [event["event"] for event in case["events"][4:]] == ["escalated", "reassigned", "escalated"]
        reassigned, first = case["events"][5], case["events"][6]
        assert first["detail"]["level"] == 1
        due = datetime.fromisoformat(reassigned["detail"]["deadlines"][0])
        assert abs(due - datetime.fromisoformat(reassigned["time"]) - SLOWLY[0]) < timedelta(seconds=0.2)
        assert due > datetime.fromisoformat(before["events"][4]["time"])
        await all_sent(nats, 4)
        assert mailbox.subjects == LEVELS[:1] * 2

        async def one_clock() -> Any:
            statuses = sorted(item["status"] for item in told(stack))
            return statuses == ["cancelled", "requested"] and await timers_left(nats) == 1

        await until(one_clock, "the old clock's Task and timer to be gone")
        assert review_task(stack)["owner"]["reference"] == "Practitioner/DR-IM-002"
        listed = (await stack.call("supervisor", "GET", "/v1/reviews")).json()["items"]
        assert [(item["level"], item["owner"]) for item in listed] == [(1, "Practitioner/DR-IM-002")]


async def test_an_ehr_that_takes_no_task_hears_of_no_escalation_and_people_do(
    nats: NatsServer, directory: Path, reached: tuple[Mailbox, Webhook]
) -> None:
    mailbox, _ = reached
    ehr = sandbox()
    ehr.faults.armed.append(Fault(kind="status", type="Task", status=403, times=999))
    await nats.provision()
    async with running(nats, ehr, SOON, directory=directory) as stack:
        case_id = await stack.discharge()
        await stack.reaches(case_id, "awaiting-review", events=7)
        await all_sent(nats, 6)
        assert sorted(mailbox.subjects) == LEVELS
        assert stack.in_chart("Task") == []


async def test_a_channel_that_is_no_longer_in_the_directory_ends_in_front_of_a_person(
    nats: NatsServer, directory: Path, reached: tuple[Mailbox, Webhook]
) -> None:
    mailbox, webhook = reached
    webhook.down = True
    await nats.provision()
    ehr = sandbox()
    async with running(nats, ehr, SLOWLY, directory=directory) as stack:
        case_id = await stack.discharge()
        await stack.reaches(case_id, "awaiting-review", events=5)

        async def tried() -> bool:
            return webhook.refused > 0

        await until(tried, "the webhook to be tried")
    write_directory(directory, mailbox.address)
    bus = await nats.connect("operator")
    async with running(nats, ehr, SLOWLY, directory=directory):

        async def buried() -> Any:
            return list((await read_all(bus)).values())

        ((letter, _, _),) = await until(buried, "the dead letter")
    assert letter.consumer == "approval-deliver"
    assert letter.reason == "the channel of a notice is no longer in the directory"
    write_directory(directory, mailbox.address, webhook.address)
    webhook.down = False
    async with running(nats, ehr, SLOWLY, directory=directory):
        await redrive(bus, await read_all(bus), letter.sequence, Attribution("operator"))

        async def arrived() -> bool:
            return len(webhook.posts) == 1

        await until(arrived, "the message, the channel being back")
    await bus.close()
    assert len(mailbox.mails) == 1


async def test_a_department_has_its_own_times_and_the_preview_says_what_will_happen(
    nats: NatsServer, tmp_path: Path, reached: tuple[Mailbox, Webhook]
) -> None:
    mailbox, webhook = reached
    late = {"url": webhook.address, "levels": [3]}
    file = write_directory(tmp_path / "directory.yaml", mailbox.address, late, escalate_after="1h,2h,3h")
    await nats.provision()
    async with running(nats, sandbox(), SOON, directory=file) as stack:
        case_id = await stack.discharge()
        case = await stack.reaches(case_id, "awaiting-review")
        path = f"/v1/reviews/{case_id}/escalations"
        shown = (await stack.call("operator", "GET", path)).json()
        assert [item["due"] for item in shown["items"]] == case["events"][3]["detail"]["deadlines"]
        asked = datetime.fromisoformat(shown["waiting_since"])
        first = datetime.fromisoformat(shown["items"][0]["due"])
        assert abs(first - asked - timedelta(hours=1)) < timedelta(seconds=5)
        assert [item["channels"] for item in shown["items"]] == [["mailto"], ["mailto"], ["mailto", "json"]]
        boss, deputy = "Practitioner/boss", "Practitioner/deputy"
        assert [item["tells"] for item in shown["items"]] == [[boss], [boss, deputy], [boss]]
        assert [item["takes_over"] for item in shown["items"]] == [False, False, True]
        assert {item["standing"] for item in shown["items"]} == {"ahead"}
        assert "127.0.0.1" not in json.dumps(shown)
        assert (await stack.call("auditor", "GET", path)).status_code == 403
        assert (await stack.call("operator", "GET", "/v1/reviews/none/escalations")).status_code == 404
        await stack.decide(case_id, "approve")
        await stack.reaches(case_id, "filed")
        shown = (await stack.call("operator", "GET", path)).json()
        assert {item["standing"] for item in shown["items"]} == {"not-needed"}


async def test_many_cases_with_a_channel_down_reach_the_other_channel_all_the_same(
    nats: NatsServer, directory: Path, reached: tuple[Mailbox, Webhook]
) -> None:
    """More failing messages than there are workers: those that wait for their next attempt hold up nothing."""
    mailbox, webhook = reached
    webhook.down = True
    await nats.provision()
    async with running(nats, sandbox(), SOON, directory=directory) as stack:
        cases = await asyncio.gather(*(stack.discharge(encounter) for encounter in stays()))
        for case_id in cases:
            await stack.reaches(case_id, "awaiting-review", events=7)

        async def all_mails() -> bool:
            return len(mailbox.mails) >= 3 * len(cases)

        assert 3 * len(cases) > 16
        await until(all_mails, "every mail, the webhook being down")
        assert (len(mailbox.mails), webhook.posts) == (3 * len(cases), [])
