"""The HTTP API of operators: dead letters, retries, decisions of the EHR. Asked twice, done once, by a known person."""

import hashlib
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.approval.dependencies import ApiDependencies
from services.approval.operations import service
from shared.contracts.errors import TransientError
from shared.contracts.events import Retried
from shared.messaging import operator_requests
from shared.messaging.dead_letter_queue import FailedMessage, dead_letter
from shared.messaging.dead_letters import read_all
from shared.messaging.topology import consumer
from shared.runtime.authentication import ApiToken, ApiTokens, Authenticator, token_digest
from shared.runtime.service import create_app
from tests.support.backup import as_user
from tests.support.ehr import sandbox, stays
from tests.support.generator import ScriptedGenerator
from tests.support.server import NatsServer
from tests.support.stack import Stack, build_services

pytestmark = pytest.mark.connected

SECRET = "Hernandez"  # of a patient; stands in a body
REASON = {"reason": "the mail server is back"}
BOSS = "demo-operator"  # whom the operator's token belongs to


async def bury(
    nats: NatsServer, name: str, subject: str, body: bytes, reason: str = "the fact breaks the contract"
) -> None:
    """Put a message of a consumer among the dead letters, as its service does."""
    failed, headers = consumer(name), {"ce-id": "f1", "patient": SECRET}
    async with as_user(nats, failed.service) as bus:
        await dead_letter(bus, failed, FailedMessage(failed.stream, 1, subject, headers, body), reason, 3)


async def bury_reports(nats: NatsServer, *bodies: bytes) -> None:
    for number, body in enumerate(bodies, 1):
        failed = consumer("ingest-discharged")
        async with as_user(nats, "ingest") as bus:
            original = FailedMessage("EHR", number, f"ehr.encounter.discharged.x.e{number}", {}, body)
            await dead_letter(bus, failed, original, "no JSON", 1)


def report(number: int) -> bytes:
    return json.dumps({"encounter_id": f"e{number}"}).encode()


async def act(stack: Stack, path: str, **body: Any) -> httpx.Response:
    return await stack.call("operator", "POST", f"/v1/dead-letters/{path}", json=body)


async def listed(stack: Stack, **query: Any) -> list[int]:
    answer = await stack.call("operator", "GET", "/v1/dead-letters", params=query)
    assert answer.status_code == 200, answer.text
    return [item["sequence"] for item in answer.json()["items"]]


