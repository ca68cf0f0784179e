"""Who corrects, appends and retracts: people of an identity provider, and several of them at once."""

import asyncio
import time
from datetime import timedelta
from typing import Any

import httpx
import lxml.html
import pytest

from tests.connected.test_corrections import statuses
from tests.connected.test_corrections_page import form
from tests.connected.test_ehr_task import told_of
from tests.support import corrections
from tests.support.ehr import stays
from tests.support.oidc import OidcServer
from tests.support.people import COLLEAGUE, SUPERVISOR, URL, Clock, access_entries, bearer, sign_in
from tests.support.stack import Stack

pytestmark = pytest.mark.connected

# Not the attending, whose number the tokens carry unless they say otherwise.
ANOTHER = COLLEAGUE | {"npi": None}
ELSEWHERE = {"sub": "away", "fhirUser": "Practitioner/DR-X", "departments": ["surgery"]}
UNNAMED = {"sub": "unnamed", "fhirUser": None}


async def post(stack: Stack, case_id: str, what: str, token: str, **body: Any) -> httpx.Response:
    seen = (await corrections.document(stack, case_id))["digest"]
    headers = bearer(token) | {"If-Match": f'"{seen}"'}
    return await stack.http.post(f"/v1/cases/{case_id}/{what}", headers=headers, json=body or None)


@pytest.mark.parametrize(
    ("who", "signs", "asks"),
    [({}, 200, 200), (ANOTHER, 403, 200), (SUPERVISOR, 200, 200), (ELSEWHERE, 404, 404), (UNNAMED, 403, 403)],
    ids=["attending", "colleague", "supervisor", "another department", "no practitioner"],
)
async def test_who_may_what(secured: Stack, provider: OidcServer, who: dict[str, Any], signs: int, asks: int) -> None:
    case_id = await corrections.filed(secured)
    token = provider.token(**who)
    assert (await post(secured, case_id, "retraction/confirm", token)).status_code == (409 if signs == 200 else signs)
    assert (await post(secured, case_id, "retraction", token, reason="x")).status_code == asks
    added = await post(secured, case_id, "addenda", token, text="Pending results: none.", reason="x")
    assert added.status_code == signs or (signs == 200 and added.json()["errors"])
    if asks != 200:
        refused = [item["detail"] for item in await access_entries(secured, case_id) if item["event"] == "refused"]
        assert {detail.partition(":")[0] for detail in refused} == {"decide", "retract"}


async def test_a_colleague_asks_and_the_attending_confirms(secured: Stack, provider: OidcServer) -> None:
    case_id = await corrections.filed(secured)
    assert (await post(secured, case_id, "retraction", provider.token(**ANOTHER), reason="x")).status_code == 200
    assert (await told_of(secured, "retraction-requested"))["page"] == f"/reviews/{case_id}"
    again = provider.token(**ANOTHER | {"sub": "another-login", "roles": ["supervisor"]})
    assert (await post(secured, case_id, "retraction/confirm", again)).status_code == 403, "the same person"
    assert (await post(secured, case_id, "retraction/confirm", provider.token())).status_code == 200
    case = await secured.reaches(case_id, "retracted", events=9)
    assert statuses(secured, case_id) == {"final": "entered-in-error"}
    retracted = case["events"][-2]["detail"]
    assert (retracted["requester"], retracted["signer"]) == ("Practitioner/DR-IM-002", "Practitioner/DR-IM-006")


async def test_each_of_them_wants_a_recent_sign_in(secured: Stack, provider: OidcServer, clock: Clock) -> None:
    case_id = await corrections.filed(secured)
    await sign_in(secured)
    shown = lxml.html.fromstring((await secured.http.get(f"/reviews/{case_id}")).text)
    fields = form(shown, f"/reviews/{case_id}/addenda") | {"text": "Typed before.", "reason": "x"}
    clock.ahead = timedelta(minutes=16)
    answer = await secured.http.post(f"/reviews/{case_id}/addenda", data=fields, headers={"Origin": URL})
    assert answer.headers["location"] == f"/sign-in?again=1&after=/reviews/{case_id}"
    assert "Typed before." in (await secured.http.get(f"/reviews/{case_id}")).text, "nothing typed is lost"
    other = await secured.http.post(f"/reviews/{case_id}/addenda", data=fields, headers={"Origin": "https://x.example"})
    assert other.status_code == 403
    now = int(time.time())
    old = provider.token(auth_time=now, exp=now + 3600)
    for what, body in (
        ("amendments", {"text": "x", "reason": "x"}),
        ("addenda", {"text": "x", "reason": "x"}),
        ("retraction", {"reason": "x"}),
        ("retraction/confirm", {}),
    ):
        refused = await post(secured, case_id, what, old, **body)
        assert refused.status_code == 401
        assert "insufficient_user_authentication" in refused.headers["www-authenticate"]


async def test_of_several_at_once_one_is_signed(stack: Stack) -> None:
    case_id = await corrections.filed(stack)
    found = await corrections.document(stack, case_id)
    texts = [found["text"].replace("Patient: ", "Patient:  ") + "\n" * n for n in range(1, 5)]
    answers = await asyncio.gather(
        *(corrections.post(stack, case_id, "amendments", seen=found["digest"], text=t, reason="x") for t in texts),
        corrections.post(stack, case_id, "retraction", seen=found["digest"], reason="x"),
    )
    codes = [answer.status_code for answer in answers]
    assert codes[:4].count(200) == 1
    assert set(codes) <= {200, 409, 412}
    await stack.reaches(case_id, "filed", events=8)
    assert statuses(stack, case_id) == {"final": "superseded", "final/2": "current"}
    assert (await corrections.verified(stack, case_id)).verified


async def test_a_discharge_that_is_taken_back_offers_what_can_be_done(stack: Stack) -> None:
    case_id = await corrections.filed(stack)
    sent = {"encounter_id": stays()[0], "department": "internal-medicine"}
    await stack.call("ingest", "POST", "/v1/encounters/discharge-cancelled", json=sent)
    told = await told_of(stack, "discharge-cancelled-after-signature")
    assert told["page"] == f"/reviews/{case_id}"
    assert "retract" in told["reason"]
    assert (await stack.case(case_id))["state"] == "filed"
