"""The operator's pages and the API of the system: who may see them, and effects that happen once."""

from dataclasses import replace
from typing import Any

import httpx
import pytest

from services.approval.dependencies import ApiDependencies
from shared.messaging.dead_letters import DeadLetters, read_all
from shared.runtime.authentication import ApiToken, ApiTokens, Authenticator, token_digest
from tests.connected.test_operations import bury_reports, fail, report
from tests.support.stack import Stack

pytestmark = pytest.mark.connected

PAGES = (
    "/dead-letters",
    "/dead-letters/1",
    "/dead-letters/preview?do=redrive&n=1",
    "/dead-letters/results?do=redrive&n=1",
)
POSTS = {
    "/dead-letters/apply": {"do": "discard", "n": "1", "reason": "r"},
    "/system/ehr-decisions": {"hold": "true", "reason": "r"},
}
REASON = "the EHR is back"


async def letters(stack: Stack) -> DeadLetters:
    bus = await stack.server.connect("operator")
    try:
        return await read_all(bus)
    finally:
        await bus.close()


async def page(stack: Stack, path: str, role: str = "operator") -> httpx.Response:
    return await stack.call(role, "GET", path)


async def send(stack: Stack, path: str, **form: Any) -> httpx.Response:
    return await stack.call("operator", "POST", path, data=form)


async def test_only_operators_see_dead_letters_and_only_they_and_auditors_the_system(stack: Stack) -> None:
    await bury_reports(stack.server, report(1))
    for role in ("physician", "supervisor", "auditor", "ingest"):
        for path in PAGES:
            assert (await page(stack, path, role)).status_code == 403, (role, path)
        for path, form in POSTS.items():
            assert (await stack.call(role, "POST", path, data=form)).status_code == 403, (role, path)
    for path in ("/system", "/alerts", "/v1/topology", "/v1/schedules"):
        for role, status in {
            "physician": 403,
            "supervisor": 403,
            "ingest": 403,
            "auditor": 200,
            "operator": 200,
        }.items():
            assert (await page(stack, path, role)).status_code == status, (role, path)
    unknown = await page(stack, "/v1/alerts", "auditor")
    assert (unknown.status_code, "COUNTERSIGN_PROMETHEUS_URL" in unknown.json()["detail"]) == (503, True)
    assert "Hold decisions" not in (await page(stack, "/system", "auditor")).text
    assert {item.state for item, _, _ in (await letters(stack)).values()} == {"waiting"}
    assert (await stack.call("operator", "GET", "/v1/ehr-decisions")).json()["held"] is False


async def test_what_was_previewed_is_done_once_and_nothing_else(stack: Stack) -> None:
    await bury_reports(stack.server, report(1), b"junk", report(3))
    query = "do=redrive&every=yes&consumer=ingest-discharged"
    shown = (await page(stack, f"/dead-letters/preview?{query}")).text
    assert "Redrive 2 dead letters?" in shown
    assert 'name="n" value="1,3"' in shown
    assert "would fail again" in shown
    assert {item.state for item, _, _ in (await letters(stack)).values()} == {"waiting"}
    await bury_reports(stack.server, report(1), report(2), report(3), report(4))  # after the preview; three are known
    first = await send(stack, "/dead-letters/apply", do="redrive", n="1,3", reason=REASON)
    assert (first.status_code, first.headers["location"]) == (303, "/dead-letters/results?do=redrive&n=1%2C3")
    again = await send(stack, "/dead-letters/apply", do="redrive", n="1,3", reason="sent twice")
    assert again.headers["location"] == first.headers["location"]
    found = {number: item for number, (item, _, _) in (await letters(stack)).items() if item.stream == "EHR"}
    assert {number for number, item in found.items() if not item.waits} == {1, 3}
    assert {item.why for item in found.values() if not item.waits} == {REASON}
    bus = await stack.server.connect("operator")
    query_all = {"seq": 1, "next_by_subj": "ehr.encounter.discharged.x.*", "batch": 9}
    assert [item.data for item in await bus.direct_get("EHR", query_all)] == [report(1), report(3)]
    await bus.close()
    results = (await page(stack, first.headers["location"])).text
    assert "2 of 2 redriven" in results
    assert REASON in results
    other = await send(stack, "/dead-letters/apply", do="discard", n="1,2", reason="junk")
    mixed = (await page(stack, other.headers["location"])).text
    assert "1 of 2 discarded" in mixed
    assert "it was redriven before" in mixed


