"""Retention on the real server: each kind in its time, each deletion told, a hold passed over, every effect once."""

from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.approval.erasure.retention import KEYS, MAX_CASES_PER_RUN, RetentionScheduler
from services.approval.erasure.rules import Retention
from services.approval.settings import RetentionSettings
from shared.contracts.envelope import CHAIN_START
from shared.contracts.events import Discharged, Withdrawn
from shared.contracts.subjects import CaseRef
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import EventStore
from tests.support.corrections import filed
from tests.support.ehr import sandbox, stays
from tests.support.examples import T0
from tests.support.server import NatsServer
from tests.support.stack import Stack, running, until

pytestmark = pytest.mark.connected
DAY = timedelta(days=1)
RECORD_90 = Retention({"record": 90 * DAY})


async def later(bus: NatsConnection, days: float, retention: Retention = RECORD_90) -> RetentionScheduler:
    """What a process whose clock is so many days ahead would do."""

    def clock() -> datetime:
        return datetime.now(UTC) + days * DAY

    found = RetentionScheduler(bus, retention, DAY, clock)
    await found.start()
    return found


def reaches(stack: Stack, case_id: str, event: str) -> Awaitable[Any]:
    async def there() -> bool:
        return event in await stack.events(case_id)

    return until(there, f"{case_id} to have {event}")


async def test_a_kind_ends_in_its_time_and_a_held_case_is_passed_over(stack: Stack) -> None:
    first = await filed(stack)
    second = await filed(stack, stays(stack.ehr.style)[1])
    hold = await stack.call("operator", "POST", f"/v1/cases/{second}/hold", json={"ground": "litigation"})
    assert hold.status_code == 200
    bus = await stack.server.connect("approval")
    assert await (await later(bus, 89)).check_next_cases() is False
    assert "erasure-ordered" not in await stack.events(first)
    for _ in range(3):  # killed before its mark was kept, or run by two: once
        await (await later(bus, 91)).check_next_cases()
    await reaches(stack, first, "erased")
    await (await later(bus, 92)).check_next_cases()
    events = (await stack.case(first))["events"]
    told = [event for event in events if event["event"] in ("erasure-ordered", "erased")]
    assert [event["detail"]["kinds"] for event in told] == [["record"], ["record"]]
    assert (told[0]["actor"], told[0]["detail"]["ground"]) == ("retention", "retention")
    assert "erasure-ordered" not in await stack.events(second)
    assert (await stack.review(first))["draft"]["text"], "what was signed is kept"
    assert (await stack.case(first))["erasure"] is None
    document = await stack.call("physician", "GET", f"/v1/cases/{first}/document")
    changed = {
        "text": document.json()["text"].replace("\n\n", "\nShe walked home.\n\n", 1),
        "reason": "It was forgotten.",
    }
    headers = {"If-Match": document.headers["etag"]}
    answer = await stack.call("physician", "POST", f"/v1/cases/{first}/amendments", headers=headers, json=changed)
    assert (answer.status_code, answer.json()["title"]) == (410, "This text was erased"), "nothing to hold it against"
    shown = await stack.call("physician", "GET", f"/reviews/{first}", headers={"Accept": "text/html"})
    assert (shown.status_code, document.status_code) == (200, 200)
    await bus.close()


async def test_the_timer_walks_the_trail_by_itself(nats: NatsServer) -> None:
    await nats.provision()
    kept = RetentionSettings.model_construct(retain_unfiled=timedelta(0), retain_every=timedelta(milliseconds=200))
    async with running(nats, sandbox(), retention=kept) as stack:
        case_id = await stack.discharge(stays(stack.ehr.style)[0])
        await stack.reaches(case_id, "awaiting-review")
        answer = await stack.decide(case_id, "reject", action="withdraw", reason="There is to be none.")
        assert answer.status_code == 200
        await reaches(stack, case_id, "erased")
        assert (await stack.events(case_id)).count("erasure-ordered") == 1
        assert (await stack.call("physician", "GET", f"/v1/reviews/{case_id}")).status_code == 410


async def test_a_long_trail_is_walked_in_runs_that_go_on_where_the_last_one_came_to(nats: NatsServer) -> None:
    await nats.provision()
    admin, bus = await nats.connect("admin"), await nats.connect("approval")
    journal, withdrawn = EventStore(admin, "ingest"), Withdrawn(reason="discharge-cancelled")
    cases = [CaseRef("x", f"c{number}") for number in range(MAX_CASES_PER_RUN + 3)]
    for case in cases:
        head = await journal.append(
            case, Discharged(encounter_id=case.id), after=CHAIN_START, id=f"{case.id}-1", time=T0
        )
        await journal.append(case, withdrawn, after=head, id=f"{case.id}-2", time=T0)
    retaining = await later(bus, 31, Retention({}, unfiled=30 * DAY))

    async def ordered() -> int:
        return len(await journal.stored("discharge.*.*.erasure-ordered"))

    assert await retaining.check_next_cases() is True
    assert await ordered() == MAX_CASES_PER_RUN
    assert await retaining.check_next_cases() is False
    assert await ordered() == len(cases)
    for _ in range(2):
        await retaining.check_next_cases()
    assert await ordered() == len(cases), "an order that stands is not given twice"
    for item in (bus, admin):
        await item.close()


async def test_a_run_that_is_killed_before_its_mark_orders_nothing_twice(
    nats: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    await nats.provision()
    admin, bus = await nats.connect("admin"), await nats.connect("approval")
    journal, case = EventStore(admin, "ingest"), CaseRef("x", "c1")
    head = await journal.append(case, Discharged(encounter_id="e1"), after=CHAIN_START, id="1", time=T0)
    await journal.append(case, Withdrawn(reason="discharge-cancelled"), after=head, id="2", time=T0)
    retaining = await later(bus, 31, Retention({}, unfiled=30 * DAY))
    with monkeypatch.context() as patch:

        async def killed(*_: Any, **__: Any) -> int:
            raise ConnectionResetError("killed")

        patch.setattr(Bucket, "put", killed)
        with pytest.raises(ConnectionResetError):
            await retaining.check_next_cases()
    for key in KEYS:
        assert await Bucket(bus, "reconciled").get(key) is None
    await retaining.check_next_cases()
    assert len(await journal.stored("discharge.*.*.erasure-ordered")) == 1
    for item in (bus, admin):
        await item.close()
