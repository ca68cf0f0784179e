"""The supervisor's actions on a department: rights, one effect for each request, absences across restarts and time."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from sandbox_ehr.seed import demo_encounters
from shared.runtime.authentication import Caller
from tests.support.channels import write_directory
from tests.support.ehr import sandbox
from tests.support.people import Clock
from tests.support.server import NatsServer
from tests.support.serving import run_beside, served
from tests.support.stack import Stack, running, until

pytestmark = pytest.mark.connected

URL = "http://countersign.test"
DEPARTMENT = "internal-medicine"
GEE, MOSLEY, TUCKER = "Practitioner/DR-IM-006", "Practitioner/DR-IM-002", "Practitioner/DR-IM-001"
STAYS = [stay for stay in demo_encounters() if stay.department == DEPARTMENT]
REQUEST_ID = {"request_id": "request-1"}


def person(role: Any, department: str) -> Caller:
    return Caller(
        subject=f"{role}-{department}", role=role, departments=(department,), practitioner=TUCKER, method="demo"
    )


PEOPLE = (person("supervisor", DEPARTMENT), person("supervisor", "surgery"), person("physician", DEPARTMENT))
OURS, OTHERS, PHYSICIAN = range(3)


class Browser:
    """Somebody who is signed in."""

    def __init__(self, stack: Stack) -> None:
        transport = httpx.ASGITransport(stack.app)
        self._http = httpx.AsyncClient(transport=transport, base_url=URL, headers={"Origin": URL})

    async def sign_in(self, number: int) -> "Browser":
        answer = await self._http.post("/sign-in", data={"person": number})
        assert answer.status_code == 303, answer.text
        return self

    async def get(self, path: str, **query: Any) -> httpx.Response:
        return await self._http.get(path, params=query)

    async def post(self, path: str, **fields: Any) -> httpx.Response:
        """RequestId a button, and follow to the page that says what became of it."""
        return await self._http.post(path, data=fields, follow_redirects=True)

    async def json(self, method: str, path: str, **sent: Any) -> httpx.Response:
        return await self._http.request(method, path, **sent)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def options(nats: NatsServer, tmp_path: Path, clock: Clock) -> dict[str, Any]:
    await nats.provision()
    directory = write_directory(tmp_path / "directory.yaml", "json://127.0.0.1:9/a", "json://127.0.0.1:9/b")
    return {"people": PEOPLE, "public_url": URL, "clock": clock, "directory": directory}


@pytest.fixture
async def stack(nats: NatsServer, options: dict[str, Any]) -> AsyncIterator[Stack]:
    async with running(nats, sandbox(), **options) as found:
        yield found


async def review(stack: Stack, number: int = 0) -> str:
    stay = STAYS[number]
    case_id = await stack.discharge(stay.encounter, attending=stay.attending, department=DEPARTMENT)
    await stack.reaches(case_id, "awaiting-review")
    return case_id


async def messages(stack: Stack) -> list[Any]:
    bus = await stack.server.connect("admin")
    try:
        return await bus.direct_get("NOTIFY", {"seq": 1, "next_by_subj": "notify.>", "batch": 100})
    finally:
        await bus.close()


def absence(now: datetime, hours: float = 1, **changes: Any) -> dict[str, Any]:
    period = {"starts_at": now.isoformat(), "ends_at": (now + timedelta(hours=hours)).isoformat()}
    return {"department": DEPARTMENT, "absent": GEE, "cover": TUCKER} | period | changes


async def test_the_supervisor_of_another_department_learns_and_changes_nothing(stack: Stack, clock: Clock) -> None:
    case_id = await review(stack)
    ours = await Browser(stack).sign_in(OURS)
    set_by_us = (await ours.json("POST", "/v1/absences", json=absence(clock()))).json()["id"]
    other = await Browser(stack).sign_in(OTHERS)
    refused = [
        await other.get("/department", department=DEPARTMENT),
        await other.json("GET", "/v1/absences", params={"department": DEPARTMENT}),
        await other.json("POST", "/v1/absences", json=absence(clock(), cover=MOSLEY)),
        await other.json("DELETE", f"/v1/absences/{set_by_us}"),
        await other.post(f"/department/absences/{set_by_us}/remove"),
    ]
    assert [answer.status_code for answer in refused] == [404] * 5
    assert (await other.json("GET", "/v1/absences")).json() == {"items": []}
    encounter = STAYS[0].encounter
    shown = [
        await other.get("/department"),
        await other.get("/department/absences"),
        await other.get("/department/reassign", case=case_id, **REQUEST_ID),
        await other.post("/department/reassign", case=case_id, to="DR-IM-001", reason="x", **REQUEST_ID),
        await other.post("/department/remind", case=case_id, **REQUEST_ID),
    ]
    assert [answer.status_code for answer in shown] == [200] * 5
    assert all(encounter not in answer.text and "Gee" not in answer.text for answer in shown)
    assert "There is no such case" in shown[3].text
    assert "reassigned" not in await stack.events(case_id)
    assert await messages(stack) == []


async def test_no_other_role_opens_the_area(stack: Stack, clock: Clock) -> None:
    physician = await Browser(stack).sign_in(PHYSICIAN)
    for path in ("/department", "/department/absences", "/v1/absences"):
        assert (await physician.get(path)).status_code == 403, path
    assert (await physician.post("/department/remind", case="x", **REQUEST_ID)).status_code == 403
    assert (await stack.call("auditor", "GET", "/v1/absences")).status_code == 403
    assert (await stack.call("auditor", "POST", "/v1/absences", json=absence(clock()))).status_code == 403
    assert (await stack.call("operator", "GET", "/v1/absences")).status_code == 200


async def test_a_bulk_reassignment_sent_twice_at_once_gives_each_review_away_once(stack: Stack) -> None:
    cases = [await review(stack, number) for number in range(2)]
    ours = await Browser(stack).sign_in(OURS)
    await stack.decide(cases[1], "approve")
    sent = {"case": cases, "to": "DR-IM-001", "reason": "Leave"} | REQUEST_ID
    first, second = await asyncio.gather(
        ours.post("/department/reassign", **sent), ours.post("/department/reassign", **sent)
    )
    assert first.text == second.text
    assert "1 of 2 reviews given to Dr. Jose Tucker" in first.text
    assert "Nothing was done: countersigned" in first.text
    assert (await stack.events(cases[0])).count("reassigned") == 1
    assert "reassigned" not in await stack.events(cases[1])
    assert (await stack.case(cases[0]))["owner"] == TUCKER


async def test_a_reassignment_to_nobody_the_ehr_knows_changes_nothing(stack: Stack) -> None:
    case_id = await review(stack)
    ours = await Browser(stack).sign_in(OURS)
    answer = await ours.post("/department/reassign", case=case_id, to="nobody", reason="x", **REQUEST_ID)
    assert answer.status_code == 422
    assert "The EHR knows no such practitioner" in answer.text
    assert "reassigned" not in await stack.events(case_id)


async def test_a_request_reminds_once_and_another_within_an_hour_is_refused(stack: Stack, clock: Clock) -> None:
    case_id = await review(stack)
    ours = await Browser(stack).sign_in(OURS)
    requests = [f"request-{number}" for number in (1, 1, 2, 3)]
    answers = await asyncio.gather(
        *(ours.post("/department/remind", case=case_id, request_id=item) for item in requests)
    )
    sent = {item for item, answer in zip(requests, answers, strict=True) if "1 of 1 reminder sent" in answer.text}
    assert len(sent) == 1
    assert len(await messages(stack)) == 2, "one for each channel"
    late = await ours.post("/department/remind", case=case_id, request_id="request-4")
    assert "sent a reminder a short while ago" in late.text
    clock.ahead = timedelta(minutes=61)
    await ours.sign_in(OURS)
    again = await ours.post("/department/remind", case=case_id, request_id="request-5")
    assert "1 of 1 reminder sent" in again.text
    assert len(await messages(stack)) == 4
    await stack.decide(case_id, "approve")
    clock.ahead = timedelta(hours=3)
    await ours.sign_in(OURS)
    decided = await ours.post("/department/remind", case=case_id, request_id="request-6")
    assert "Nothing was done: countersigned" in decided.text
    assert len(await messages(stack)) == 4


async def test_an_absence_is_honoured_after_a_restart_and_ends_by_itself(
    nats: NatsServer, options: dict[str, Any], clock: Clock
) -> None:
    ehr = sandbox()
    async with running(nats, ehr, **options) as stack:
        before = await review(stack, 0)
        answer = await stack.call("supervisor", "POST", "/v1/absences", json=absence(clock()))
        assert answer.status_code == 201, answer.text
        assert answer.json()["state"] == "current"
    async with running(nats, ehr, **options) as stack:
        during = await review(stack, 1)
        clock.ahead = timedelta(minutes=61)
        (ended,) = (await stack.call("operator", "GET", "/v1/absences")).json()["items"]
        after = await stack.discharge(STAYS[2].encounter, attending=GEE, department=DEPARTMENT)
        await stack.reaches(after, "awaiting-review")
        owners = [(await stack.case(case_id))["owner"] for case_id in (before, during, after)]
        tasks = {task["owner"]["reference"] for task in stack.in_chart("Task")}
        signed = await stack.decide(during, "approve")
    assert owners == [GEE, TUCKER, GEE]
    assert ended["state"] == "ended"
    assert tasks == {GEE, TUCKER}, "the EHR's inbox has the review of its owner"
    assert signed.status_code == 200


async def test_an_absence_sent_twice_is_one_and_overlapping_ones_are_refused(stack: Stack, clock: Clock) -> None:
    now = clock()
    one, other = absence(now), absence(now, hours=2, cover=MOSLEY)
    bodies = (one, one, other)
    answers = await asyncio.gather(*(stack.call("supervisor", "POST", "/v1/absences", json=body) for body in bodies))
    listed = (await stack.call("operator", "GET", "/v1/absences", params={"department": DEPARTMENT})).json()["items"]
    assert len(listed) == 1
    assert {answer.status_code for answer in answers} == {201, 409}
    removed = await stack.call("supervisor", "DELETE", f"/v1/absences/{listed[0]['id']}")
    assert (removed.status_code, removed.json()["state"]) == (200, "removed")
    case_id = await review(stack)
    assert (await stack.case(case_id))["owner"] == GEE
    unknown = await stack.call("supervisor", "POST", "/v1/absences", json=absence(now, cover="Practitioner/nobody"))
    assert unknown.status_code == 422
    backwards = await stack.call("supervisor", "POST", "/v1/absences", json=absence(now, hours=-1))
    assert backwards.status_code == 422


async def test_the_preview_of_escalations_says_who_is_away(stack: Stack, clock: Clock) -> None:
    case_id = await review(stack)
    await stack.call("supervisor", "POST", "/v1/absences", json=absence(clock()))
    (away,) = (await stack.call("operator", "GET", f"/v1/reviews/{case_id}/escalations")).json()["away"]
    assert (away["absent"], away["cover"]) == (GEE, TUCKER)


async def test_figures_of_the_department_are_known_again_after_a_restart(
    nats: NatsServer, options: dict[str, Any]
) -> None:
    ehr = sandbox()
    async with running(nats, ehr, **options) as stack:
        case_id = await review(stack)
        assert (await stack.decide(case_id, "approve")).status_code == 200
    async with running(nats, ehr, **options) as stack:
        for number, signed in ((OURS, 1), (OTHERS, 0)):
            browser = await Browser(stack).sign_in(number)

            async def shown(browser: Browser = browser, signed: int = signed) -> bool:
                text = (await browser.get("/department")).text
                return f'<td data-column="Signed">{signed}</td>' in text and "Still reading" not in text

            await until(shown, "the figures")


async def test_a_taken_over_review_stays_with_its_attending(nats: NatsServer, options: dict[str, Any]) -> None:
    soon = (timedelta(seconds=0.1), timedelta(seconds=0.2), timedelta(seconds=0.3))
    async with running(nats, sandbox(), soon, **options) as stack:
        case_id = await review(stack)

        async def taken_over() -> bool:
            return (await stack.events(case_id)).count("escalated") == 3

        await until(taken_over, "the takeover")
        browser = await Browser(stack).sign_in(OURS)

        async def shown() -> str:
            text = (await browser.get("/department", age="taken-over")).text
            return text if "taken over</span>" in text else ""

        text = await until(shown, "the page to show it")
        assert "Dr. Maxine Gee" in text
        assert "now with boss" in text
        assert "attending Dr. Maxine Gee" in (await browser.get("/")).text
        timeline = (await browser.get(f"/reviews/{case_id}")).text
        words = ("the supervisor was notified<", "the supervisor was notified again<", "the supervisor took over<")
        assert [timeline.count(item) for item in words] == [1, 1, 1]


async def test_the_command(stack: Stack, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    token = tmp_path / "token"
    token.write_text(stack.server.secrets.tokens["operator"])
    case_id = await review(stack)
    async with served(stack.app) as base:
        monkeypatch.setenv("COUNTERSIGN_URL", base)
        monkeypatch.setenv("COUNTERSIGN_TOKEN_FILE", str(token))

        async def output(*words: str, code: int = 0) -> Any:
            done = await run_beside(*words)
            assert done.code == code, done
            return json.loads(done.out) if "--json" in words else done.out

        assert await output("absences", "list") == "there is no absence\n"
        until = (clock() + timedelta(days=1)).isoformat()
        given = ("--cover", TUCKER, "--department", DEPARTMENT, "--until", until)
        added = await output("absences", "add", GEE, *given, "--json")
        assert added["state"] == "current"
        assert added["id"] in await output("absences", "list", "--department", DEPARTMENT)
        assert f"new reviews go to {TUCKER}" in await output("escalations", "preview", case_id)
        assert "removed" in await output("absences", "remove", added["id"])
        await output("absences", "remove", case_id, code=2)
