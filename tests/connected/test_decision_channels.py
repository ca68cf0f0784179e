"""One table for every channel: what may not be signed is refused by the page, the API and the EHR's Task alike."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import lxml.html
import pytest

from cli.stack.demo_users import demo_users
from tests.connected.test_corrections_page import form
from tests.connected.test_ehr_task import alerts, all_heard
from tests.support.clinician import answer, open_task, subscribe
from tests.support.ehr import sandbox, stays
from tests.support.generator import ScriptedGenerator
from tests.support.physician import approval_body
from tests.support.server import NatsServer
from tests.support.stack import Stack, running

pytestmark = pytest.mark.connected

URL = "http://countersign.test"
TEXT = (
    "She was admitted with a cerebral infarction. She was given Ibuprofen 400 mg.\n\n"
    "Instructions: Take your medicines as they are listed."
)


class Case:
    """A case under review whose draft has sentences and points to settle, another patient's draft, and a browser in
    which its physician is signed in.
    """

    def __init__(self, stack: Stack, id: str, draft: dict[str, Any], other: dict[str, Any]) -> None:
        self.stack, self.id, self.draft, self.other = stack, id, draft, other
        self.texts = {
            "unresolved": draft["text"],
            "empty": " \n",
            "foreign": other["text"],
            "missing part": draft["text"].replace("SIGNIFICANT FINDINGS", "NOTES"),
            "after a redraft": draft["text"] + "\n",
            "after a sign-out": draft["text"],
        }

    async def sign_in(self) -> None:
        people = demo_users(self.stack.ehr.store)
        gee = next(number for number, person in enumerate(people) if person.name == "Dr. Maxine Gee")
        await self.send("/sign-in", data={"person": gee})

    async def send(self, path: str, **sent: Any) -> Any:
        return await self.stack.http.post(path, headers={"Origin": URL} | sent.pop("headers", {}), **sent)


async def by_page(case: Case, what: str) -> str:
    fields: dict[str, Any] = {"digest": case.draft["digest"], "text": case.texts[what]}
    if what != "unresolved":
        said = approval_body(case.draft)
        fields |= {
            "confirmed": [item["sentence"] for item in said["resolutions"]],
            "acknowledged": said["acknowledged"],
        }
    found = await case.send(f"/reviews/{case.id}/approve", data=fields)
    return str(found.headers.get("location", found.status_code)).rpartition("?")[2]


async def by_api(case: Case, what: str) -> str:
    body = {"text": case.texts[what]} | ({} if what == "unresolved" else approval_body(case.draft))
    headers = {"If-Match": f'"{case.draft["digest"]}"'}
    found = await case.send(f"/v1/reviews/{case.id}/approve", json=body, headers=headers)
    return f"{found.status_code} {found.json().get('title', '')}"


async def by_task(case: Case, what: str) -> str:
    """A Task holds no text: it names a draft, and whose it is. Nobody has to be signed in here, somebody there has."""
    task = case.texts.setdefault("task", open_task(case.stack.ehr)["id"])
    before = case.stack.ehr.store.get("Task", task) or {}
    named = [{"type": {"text": "draft sha-256"}, "valueString": case.other["digest"]}]
    changes: dict[str, dict[str, Any]] = {
        "empty": {"input": []},
        "foreign": {"input": named},
        "missing part": {"focus": {"reference": "Encounter/another"}},
        "after a sign-out": {"owner": {"display": "nobody"}},
    }
    heard = {json["why"] for json in await alerts(case.stack, "ehr-decision-not-taken")}
    await answer(case.stack.ehr, task, "completed", **changes.get(what, {}))
    await all_heard(case.stack)
    told = {json["why"] for json in await alerts(case.stack, "ehr-decision-not-taken")}
    if what != "after a redraft":
        kept = {name: before[name] for name in ("input", "focus", "owner")}
        await answer(case.stack.ehr, task, "in-progress", **kept)
    return " ".join(sorted(told - heard)) or "no signature"


INCOMPLETE = "422 The text is not the whole document of this stay"
Channel = Callable[[Case, str], Awaitable[str]]
CHANNELS: dict[str, tuple[Channel, dict[str, str]]] = {
    "page": (
        by_page,
        {
            "unresolved": "note=unresolved",
            "empty": "note=incomplete",
            "foreign": "note=incomplete",
            "missing part": "note=incomplete",
            "after a redraft": "note=stale",
            "after a sign-out": "401",
        },
    ),
    "api": (
        by_api,
        {
            "unresolved": "409 Sentences or open points of the draft are not resolved",
            "empty": INCOMPLETE,
            "foreign": INCOMPLETE,
            "missing part": INCOMPLETE,
            "after a redraft": "412 This is not the draft that is under review",
            "after a sign-out": "401 A bearer token is needed",
        },
    ),
    "task": (
        by_task,
        {
            "unresolved": "unresolved",
            "empty": "stale",
            "foreign": "no signature",  # the same alert, which tells of a Task once
            "missing part": "no signature",
            "after a redraft": "no signature",  # its Task has ended with the draft
            "after a sign-out": "nobody-known",
        },
    ),
}


@pytest.fixture
async def case(nats: NatsServer) -> AsyncIterator[Case]:
    await nats.provision()
    ehr = sandbox()
    people = demo_users(ehr.store)
    generator = ScriptedGenerator(TEXT)
    async with running(
        nats, ehr, generator=generator, narrative_policy="marked", people=people, public_url=URL
    ) as stack:
        other = await stack.discharge(stays()[1])
        await stack.reaches(other, "awaiting-review")
        foreign = (await stack.review(other))["draft"]
        assert (
            await stack.decide(other, "reject", action="close", reason="Only its text is needed.")
        ).status_code == 200
        await stack.reaches(other, "closed", events=6)
        id = await stack.discharge()
        await stack.reaches(id, "awaiting-review")
        found = Case(stack, id, (await stack.review(id))["draft"], foreign)
        await found.sign_in()
        page = await stack.http.get(f"/reviews/{id}")
        assert form(lxml.html.fromstring(page.text), f"/reviews/{id}/approve")["digest"], "signed in"
        subscribe(stack)  # the EHR tells of every Task that has ended
        yield found
        stack.ehr.subscriber = None


@pytest.mark.parametrize("channel", CHANNELS)
async def test_what_may_not_be_signed_is_refused_by_every_channel(case: Case, channel: str) -> None:
    sign, expected = CHANNELS[channel]
    assert any(not item["supported"] for item in case.draft["sentences"])
    for what in ("unresolved", "empty", "foreign", "missing part"):
        assert (what, await sign(case, what)) == (what, expected[what])
    cookies = list(case.stack.http.cookies.jar)
    await case.send("/sign-out")
    for cookie in cookies:  # the browser that kept its cookie
        case.stack.http.cookies.jar.set_cookie(cookie)
    assert await sign(case, "after a sign-out") == expected["after a sign-out"]
    assert await case.stack.events(case.id) == ["discharged", "context-extracted", "drafted", "review-requested"]
    await case.sign_in()
    await case.stack.decide(case.id, "reject", action="redraft", reason="Another one.")
    await case.stack.reaches(case.id, "awaiting-review", events=8)
    assert await sign(case, "after a redraft") == expected["after a redraft"]
    assert "approved" not in await case.stack.events(case.id)
    assert case.stack.in_chart("DocumentReference") == []
    case.draft = (await case.stack.review(case.id))["draft"]
    if channel != "task":  # where nothing may be left to settle
        case.texts["after a redraft"] = case.draft["text"]
        await sign(case, "after a redraft")
        await case.stack.reaches(case.id, "filed")
