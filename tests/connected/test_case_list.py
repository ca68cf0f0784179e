"""The list of all cases, by the API and on the pages of operators: whole, by rights, and every effect once."""

import asyncio
import re
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import httpx
import pytest

from services.approval.dependencies import ApiDependencies
from services.approval.web.case_search import BUILT_IN
from shared.contracts.envelope import CHAIN_START, ChainHead, encode
from shared.contracts.events import Retried
from shared.contracts.subjects import CaseRef
from shared.messaging.artifacts import Artifacts
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import STREAM, EventStore
from shared.runtime.authentication import ApiToken, ApiTokens, Authenticator, token_digest
from tests.support.backup import as_user
from tests.support.corrections import filed
from tests.support.ehr import sandbox, stays
from tests.support.examples import T0, event
from tests.support.server import NatsServer
from tests.support.stack import Stack, running, until

pytestmark = pytest.mark.connected

OLD = CaseRef("cardiology", str(UUID(int=1)))
NEWER = 2_500  # events of other cases; the list once read the last 2,000
WHY = "the encounter is in the EHR now"


async def listed(stack: Stack, role: str = "operator", **query: Any) -> list[str]:
    answer = await stack.call(role, "GET", "/v1/cases", params=query)
    assert answer.status_code == 200, answer.text
    return [item["case_id"] for item in answer.json()["items"]]


async def fail(stack: Stack) -> str:
    """A case that fails, because the EHR has no such encounter yet; it has one when this returns."""
    case_id = await stack.discharge("not-there-yet")
    await stack.reaches(case_id, "failed")
    encounter = stack.ehr.store.get("Encounter", stays()[0])
    assert encounter is not None
    stack.ehr.store.put(encounter | {"id": "not-there-yet"})
    return case_id


async def wait_long_ago(bus: NatsConnection) -> None:
    """Append an old case that waits for a signature, and thousands of newer events of other cases."""
    head, store = CHAIN_START, EventStore(bus, "admin")
    for name in ("discharged", "context-extracted", "drafted", "review-requested"):
        head = await store.append(OLD, event(name), after=head, id=f"old-{name}", time=T0)
    places = asyncio.Semaphore(200)

    async def add(number: int) -> None:
        ref = CaseRef("surgery", str(UUID(int=number)))
        headers, body = encode(ref, event("closed"), id=f"n{number}", source="x", time=T0, after=ChainHead(0, ""))
        async with places:
            await bus.publish(ref.subject("closed"), body, stream=STREAM, headers=headers)

    await asyncio.gather(*map(add, range(2, NEWER + 2)))


async def test_a_case_that_waits_is_found_among_thousands_of_newer_events(nats: NatsServer) -> None:
    await nats.provision()
    async with as_user(nats, "admin") as bus:
        await wait_long_ago(bus)
    async with running(nats, sandbox()) as stack:

        async def complete() -> bool:
            return bool((await stack.call("operator", "GET", "/v1/cases")).json()["complete"])

        await until(complete, "the index")
        assert await listed(stack, state="awaiting-review") == [OLD.id]
        assert await listed(stack, encounter="Encounter/e1") == [OLD.id]
        found, cursor = [], None
        while True:
            query = {"limit": 200} | ({"after": cursor} if cursor else {})
            answer = (await stack.call("auditor", "GET", "/v1/cases", params=query)).json()
            found += [item["case_id"] for item in answer["items"]]
            if (cursor := answer["next"]) is None:
                break
        assert len(found) == len(set(found)) == NEWER + 1
        assert found[-1] == OLD.id
        page = await stack.call("operator", "GET", "/cases?state=awaiting-review")
        assert f'href="/cases/{OLD.id}"' in page.text
        assert re.search(rf"All <b>{NEWER + 1}</b>", page.text)


INVALID = (
    {"state": "lost"},
    {"stat": "failed"},
    {"after": "x"},
    {"limit": 0},
    {"limit": 201},
    {"since": "2026-11-28T03:00:00"},
    {"department": "No Such!"},
)


