"""The EHR opens Countersign: who launches, what they see, and who is not let in."""

import logging
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from shared.runtime.launch_settings import LaunchSettings
from tests.support.ehr import sandbox, stays
from tests.support.launch import APP, LaunchingEhr, launching
from tests.support.people import URL, Clock, access_entries, post
from tests.support.physician import approval_body
from tests.support.server import NatsServer
from tests.support.stack import Stack, running

pytestmark = pytest.mark.connected
GEE = "DR-IM-006"
SECURE = "https://countersign.test"
FRAME = {"Sec-Fetch-Dest": "iframe"}


class Hospital:
    def __init__(self, stack: Stack, ehr: LaunchingEhr) -> None:
        self.stack, self.ehr = stack, ehr

    async def opened(self, encounter: str, practitioner: str = GEE) -> httpx.Response:
        """What a browser does when the EHR opens Countersign: the answer of our callback."""
        async with httpx.AsyncClient() as outside:
            shown = await outside.get(self.ehr.page(encounter, practitioner))
            launch = re.search(r'src="([^"]+)"', shown.text)
            assert launch
            left = await self.stack.http.get(launch[1].replace("&amp;", "&"))
            if left.status_code != 303:
                return left
            back = await outside.get(left.headers["location"])
        return await self.stack.http.get(back.headers["location"])

    async def under_review(self, number: int = 0) -> tuple[str, str]:
        encounter = stays()[number]
        case_id = await self.stack.discharge(encounter, attending=f"Practitioner/{GEE}")
        await self.stack.reaches(case_id, "awaiting-review")
        return encounter, case_id


@pytest.fixture
async def hospital(nats: NatsServer, clock: Clock) -> AsyncIterator[Hospital]:
    await nats.provision()
    ehr = sandbox()
    async with launching(ehr, URL, lambda: clock().timestamp()) as opening:
        launch = LaunchSettings(issuer=opening.issuer, client_id=APP, departments=("internal-medicine",))
        async with running(nats, ehr, launch=launch, public_url=URL, clock=clock) as stack:
            yield Hospital(stack, opening)


async def test_a_launch_shows_the_open_stay_and_its_physician_signs(
    hospital: Hospital, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    encounter, case_id = await hospital.under_review()
    landed = await hospital.opened(encounter)
    assert (landed.status_code, landed.headers["location"]) == (303, f"/reviews/{case_id}")
    page = await hospital.stack.http.get(landed.headers["location"])
    assert (page.status_code, "Gee" in page.text) == (200, True)
    draft = (await hospital.stack.http.get(f"/v1/reviews/{case_id}")).json()["draft"]
    signed = await hospital.stack.http.post(
        f"/v1/reviews/{case_id}/approve",
        headers={"If-Match": draft["digest"], "Origin": URL},
        json=approval_body(draft),
    )
    assert signed.status_code == 200, signed.text
    case = await hospital.stack.reaches(case_id, "filed")
    by = next(event["detail"]["by"] for event in case["events"] if event["event"] == "approved")
    assert (by["method"], by["practitioner"], by["subject"]) == ("smart", f"Practitioner/{GEE}", f"ehr:user-{GEE}")
    assert ("signed-in", "smart") in [(item["event"], item["method"]) for item in await access_entries(hospital.stack)]
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith(("services", "shared")))
    assert encounter not in ours
    assert "launch=" not in ours


async def test_only_the_declared_ehr_opens_anything(hospital: Hospital) -> None:
    for sent in (
        {"iss": "http://127.0.0.1:9/fhir", "launch": "x"},
        {"iss": f"{hospital.ehr.issuer}.evil.example", "launch": "x"},
        {"iss": hospital.ehr.issuer},
        {"launch": "x"},
        {},
    ):
        refused = await hospital.stack.http.get("/launch", params=sent)
        assert (refused.status_code, "may not open" in refused.text) == (403, True), sent
        assert "set-cookie" not in refused.headers
    accepted = await hospital.stack.http.get("/launch", params={"iss": f"{hospital.ehr.issuer}/", "launch": "x"})
    assert accepted.status_code == 303
    refused = await hospital.stack.http.get("/launch/callback", params={"code": "c", "state": "made-up"})
    assert (refused.status_code, "not begun here" in refused.text) == (403, True)


async def test_a_launch_without_a_document_says_so(hospital: Hospital) -> None:
    encounter = stays()[0]
    landed = await hospital.opened(encounter)
    assert (landed.status_code, "no document of this stay" in landed.text) == (200, True)
    assert (await hospital.stack.http.get("/")).status_code == 200, "they are signed in all the same"
    case_id = await hospital.stack.discharge(encounter, department="surgery")
    await hospital.stack.reaches(case_id, "awaiting-review")
    landed = await hospital.opened(encounter)
    assert (landed.status_code, "no document of this stay" in landed.text) == (200, True), "of another department"


async def test_a_stay_of_another_patient_is_not_shown(hospital: Hospital) -> None:
    encounter, _ = await hospital.under_review()
    stay: dict[str, Any] = hospital.ehr.sandbox.store.get("Encounter", encounter) or {}
    hospital.ehr.sandbox.store.put(stay | {"subject": {"reference": "Patient/another"}})
    landed = await hospital.opened(encounter)
    assert (landed.status_code, "another patient" in landed.text) == (409, True)