async def test_dead_letters_are_listed_by_filter_and_page_without_the_patients_data(stack: Stack) -> None:
    await bury_reports(stack.server, b"1", b"2")
    body = json.dumps({"text": f"Dear Mr. {SECRET}"}).encode()
    await bury(stack.server, "approval-deliver", "notify.c1.e1.k1", body, "Connection TIMED OUT")
    assert await listed(stack) == [1, 2, 3]
    first = (await stack.call("operator", "GET", "/v1/dead-letters", params={"limit": 2})).json()
    assert ([item["sequence"] for item in first["items"]], first["next"]) == ([1, 2], "2")
    rest = (await stack.call("operator", "GET", "/v1/dead-letters", params={"limit": 2, "after": "2"})).json()
    assert ([item["sequence"] for item in rest["items"]], rest["next"]) == ([3], None)
    assert await listed(stack, stream="NOTIFY") == [3]
    assert await listed(stack, consumer="ingest-discharged") == [1, 2]
    assert await listed(stack, reason="timed out") == [3]
    soon = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert await listed(stack, since=soon) == []
    assert await listed(stack, before=soon, stream="NOTIFY") == [3]
    assert await listed(stack, state="discarded") == []
    shown = await stack.call("operator", "GET", "/v1/dead-letters/3")
    found = shown.json()
    assert (found["size"], found["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
    assert found["headers"] == {"ce-id": "f1"}
    assert SECRET not in shown.text


PROBLEMS: list[tuple[str, str, dict[str, Any], int]] = [
    ("GET", "/v1/dead-letters/99", {}, 404),
    ("GET", "/v1/dead-letters/0", {}, 422),
    ("GET", "/v1/dead-letters?after=x", {}, 422),
    ("GET", "/v1/dead-letters?since=2026-11-28T03:00:00", {}, 422),
    ("POST", "/v1/dead-letters/99/redrive", REASON, 404),
    ("POST", "/v1/dead-letters/1/redrive", {}, 422),
    ("POST", "/v1/dead-letters/1/discard", {"reason": "  "}, 422),
    ("POST", "/v1/dead-letters/1/discard", {"reason": "w", "by": "somebody else"}, 422),
    ("POST", "/v1/dead-letters/redrive", REASON | {"dry_run": True}, 422),  # everything
    ("POST", "/v1/dead-letters/redrive", REASON | {"consumer": "x"}, 422),  # neither preview nor not
    ("POST", "/v1/cases/nobody/retry", {}, 404),
    ("PUT", "/v1/ehr-decisions", {"held": True}, 422),
]


async def test_what_cannot_be_asked_is_a_problem(stack: Stack) -> None:
    for method, path, sent, status in PROBLEMS:
        answer = await stack.call("operator", method, path, json=sent or None)
        found = (answer.status_code, answer.headers["content-type"])
        assert found == (status, "application/problem+json"), (path, answer.text)


async def test_the_api_documents_the_problems_that_it_sends(stack: Stack) -> None:
    paths = (await stack.http.get("/openapi.json")).json()["paths"]
    for path in ("/v1/dead-letters", "/v1/dead-letters/{sequence}/redrive", "/v1/dead-letters/redrive"):
        for operation in paths[path].values():
            problems = {status: set(item["content"]) for status, item in operation["responses"].items() if status > "4"}
            assert problems.keys() >= {"401", "403", "422", "503"}
            assert all(kinds == {"application/problem+json"} for kinds in problems.values()), path
    assert "409" in paths["/v1/cases/{case_id}/retry"]["post"]["responses"]


async def test_only_operators_repair(stack: Stack) -> None:
    paths = (
        "/v1/dead-letters/redrive",
        "/v1/dead-letters/1/redrive",
        "/v1/dead-letters/1/discard",
        "/v1/cases/c/retry",
    )
    calls = [*(("POST", path) for path in paths), ("GET", "/v1/dead-letters"), ("GET", "/v1/dead-letters/1")]
    for role in ("physician", "supervisor", "auditor", "ingest"):
        for method, path in (*calls, ("GET", "/v1/ehr-decisions"), ("PUT", "/v1/ehr-decisions")):
            answer = await stack.call(role, method, path, json={} if method != "GET" else None)
            assert answer.status_code == 403, (role, path)


async def fail(stack: Stack) -> str:
    """A case that fails, because the EHR has no such encounter yet; it has one when this returns."""
    case_id = await stack.discharge("not-there-yet")
    await stack.reaches(case_id, "failed")
    encounter = stack.ehr.store.get("Encounter", stays()[0])
    assert encounter is not None
    stack.ehr.store.put(encounter | {"id": "not-there-yet"})
    return case_id


async def test_a_redrive_resumes_the_case_once_and_names_the_caller(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    case_id = await fail(stack)
    (letter,) = (await stack.call("operator", "GET", "/v1/dead-letters")).json()["items"]
    assert (letter["case_id"], letter["department"]) == (case_id, "internal-medicine")
    planned = (await act(stack, "1/redrive", **REASON, dry_run=True)).json()
    assert (planned["outcome"], planned["detail"]) == ("planned", f"case {case_id} would try extract again")
    assert (await stack.case(case_id))["state"] == "failed"

    async def dies(*_: object) -> None:
        raise TransientError("killed")

    with monkeypatch.context() as patch:
        patch.setattr(operator_requests, "resolve", dies)
        assert (await act(stack, "1/redrive", **REASON)).status_code == 503
    await stack.reaches(case_id, "awaiting-review")
    again = (await act(stack, "1/redrive", **REASON)).json()
    assert (again["outcome"], again["by"]) == ("redriven", BOSS)
    third = (await act(stack, "1/redrive", **REASON)).json()
    assert (third["outcome"], third["by"]) == ("redriven", BOSS)
    assert third["detail"].startswith("was redriven before, at 20")
    refused = await act(stack, "1/discard", **REASON)
    assert (refused.status_code, "was redriven before" in refused.json()["detail"]) == (409, True)
    bus, journal = await stack.journal()
    (retried,) = [item.body for item in await journal.find(case_id) if isinstance(item.body, Retried)]
    await bus.close()
    actor = retried.by
    assert (actor.subject, actor.role, actor.method) == (BOSS, "operator", "token")
    (listed,) = (await stack.call("operator", "GET", "/v1/dead-letters", params={"state": "all"})).json()["items"]
    assert (listed["state"], listed["by"], listed["why"]) == ("redriven", BOSS, REASON["reason"])


async def test_a_discarded_letter_stays_discarded_and_its_case_can_be_retried(stack: Stack) -> None:
    case_id = await fail(stack)
    done = (await act(stack, "1/discard", **REASON)).json()
    assert (done["outcome"], done["by"]) == ("discarded", BOSS)
    assert f"case {case_id} stays failed" in done["detail"]
    assert (await act(stack, "1/discard", **REASON)).json()["outcome"] == "discarded"
    assert (await act(stack, "1/redrive", **REASON)).status_code == 409
    retry = f"/v1/cases/{case_id}/retry"
    assert (await stack.call("operator", "POST", retry)).json()["detail"] == f"case {case_id} tries extract again"
    await stack.reaches(case_id, "awaiting-review")
    assert "was retried before" in (await stack.call("operator", "POST", retry)).json()["detail"]
    assert (await stack.events(case_id)).count("retried") == 1
    other = await stack.discharge()
    await stack.reaches(other, "awaiting-review")
    refused = await stack.call("operator", "POST", f"/v1/cases/{other}/retry")
    assert (refused.status_code, "no failed step" in refused.json()["detail"]) == (409, True)


async def test_many_are_previewed_and_redriven_by_the_service_that_owns_them(stack: Stack) -> None:
    await bury_reports(stack.server, report(1), b"junk", report(3))
    which = {"consumer": "ingest-discharged", "reason_contains": "JSON"} | REASON
    preview = (await act(stack, "redrive", **which, dry_run=True)).json()
    assert [item["outcome"] for item in preview["items"]] == ["planned", "refused", "planned"]
    assert preview["items"][0]["detail"] == "would be published again on ehr.encounter.discharged.x.e1"
    assert await listed(stack) == [1, 2, 3]
    page = (await act(stack, "redrive", **which, dry_run=False, up_to=2, limit=1)).json()
    assert ([item["outcome"] for item in page["items"]], page["next"]) == (["redriven"], "1")
    rest = (await act(stack, "redrive", **which, dry_run=False, up_to=2, limit=1, after=page["next"])).json()
    assert ([item["outcome"] for item in rest["items"]], rest["next"]) == (["refused"], None)
    assert "would fail again" in rest["items"][0]["detail"]
    bus = await stack.server.connect("operator")
    letters = await read_all(bus)
    assert {number: letters[number][0].state for number in (1, 2, 3)} == {1: "redriven", 2: "waiting", 3: "waiting"}
    assert (letters[1][0].by, letters[1][0].why) == (BOSS, REASON["reason"])
    (fact,) = await bus.direct_get("EHR", {"seq": 1, "next_by_subj": "ehr.encounter.discharged.x.e1", "batch": 9})
    assert fact.data == report(1)
    await bus.close()
    gone = (
        await act(
            stack, "discard", consumer="ingest-discharged", before="2100-01-01T00:00:00Z", **REASON, dry_run=False
        )
    ).json()
    assert [(item["sequence"], item["outcome"]) for item in gone["items"] if item["sequence"] < 4] == [
        (2, "discarded"),
        (3, "discarded"),
    ]


@pytest.fixture
async def without_ingest(nats: NatsServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stack]:
    """Approval alone."""
    monkeypatch.setattr(service, "INGEST_TIMEOUT", 1.0)
    await nats.provision()
    ehr, generator = sandbox(), ScriptedGenerator()
    *_, approval = build_services(nats, ehr, generator)
    app = create_app([approval])
    async with app.router.lifespan_context(app):
        found = Stack(nats, app, ehr, generator)
        yield found
        await found.http.aclose()


async def test_where_ingest_does_not_answer_nothing_is_lost_and_the_page_is_repeated(without_ingest: Stack) -> None:
    await bury_reports(without_ingest.server, *map(report, range(1, 21)))
    which = {"consumer": "ingest-discharged", **REASON, "dry_run": False}
    page = (await act(without_ingest, "redrive", **which)).json()
    assert {item["outcome"] for item in page["items"]} == {"unavailable"}
    assert (len(page["items"]), page["next"]) == (16, "0")
    assert "ingest service does not answer" in page["items"][0]["detail"]
    alone = await act(without_ingest, "1/redrive", **REASON)
    assert (alone.status_code, "ingest" in alone.json()["detail"]) == (503, True)
    assert await listed(without_ingest) == list(range(1, 21))
    assert (await act(without_ingest, "1/discard", **REASON)).json()["outcome"] == "discarded"


async def test_an_operator_of_a_department_sees_the_letters_of_its_cases_alone(stack: Stack) -> None:
    case_id = await fail(stack)
    await bury_reports(stack.server, report(1))
    tokens = {"ward": ("internal-medicine",), "other": ("surgery",)}
    grants = [
        ApiToken(subject=name, role="operator", sha256=token_digest(name), departments=departments)
        for name, departments in tokens.items()
    ]
    provided = stack.app.state.provided
    authenticator = Authenticator(ApiTokens(tokens=tuple(grants)))
    provided[ApiDependencies] = replace(provided[ApiDependencies], authenticator=authenticator)
    seen = {}
    for name in tokens:
        answer = await stack.http.get("/v1/dead-letters", headers={"Authorization": f"Bearer {name}"})
        seen[name] = [item["case_id"] for item in answer.json()["items"]]
    assert seen == {"ward": [case_id], "other": []}
    body, whole = {"held": True, "reason": "w"}, {"Authorization": "Bearer ward"}
    assert (await stack.http.put("/v1/ehr-decisions", json=body, headers=whole)).status_code == 403
    for path, status in (("1/redrive", 404), ("1/discard", 404)):
        answer = await stack.http.post(
            f"/v1/dead-letters/{path}", json=REASON, headers={"Authorization": "Bearer other"}
        )
        assert answer.status_code == status


async def test_decisions_in_the_ehr_are_held_and_allowed_by_the_caller(stack: Stack) -> None:
    async def show() -> dict[str, Any]:
        found: dict[str, Any] = (await stack.call("operator", "GET", "/v1/ehr-decisions")).json()
        return found

    assert await show() == {"held": False, "by": None, "at": None, "why": None}
    body = {"held": True, "reason": "after the restore"}
    first = (await stack.call("operator", "PUT", "/v1/ehr-decisions", json=body)).json()
    assert (first["held"], first["by"], first["why"]) == (True, BOSS, "after the restore")
    assert (await stack.call("operator", "PUT", "/v1/ehr-decisions", json=body)).json() == first == await show()
    await stack.call("operator", "PUT", "/v1/ehr-decisions", json={"held": False, "reason": "compared"})
    assert (await show())["held"] is False
