"""Whoever lost an answer sends the same decision again; whoever hands a review on gets no more time than there is."""

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError

from shared.contracts.envelope import RecordedEvent
from shared.contracts.events import ReviewRequested
from shared.contracts.subjects import due_subject, timer_subject
from shared.contracts.timestamps import format_utc
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import EventStore
from tests.support.ehr import sandbox
from tests.support.people import Clock, open_review_case
from tests.support.physician import approval_body
from tests.support.server import NatsServer
from tests.support.stack import Stack, running, until

pytestmark = pytest.mark.connected

SLOWLY = (timedelta(hours=24), timedelta(hours=72), timedelta(days=7))


@pytest.fixture
async def stack(nats: NatsServer, clock: Clock) -> AsyncIterator[Stack]:
    await nats.provision()
    async with running(nats, sandbox(), SLOWLY, clock=clock) as found:
        yield found


def names(case: dict[str, Any]) -> list[str]:
    return [event["event"] for event in case["events"]]


async def test_a_signature_that_is_sent_again_is_the_same_signature(stack: Stack) -> None:
    case_id = await open_review_case(stack)
    review = await stack.review(case_id)
    text = await stack.text(case_id) + "Seen on the ward round.\n"
    first = await stack.decide(case_id, "approve", text=text)
    assert first.status_code == 200
    await stack.reaches(case_id, "filed")
    headers = {"If-Match": review["draft"]["digest"]}
    path = f"/v1/reviews/{case_id}/approve"
    again = await stack.call("physician", "POST", path, headers=headers, json={"text": text})
    assert (again.status_code, again.json()) == (200, first.json())
    other = await stack.call("physician", "POST", path, headers=headers, json={"text": text + "And more.\n"})
    assert other.status_code == 409
    somebody = await stack.call("supervisor", "POST", path, headers=headers, json={"text": text})
    assert somebody.status_code == 409
    assert names(await stack.reaches(case_id, "filed")).count("approved") == 1