async def test_one_letter_is_resolved_on_its_page_without_its_body(stack: Stack) -> None:
    await bury_reports(stack.server, b"Hernandez")
    assert "Hernandez" not in (shown := await page(stack, "/dead-letters/1")).text
    assert "not possible." in shown.text
    done = await send(stack, "/dead-letters/apply", do="redrive", n="1", reason="r")
    assert done.headers["location"] == "/dead-letters/1?tried=redrive"
    assert "Not redriven: Dead letter 1 would fail again" in (await page(stack, done.headers["location"])).text
    done = await send(stack, "/dead-letters/apply", do="discard", n="1", reason="r")
    assert "Discarded by demo-operator" in (await page(stack, done.headers["location"])).text


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/dead-letters/99", 404),
        ("/dead-letters?state=lost", 422),
        ("/dead-letters?since=soon", 422),
        ("/dead-letters/preview?do=burn&n=1", 422),
        ("/dead-letters/preview?do=redrive&n=1-999", 422),
        ("/dead-letters/preview?do=redrive", 303),
    ],
)
async def test_what_cannot_be_shown_is_a_page(stack: Stack, path: str, status: int) -> None:
    answer = await page(stack, path)
    assert (answer.status_code, answer.headers.get("content-type", "text/html").partition(";")[0]) == (
        status,
        "text/html",
    )


async def test_a_reason_is_needed(stack: Stack) -> None:
    await bury_reports(stack.server, report(1))
    assert (await send(stack, "/dead-letters/apply", do="discard", n="1", reason="  ")).status_code == 422
    assert (await send(stack, "/system/ehr-decisions", hold="true", reason="  ")).status_code == 422
    assert [item.state for item, _, _ in (await letters(stack)).values()] == ["waiting"]


async def test_the_topology_is_that_of_the_server(stack: Stack) -> None:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    shown = (await stack.call("auditor", "GET", "/v1/topology")).json()
    bus = await stack.server.connect("admin")
    try:
        listed = {str(item.config.name): item for item in await bus.jetstream.streams_info()}
        consumers = {
            str(item.name)
            for name in listed
            for item in await bus.jetstream.consumers_info(name)
            if item.config.durable_name
        }
    finally:
        await bus.close()
    assert {item["name"] for item in shown["streams"]} == listed.keys()
    assert {item["name"] for item in shown["consumers"]} == consumers
    assert "missing" not in {item["state"] for item in shown["consumers"]}
    by_name = {item["name"]: item for item in shown["consumers"]}
    assert by_name["approval-file"]["workers_waiting"] > 0
    assert by_name["evaluator-judge"]["state"] == "unserved"  # no evaluator runs here
    (events,) = [item for item in shown["streams"] if item["name"] == "DISCHARGE"]
    assert 0 < events["messages"] <= listed["DISCHARGE"].state.messages
    assert [(item["name"], item["sync_always"]) for item in shown["servers"]] == [("countersign", True)]


async def test_schedules_are_those_that_are_set(stack: Stack) -> None:
    items = (await stack.call("auditor", "GET", "/v1/schedules")).json()["items"]
    states = {item["job"]: item["state"] for item in items}
    assert states == {
        "tasks": "scheduled",
        "checkpoint": "off",
        "retention": "off",
        "preparations": "scheduled",
        "poll": "scheduled",
    }
    tasks = next(item for item in items if item["job"] == "tasks")
    assert (tasks["every"], tasks["set_at"] < tasks["next_at"]) == ("0:05:00", True)


async def test_decisions_of_the_ehr_are_held_once_from_the_page(stack: Stack) -> None:
    settings = []
    for _ in range(2):
        answer = await send(stack, "/system/ehr-decisions", hold="true", reason="after the restore")
        assert (answer.status_code, answer.headers["location"]) == (303, "/system?note=held")
        settings.append((await stack.call("operator", "GET", "/v1/ehr-decisions")).json())
    assert settings[0] == settings[1]  # also the time
    assert settings[0]["held"] is True
    assert "after the restore" in (await page(stack, "/system")).text


async def test_an_operator_of_a_department_works_on_its_own_cases_alone(stack: Stack) -> None:
    await bury_reports(stack.server, report(1))  # of no case: it belongs to the whole installation
    case_id = await fail(stack)
    act_as = {"ward": ("internal-medicine",), "other": ("surgery",)}
    tokens = [
        ApiToken(subject=name, role="operator", sha256=token_digest(name), departments=departments)
        for name, departments in act_as.items()
    ]
    provided = stack.app.state.provided
    authenticator = Authenticator(ApiTokens(tokens=tuple(tokens)))
    provided[ApiDependencies] = replace(provided[ApiDependencies], authenticator=authenticator)
    shown = {}
    for name in act_as:
        bearer = {"Authorization": f"Bearer {name}"}
        listed = (await stack.http.get("/dead-letters", headers=bearer)).text
        previewed = await stack.http.get("/dead-letters/preview?do=discard&n=1-2", headers=bearer)
        shown[name] = (case_id in listed, "no JSON" in listed, previewed.status_code)
        form = {"do": "discard", "n": "1,2" if name == "other" else "1", "reason": "r"}
        assert (await stack.http.post("/dead-letters/apply", data=form, headers=bearer)).status_code == 303
        held = await stack.http.post("/system/ehr-decisions", data={"hold": "true", "reason": "r"}, headers=bearer)
        assert held.status_code == 403
    assert shown == {"ward": (True, False, 200), "other": (False, False, 303)}
    assert {item.state for item, _, _ in (await letters(stack)).values()} == {"waiting"}