async def test_a_colleague_sees_but_does_not_sign(hospital: Hospital) -> None:
    """The same rules hold as for other sign-ins."""
    encounter, case_id = await hospital.under_review()
    landed = await hospital.opened(encounter, "DR-IM-002")
    assert landed.headers["location"] == f"/reviews/{case_id}"
    draft = (await hospital.stack.http.get(f"/v1/reviews/{case_id}")).json()["draft"]
    headers = {"If-Match": draft["digest"], "Origin": URL}
    refused = await hospital.stack.http.post(
        f"/v1/reviews/{case_id}/approve", headers=headers, json=approval_body(draft)
    )
    assert (refused.status_code, "somebody else" in refused.json()["detail"]) == (403, True)
    headers = {"If-Match": draft["digest"], "Origin": "https://evil.example"}
    forged = await hospital.stack.http.post(
        f"/v1/reviews/{case_id}/approve", headers=headers, json=approval_body(draft)
    )
    assert forged.status_code == 403


async def test_a_signature_wants_a_recent_sign_in_at_the_ehr(hospital: Hospital, clock: Clock) -> None:
    encounter, case_id = await hospital.under_review()
    await hospital.opened(encounter)
    clock.ahead = timedelta(minutes=16)
    draft = (await hospital.stack.http.get(f"/v1/reviews/{case_id}")).json()["draft"]
    sent = {"digest": draft["digest"], "text": draft["text"]}
    asked = await post(hospital.stack, f"/reviews/{case_id}/approve", **sent)
    assert asked.headers["location"].startswith("/sign-in?again=1")
    page = await hospital.stack.http.get(asked.headers["location"])
    again = re.search(r'href="(/launch/again[^"]+)"', page.text)
    assert again
    left = await hospital.stack.http.get(again[1].replace("&amp;", "&"))
    async with httpx.AsyncClient() as outside:
        form = await outside.get(left.headers["location"])
        fields = dict(re.findall(r'name="([^"]+)" value="([^"]*)"', form.text))
        back = await outside.post(f"{hospital.ehr.root}/oauth/login", data=fields)
    landed = await hospital.stack.http.get(back.headers["location"])
    assert (landed.status_code, landed.headers["location"].split("#")[0]) == (303, f"/reviews/{case_id}")
    asked = await post(hospital.stack, f"/reviews/{case_id}/approve", **sent)
    assert not asked.headers["location"].startswith("/sign-in")


async def test_a_launched_session_lasts_an_hour(hospital: Hospital, clock: Clock) -> None:
    """The EHR is not asked about the person again: the next launch does that."""
    await hospital.opened(stays()[0])
    for minutes, status in ((25, 200), (50, 200), (61, 303)):
        clock.ahead = timedelta(minutes=minutes)
        assert (await hospital.stack.http.get("/")).status_code == status


async def test_a_launch_goes_on_when_the_ehr_is_back(hospital: Hospital, monkeypatch: pytest.MonkeyPatch) -> None:
    encounter, case_id = await hospital.under_review()
    apps = hospital.ehr.sandbox.authorization
    assert apps is not None
    answer = httpx.AsyncClient.post

    async def down(*_: Any, **__: Any) -> httpx.Response:
        raise httpx.ConnectError("refused")

    monkeypatch.setattr(httpx.AsyncClient, "post", down)
    failed = await hospital.opened(encounter)
    assert (failed.status_code, "does not answer" in failed.text) == (503, True)
    monkeypatch.setattr(httpx.AsyncClient, "post", answer)
    again = re.search(r'href="(/launch/callback[^"]+)"', failed.text)
    assert again
    landed = await hospital.stack.http.get(again[1].replace("&amp;", "&"))
    assert landed.headers["location"] == f"/reviews/{case_id}"


@pytest.mark.parametrize(
    ("allowed", "public"), [(True, "https://countersign.test"), (False, "https://countersign.test"), (True, URL)]
)
async def test_pages_are_embedded_only_where_it_is_declared(nats: NatsServer, allowed: bool, public: str) -> None:
    await nats.provision()
    origins = ("https://ehr.example",) if allowed else ()
    ehr = sandbox()
    async with launching(ehr, public) as opening:
        launch = LaunchSettings(issuer=opening.issuer, client_id=APP, frame_ancestors=origins)
        async with running(nats, ehr, launch=launch, public_url=public) as stack:
            begun = {"iss": opening.issuer, "launch": "x"}
            plain = await stack.http.get("/launch", params=begun)
            framed = await stack.http.get("/launch", params=begun, headers=FRAME)
            page = await stack.http.get("/sign-in", headers=FRAME)
            outer = await stack.http.get("/sign-in")
    assert "SameSite=lax" in plain.headers["set-cookie"]
    assert "frame-ancestors 'none'" in outer.headers["content-security-policy"]
    if allowed and public.startswith("https"):
        cookie = framed.headers["set-cookie"]
        assert cookie.startswith("__Host-countersign_launch_")
        assert all(part in cookie for part in ("SameSite=none", "Secure", "HttpOnly", "Partitioned", "Path=/"))
        assert "frame-ancestors https://ehr.example" in page.headers["content-security-policy"]
        assert "'none'; frame-ancestors" in page.headers["content-security-policy"], "nothing else has changed"
    else:
        assert "SameSite=lax" in framed.headers["set-cookie"]
        assert "frame-ancestors 'none'" in page.headers["content-security-policy"]
