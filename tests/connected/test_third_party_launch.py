"""An EHR whose authorization server others wrote (`oidc-provider`) opens Countersign by SMART App Launch."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from shared.runtime.launch_settings import LaunchSettings
from tests.support.ehr import sandbox, stays
from tests.support.oidc_provider import oidc_provider, walk
from tests.support.people import URL
from tests.support.physician import approval_body
from tests.support.server import NatsServer
from tests.support.stack import Stack, running

pytestmark = pytest.mark.connected
APP, SECRET, GEE = "countersign-inbox", "a+b%2B:c d/ %", "DR-IM-006"
REGISTRATION: dict[str, Any] = {
    "client_id": APP,
    "client_secret": SECRET,
    "redirect_uris": [f"{URL}/launch/callback"],
    "scope": "openid launch fhirUser",
    "require_auth_time": True,
    "id_token_signed_response_alg": "ES256",
}


@dataclass
class Hospital:
    """The services, and a browser that reaches both them and the EHR."""

    stack: Stack
    issuer: str
    browser: httpx.AsyncClient

    async def opened(self, launch: str, login: str = "mgee") -> httpx.Response:
        address = f"{URL}/launch?iss={self.issuer}/fhir&launch={launch}"
        return await walk(self.browser, address, self.issuer, login)


@pytest.fixture
async def hospital(nats: NatsServer, tmp_path: Path) -> AsyncIterator[Hospital]:
    await nats.provision()
    ehr = sandbox()
    first = ehr.store.get("Encounter", stays()[0])
    assert first is not None
    patient = first["subject"]["reference"].removeprefix("Patient/")
    launches = {
        "of-the-stay": {"patient": patient, "encounter": first["id"]},
        "of-another-patient": {"patient": "another", "encounter": first["id"]},
    }
    people = {"mgee": {"fhirUser": f"Practitioner/{GEE}"}, "patient": {"fhirUser": f"Patient/{patient}"}}
    with oidc_provider(tmp_path, [REGISTRATION], people, launches=launches) as issuer:
        launch = LaunchSettings(
            issuer=f"{issuer}/fhir", client_id=APP, client_secret=SecretStr(SECRET), departments=("internal-medicine",)
        )
        async with running(nats, ehr, launch=launch, public_url=URL) as stack:
            ours = {URL: httpx.ASGITransport(stack.app)}
            async with httpx.AsyncClient(mounts=ours) as browser:
                yield Hospital(stack, issuer, browser)


async def test_its_user_sees_the_open_stay_signs_in_anew_and_signs(hospital: Hospital) -> None:
    case_id = await hospital.stack.discharge(stays()[0], attending=f"Practitioner/{GEE}")
    await hospital.stack.reaches(case_id, "awaiting-review")
    shown = await hospital.opened("of-the-stay")
    assert (shown.status_code, shown.url.path) == (200, f"/reviews/{case_id}"), shown.text
    assert "Gee" in shown.text
    again = await walk(hospital.browser, f"{URL}/launch/again?after=/reviews/{case_id}", hospital.issuer)
    assert (again.status_code, again.url.path) == (200, f"/reviews/{case_id}"), again.text
    draft = (await hospital.browser.get(f"{URL}/v1/reviews/{case_id}")).json()["draft"]
    headers = {"If-Match": draft["digest"], "Origin": URL}
    signed = await hospital.browser.post(
        f"{URL}/v1/reviews/{case_id}/approve", headers=headers, json=approval_body(draft)
    )
    assert signed.status_code == 200, signed.text
    case = await hospital.stack.reaches(case_id, "filed")
    by = next(event["detail"]["by"] for event in case["events"] if event["event"] == "approved")
    assert (by["method"], by["practitioner"], by["subject"]) == ("smart", f"Practitioner/{GEE}", "ehr:mgee")


async def test_nobody_else_and_nothing_of_another_patient_is_let_in(hospital: Hospital) -> None:
    case_id = await hospital.stack.discharge(stays()[0], attending=f"Practitioner/{GEE}")
    await hospital.stack.reaches(case_id, "awaiting-review")
    other = await hospital.opened("of-another-patient")
    assert (other.status_code, "another patient" in other.text) == (409, True), other.text
    made_up = await hospital.opened("made-up")
    assert (made_up.status_code, "did not open Countersign" in made_up.text) == (403, True), made_up.text
    hospital.browser.cookies.clear()
    patient = await hospital.opened("of-the-stay", "patient")
    assert (patient.status_code, "no Practitioner" in patient.text) == (403, True), patient.text