async def test_of_a_signature_that_is_sent_many_times_at_once_one_is_taken(stack: Stack) -> None:
    case_id = await open_review_case(stack)
    answers = await asyncio.gather(*(stack.decide(case_id, "approve") for _ in range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5
    assert names(await stack.reaches(case_id, "filed")).count("approved") == 1


async def test_a_refusal_that_is_sent_again_asks_for_one_draft(stack: Stack) -> None:
    case_id = await open_review_case(stack)
    headers = {"If-Match": (await stack.review(case_id))["draft"]["digest"]}
    sent = {"action": "close", "reason": "I write it in the EHR."}
    for _ in range(3):
        answer = await stack.call("physician", "POST", f"/v1/reviews/{case_id}/reject", headers=headers, json=sent)
        assert (answer.status_code, answer.json()["state"]) == (200, "closed")
    assert names(await stack.reaches(case_id, "closed")).count("rejected") == 1


async def keyed(
    stack: Stack, path: str, key: str, seen: str = "", role: str = "physician", **body: Any
) -> httpx.Response:
    headers = {"Idempotency-Key": key} | ({"If-Match": seen} if seen else {})
    return await stack.call(role, "POST", path, headers=headers, json=body or None)


async def same(stack: Stack, first: httpx.Response, *sent: Any, **body: Any) -> None:
    """Sent again with its key, it gets the first answer."""
    assert first.status_code == 200, first.text
    again = await keyed(stack, *sent, **body)
    assert (again.status_code, again.json()) == (200, first.json())


async def test_every_decision_that_carries_a_key_gets_its_first_answer_whatever_came_after(stack: Stack) -> None:
    """After a redraft, a reassignment, a correction and a retraction by others; another one with its key is refused."""
    case_id = await open_review_case(stack)
    review, case = f"/v1/reviews/{case_id}", f"/v1/cases/{case_id}"
    refuse = {"action": "redraft", "reason": "Once more."}
    refused = await keyed(stack, f"{review}/reject", "k1", **refuse)
    await stack.reaches(case_id, "awaiting-review", events=8)
    await same(stack, refused, f"{review}/reject", "k1", **refuse)
    assert (await stack.case(case_id))["state"] == "awaiting-review", "the second draft is not refused"

    owner = (await stack.review(case_id))["owner"]
    give = {"to": "Practitioner/DR-IM-002", "reason": "on leave"}
    given = await keyed(stack, f"{review}/reassign", "k1", role="supervisor", **give)
    back = await keyed(stack, f"{review}/reassign", "k2", role="supervisor", to=owner, reason="back")
    assert back.status_code == 200
    await same(stack, given, f"{review}/reassign", "k1", role="supervisor", **give)
    assert (await stack.review(case_id))["owner"] == owner
    other = await keyed(stack, f"{review}/reassign", "k1", role="supervisor", to=owner, reason="another")
    assert (other.status_code, other.json()["title"]) == (422, "This Idempotency-Key was used for another decision")

    draft = (await stack.review(case_id))["draft"]
    sign = approval_body(draft)
    signed = await keyed(stack, f"{review}/approve", "k1", draft["digest"], **sign)
    await stack.reaches(case_id, "filed")
    await same(stack, signed, f"{review}/approve", "k1", draft["digest"], **sign)

    seen = (await stack.call("physician", "GET", f"{case}/document")).json()["digest"]
    own = "Seen by the dietician."
    add = {"text": own, "reason": "Missing.", "written": [hashlib.sha256(own.encode()).hexdigest()]}
    added = await keyed(stack, f"{case}/addenda", "k1", seen, **add)
    await stack.reaches(case_id, "filed")
    standing = (await stack.call("physician", "GET", f"{case}/document")).json()["digest"]
    asked = await keyed(stack, f"{case}/retraction", "k1", standing, reason="another patient's")
    confirmed = await keyed(stack, f"{case}/retraction/confirm", "k1", standing, "supervisor")
    await stack.reaches(case_id, "retracted")
    await same(stack, signed, f"{review}/approve", "k1", draft["digest"], **sign)
    await same(stack, added, f"{case}/addenda", "k1", seen, **add)
    await same(stack, asked, f"{case}/retraction", "k1", standing, reason="another patient's")
    await same(stack, confirmed, f"{case}/retraction/confirm", "k1", standing, "supervisor")
    counts = Counter(await stack.events(case_id))
    once = ("rejected", "approved", "addended", "retraction-requested", "retracted")
    assert {name: counts[name] for name in once} == dict.fromkeys(once, 1)
    assert counts["reassigned"] == 2


async def test_a_key_is_its_senders_own(stack: Stack) -> None:
    case_id = await open_review_case(stack)
    path = f"/v1/reviews/{case_id}/reject"
    sent = {"action": "close", "reason": "I write it in the EHR."}
    assert (await keyed(stack, path, "k1", **sent)).status_code == 200
    assert (await keyed(stack, path, "k1", role="supervisor", **sent)).status_code == 409
    assert (await keyed(stack, path, "", **sent)).status_code == 422
    assert (await keyed(stack, path, "k" * 300, **sent)).status_code == 422


async def test_a_review_given_to_its_owner_starts_no_clock(stack: Stack) -> None:
    case_id = await open_review_case(stack)
    owner = (await stack.review(case_id))["owner"]
    path = f"/v1/reviews/{case_id}/reassign"
    for _ in range(3):
        answer = await stack.call("supervisor", "POST", path, json={"to": owner, "reason": "once more"})
        assert answer.status_code == 200
    assert "reassigned" not in names(await stack.reaches(case_id, "awaiting-review"))
    sent = {"to": owner, "reason": "its timer was lost"}
    assert (await stack.call("operator", "POST", path, json=sent)).status_code == 200
    assert "reassigned" in names(await stack.reaches(case_id, "awaiting-review"))


@pytest.mark.parametrize(
    "to", ["Practitioner/nobody", "somebody", "Practitioner/../Patient/1", "Patient/1", "Practitioner/x\n"]
)
async def test_a_review_is_given_to_nobody_whom_the_ehr_does_not_know(stack: Stack, to: str) -> None:
    case_id = await open_review_case(stack)
    path = f"/v1/reviews/{case_id}/reassign"
    answer = await stack.call("supervisor", "POST", path, json={"to": to, "reason": "leave"})
    assert answer.status_code == 422
    assert "reassigned" not in names(await stack.reaches(case_id, "awaiting-review"))


async def test_handing_on_has_an_end(stack: Stack, clock: Clock) -> None:
    case_id = await open_review_case(stack)
    path, people = f"/v1/reviews/{case_id}/reassign", ["Practitioner/DR-IM-002", "Practitioner/DR-IM-006"]
    for days in range(1, 30, 4):
        clock.ahead = timedelta(days=days)
        sent = {"to": people[days // 4 % 2], "reason": "leave"}
        assert (await stack.call("supervisor", "POST", path, json=sent)).status_code == 200
    events = (await stack.reaches(case_id, "awaiting-review"))["events"]
    end = datetime.fromisoformat(events[3]["time"]) + 2 * SLOWLY[-1]
    given = [event for event in events if event["event"] == "reassigned"]
    assert len(given) > 5
    for event in given:
        taken_over = datetime.fromisoformat(event["detail"]["deadlines"][-1])
        assert taken_over - max(end, datetime.fromisoformat(event["time"])) < timedelta(seconds=1)


async def stored(admin: NatsConnection, subject: str) -> RawStreamMsg | None:
    """The last timer of that subject."""
    try:
        return await admin.jetstream.get_last_msg("TIMERS", subject)
    except NotFoundError:
        return None


async def fire(admin: NatsConnection, requested: RecordedEvent, due: str) -> None:
    """A timer of the review's first level, set for `due`, fires now."""
    headers = {
        "Nats-Schedule": "@at 2020-01-01T00:00:00.000Z",
        "Nats-Schedule-Target": due_subject(requested.case.id, 1),
        "countersign-due": due,
        "countersign-department": requested.case.department,
        "countersign-clock": requested.id,
    }
    await admin.publish("timers.escalation.forged.1", b"", stream="TIMERS", headers=headers)


async def test_a_timer_that_fires_before_its_time_escalates_nothing(
    stack: Stack, nats: NatsServer, clock: Clock
) -> None:
    """The server's clock is days ahead."""
    case_id = await open_review_case(stack)
    admin = await nats.connect("admin")
    requested = (await EventStore(admin, "admin").find(case_id))[-1]
    assert isinstance(requested.body, ReviewRequested)
    await fire(admin, requested, format_utc(requested.body.deadlines[0]))

    async def refused() -> bool:
        info = await admin.consumer_info("TIMERS", "approval-escalate")
        return bool(info["num_redelivered"] or info["num_ack_pending"])

    await until(refused, "the timer to be taken and put off")
    assert "escalated" not in names(await stack.reaches(case_id, "awaiting-review"))
    clock.ahead = timedelta(hours=25)  # now it is its time

    async def escalated() -> bool:
        return "escalated" in names(await stack.reaches(case_id, "awaiting-review"))

    await until(escalated, "the escalation")
    await admin.close()


async def test_a_timer_that_was_set_for_an_earlier_time_is_set_again_for_the_deadline(
    stack: Stack, nats: NatsServer
) -> None:
    """Somebody has set it (no other service can: test_least_rights.py), or an attempt that was not completed."""
    case_id = await open_review_case(stack)
    admin = await nats.connect("admin")
    requested = (await EventStore(admin, "admin").find(case_id))[-1]
    assert isinstance(requested.body, ReviewRequested)
    before = await stored(admin, timer_subject(case_id, 1))
    assert before is not None
    await fire(admin, requested, "2020-01-01T00:00:00.000Z")

    async def again() -> RawStreamMsg | None:
        timer = await stored(admin, timer_subject(case_id, 1))
        return timer if timer is not None and timer.seq != before.seq else None

    timer = await until(again, "the timer to be set again")
    assert timer.headers["countersign-due"] == format_utc(requested.body.deadlines[0])

    async def forgotten() -> bool:
        return await stored(admin, due_subject(case_id, 1)) is None

    await until(forgotten, "the fired timer to be dropped")
    assert "escalated" not in names(await stack.reaches(case_id, "awaiting-review"))
    await admin.close()