async def test_filters_are_combined_and_what_is_not_one_is_refused(stack: Stack) -> None:
    done = await filed(stack)
    failed = await fail(stack)
    assert await listed(stack) == [failed, done]
    assert await listed(stack, state=["filed", "failed"]) == [failed, done]
    assert await listed(stack, state="filed", department="internal-medicine") == [done]
    assert await listed(stack, state="filed", department="surgery") == []
    assert await listed(stack, encounter="not-there-yet") == [failed]
    assert await listed(stack, case=done) == [done]
    (line,) = (await stack.call("operator", "GET", "/v1/cases", params={"state": "failed"})).json()["items"]
    last = (await stack.case(failed))["events"][-1]
    assert (line["failed_step"], line["failure"]) == ("extract", last["detail"]["reason"])
    assert line["time"] == line["since"] == last["time"]
    assert await listed(stack, since=line["time"]) == [failed]
    assert await listed(stack, until=line["time"]) == [done]
    assert await listed(stack, unchanged_since=line["since"]) == [failed, done]
    for wrong in INVALID:
        answer = await stack.call("operator", "GET", "/v1/cases", params=wrong)
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), wrong


def of_departments(stack: Stack, **tokens: str) -> Callable[..., Awaitable[httpx.Response]]:
    """Return a client of operators of one department each."""
    grants = [
        ApiToken(subject=name, role="operator", sha256=token_digest(name), departments=(department,))
        for name, department in tokens.items()
    ]
    provided = stack.app.state.provided
    authenticator = Authenticator(ApiTokens(tokens=tuple(grants)))
    provided[ApiDependencies] = replace(provided[ApiDependencies], authenticator=authenticator)

    async def call(name: str, method: str, path: str, **sent: Any) -> httpx.Response:
        return await stack.http.request(method, path, headers={"Authorization": f"Bearer {name}"}, **sent)

    return call


async def test_an_operator_of_one_department_finds_its_cases_only(stack: Stack) -> None:
    case_id = await fail(stack)
    call = of_departments(stack, ward="internal-medicine", other="surgery")
    for path in ("/v1/cases", f"/v1/cases?case={case_id}", "/cases", "/cases?q=not-there-yet"):
        assert case_id in (await call("ward", "GET", path)).text, path
        assert case_id not in (await call("other", "GET", path)).text, path
    assert (await call("ward", "GET", f"/cases/{case_id}")).status_code == 200
    assert (await call("other", "GET", f"/cases/{case_id}")).status_code == 404
    form = {"seen": "1", "reason": WHY}
    assert (await call("other", "POST", f"/cases/{case_id}/retry", data=form)).status_code == 404
    assert "retried" not in await stack_events(stack, case_id)


async def stack_events(stack: Stack, case_id: str) -> list[str]:
    bus, journal = await stack.journal()
    names = [item.name for item in await journal.find(case_id)]
    await bus.close()
    return names


async def test_the_pages_are_for_operators_and_auditors_and_an_auditor_changes_nothing(stack: Stack) -> None:
    case_id = await fail(stack)
    for role in ("physician", "supervisor", "ingest"):
        for path in ("/cases", f"/cases/{case_id}"):
            assert (await stack.call(role, "GET", path)).status_code == 403, role
    form = {"seen": "1", "reason": WHY, "to": "DR-IM-002"}
    for role in ("physician", "supervisor", "auditor", "ingest"):
        for path in ("retry", "reassign"):
            answer = await stack.call(role, "POST", f"/cases/{case_id}/{path}", data=form)
            assert answer.status_code == 403, (role, path)
    page = (await stack.call("auditor", "GET", f"/cases/{case_id}")).text
    assert "gave up" in page
    assert 'method="post" action="/cases' not in page
    assert (await stack.call("operator", "GET", "/cases/nobody")).status_code == 404
    assert (await stack.call("operator", "GET", "/cases?stat=failed")).status_code == 422


async def test_no_page_shows_what_is_in_the_draft(stack: Stack) -> None:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    review = await stack.review(case_id)
    texts = [item["text"] for item in review["draft"]["sentences"]]
    patient = re.search(r"Patient: ([^,]+),", review["draft"]["text"])
    assert patient is not None
    assert texts
    for path in ("/cases", f"/cases/{case_id}", f"/v1/cases/{case_id}", "/v1/cases"):
        shown = (await stack.call("operator", "GET", path)).text
        assert case_id in shown
        assert patient[1] not in shown
        assert not [text for text in texts if text in shown], path


async def retry(stack: Stack, case_id: str, seen: int, **form: str) -> httpx.Response:
    sent = {"seen": str(seen), "reason": WHY} | form
    return await stack.call("operator", "POST", f"/cases/{case_id}/retry", data=sent)


async def last_seen(stack: Stack, case_id: str) -> int:
    """The failure that the page of the case shows."""
    page = (await stack.call("operator", "GET", f"/cases/{case_id}")).text
    found = re.search(r'name="seen" value="(\d+)"', page)
    assert found is not None
    return int(found[1])


async def test_a_retry_is_done_once_with_the_reason_beside_the_dead_letter(stack: Stack) -> None:
    case_id = await fail(stack)
    seen = await last_seen(stack, case_id)
    assert (await retry(stack, case_id, seen, reason=" ")).status_code == 422
    assert (await retry(stack, case_id, seen + 1)).status_code == 409
    assert await stack.events(case_id) == ["discharged", "failed"]
    for _ in range(2):
        answer = await retry(stack, case_id, seen)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/cases/{case_id}?done=retried")
    await stack.reaches(case_id, "awaiting-review")
    assert (await retry(stack, case_id, seen)).status_code == 303
    assert (await stack.events(case_id)).count("retried") == 1
    (letter,) = (await stack.call("operator", "GET", "/v1/dead-letters?state=all")).json()["items"]
    assert (letter["state"], letter["by"], letter["why"]) == ("redriven", "demo-operator", WHY)
    page = (await stack.call("operator", "GET", f"/cases/{case_id}")).text
    assert f"“{WHY}”" in page


@pytest.mark.parametrize("way", ["page", "api"])
async def test_without_a_dead_letter_the_reason_is_kept_with_the_case(stack: Stack, way: str) -> None:
    case_id = await fail(stack)
    await stack.call("operator", "POST", "/v1/dead-letters/1/discard", json={"reason": "not needed"})
    seen = await last_seen(stack, case_id)
    for _ in range(2):
        if way == "page":
            answer = await retry(stack, case_id, seen)
        else:
            answer = await stack.call("operator", "POST", f"/v1/cases/{case_id}/retry", json={"reason": WHY})
        assert answer.status_code in (200, 303), answer.text
    await stack.reaches(case_id, "awaiting-review")
    bus, journal = await stack.journal()
    (retried,) = [item.body for item in await journal.find(case_id) if isinstance(item.body, Retried)]
    await bus.close()
    assert retried.reason is not None
    bus = await stack.server.connect("approval")
    assert await Artifacts(bus).of(case_id, 0).get(retried.reason) == WHY.encode()
    await bus.close()
    assert [item["reason"] for item in (await stack.case(case_id))["events"] if item["event"] == "retried"] == [WHY]
    assert f"“{WHY}”" in (await stack.call("auditor", "GET", f"/cases/{case_id}")).text


async def test_a_review_is_given_away_once_from_a_page(stack: Stack) -> None:
    case_id = await stack.discharge()
    await stack.reaches(case_id, "awaiting-review")
    seen = await last_seen(stack, case_id)
    form = {"to": "DR-IM-002", "reason": "on leave", "seen": str(seen)}
    for _ in range(2):
        answer = await stack.call("operator", "POST", f"/cases/{case_id}/reassign", data=form)
        assert answer.headers["location"] == f"/cases/{case_id}?done=reassigned", answer.text
    assert (await stack.events(case_id)).count("reassigned") == 1
    assert await listed(stack, owner="Practitioner/DR-IM-002") == [case_id]
    form |= {"to": "no-such-person", "seen": str(seen + 1)}
    answer = await stack.call("operator", "POST", f"/cases/{case_id}/reassign", data=form)
    assert answer.headers["location"] == f"/cases/{case_id}?done=no-such-person"


async def test_views_belong_to_the_person_who_has_named_them(stack: Stack) -> None:
    form = {"name": "Old ones", "query": "state=failed&longer=72"}
    for _ in range(2):
        answer = await stack.call("operator", "POST", "/cases/views", data=form)
        assert answer.headers["location"] == "/cases?state=failed&longer=72&done=saved"
    mine = (await stack.call("operator", "GET", "/cases")).text
    assert mine.count('href="/cases?state=failed&amp;longer=72">Old ones</a>') == 2  # among the views, and to remove it
    assert "Old ones" not in (await stack.call("auditor", "GET", "/cases")).text
    for wrong in ({"name": " "}, {"name": "x", "query": "next=//evil.test"}, {"name": "x", "query": "state=lost"}):
        assert (await stack.call("operator", "POST", "/cases/views", data=wrong)).status_code == 422
    assert (await stack.call("physician", "POST", "/cases/views", data=form)).status_code == 403
    await stack.call("operator", "POST", "/cases/views/remove", data={"name": "Old ones"})
    assert "Old ones" not in (await stack.call("operator", "GET", "/cases")).text
    for view in BUILT_IN:
        assert (await stack.call("auditor", "GET", f"/cases?{view.query}")).status_code == 200
