"""The sandbox's authorization endpoint is as strict as SMART App Launch is: each check refuses on its own."""

import base64
import hashlib
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from sandbox_ehr.app import create_app
from sandbox_ehr.app_launch import LIFE_S, AppLaunch, RegisteredApp
from sandbox_ehr.smart import AuthorizationServer
from tests.support.ehr import sandbox, stays

ROOT, BACK = "http://ehr.test", "https://app.example/launch/callback"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()


class Ehr:
    def __init__(self) -> None:
        self.now = 1_000_000.0
        of = sandbox()
        app = RegisteredApp("app", "https://app.example/launch", (BACK,))
        of.authorization = AuthorizationServer([], anonymous=True, apps=AppLaunch(of.store, app, lambda: self.now))
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(create_app(of)), base_url=ROOT)

    async def launch(self) -> str:
        shown = await self.http.get("/sandbox/launch", params={"encounter": stays()[0], "practitioner": "DR-IM-006"})
        found = re.search(r"launch=([A-Za-z0-9_-]+)", shown.text)
        assert found
        return found[1]

    async def authorize(self, **more: Any) -> httpx.Response:
        ordinary = {
            "response_type": "code",
            "client_id": "app",
            "redirect_uri": BACK,
            "scope": "launch openid fhirUser",
            "state": "s" * 22,
            "nonce": "n",
            "aud": f"{ROOT}/fhir",
            "launch": more.pop("launch", None) or await self.launch(),
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
        }
        sent = {name: value for name, value in (ordinary | more).items() if value is not None}
        return await self.http.get("/oauth/authorize", params=sent)

    async def code(self) -> str:
        return answered(await self.authorize())["code"]

    async def redeem(self, code: str, **more: Any) -> httpx.Response:
        ordinary = {"grant_type": "authorization_code", "code": code, "redirect_uri": BACK, "client_id": "app"}
        return await self.http.post("/oauth/token", data=ordinary | {"code_verifier": VERIFIER} | more)


def answered(response: httpx.Response) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(response.headers["location"]).query).items()}


@pytest.fixture
def ehr() -> Ehr:
    return Ehr()


async def test_a_code_gives_the_context_and_the_user(ehr: Ehr) -> None:
    answer = (await ehr.redeem(await ehr.code())).json()
    assert answer["encounter"] == stays()[0]
    assert answer["patient"]
    stated = (await ehr.http.get("/fhir/.well-known/smart-configuration")).json()
    assert stated["code_challenge_methods_supported"] == ["S256"]
    assert {"launch-ehr", "sso-openid-connect"} <= set(stated["capabilities"])
    assert (stated["issuer"], len(answer["id_token"].split("."))) == (f"{ROOT}/fhir", 3)


@pytest.mark.parametrize("wrong", [{"client_id": "other"}, {"redirect_uri": f"{BACK}/"}, {"redirect_uri": "https://x"}])
async def test_a_wrong_app_is_sent_nowhere(ehr: Ehr, wrong: dict[str, str]) -> None:
    assert (await ehr.authorize(**wrong)).status_code == 400


@pytest.mark.parametrize(
    ("wrong", "check"),
    [
        ({"response_type": "token"}, "response_type"),
        ({"aud": None}, "aud"),
        ({"aud": "https://another.example/fhir"}, "aud"),
        ({"code_challenge": None}, "code_challenge"),
        ({"code_challenge_method": "plain"}, "code_challenge_method"),
        ({"scope": "openid fhirUser"}, "launch"),
        ({"scope": "launch openid user/*.cruds"}, "scope"),
        ({"launch": "made-up"}, "launch"),
    ],
)
async def test_each_parameter_is_checked(ehr: Ehr, wrong: dict[str, str | None], check: str) -> None:
    answer = answered(await ehr.authorize(**wrong))
    assert (answer["error_description"], answer["state"], "code" in answer) == (check, "s" * 22, False)


async def test_launches_and_codes_are_good_once_and_for_a_minute(ehr: Ehr) -> None:
    launch = await ehr.launch()
    code = answered(await ehr.authorize(launch=launch))["code"]
    assert answered(await ehr.authorize(launch=launch))["error"] == "invalid_request"
    assert (await ehr.redeem(code)).status_code == 200
    assert (await ehr.redeem(code)).json()["error"] == "invalid_grant"
    code, launch = await ehr.code(), await ehr.launch()
    ehr.now += LIFE_S + 1
    assert (await ehr.redeem(code)).json()["error"] == "invalid_grant"
    assert answered(await ehr.authorize(launch=launch))["error"] == "invalid_request"


@pytest.mark.parametrize(
    "wrong",
    [{"code_verifier": "w" * 43}, {"code_verifier": ""}, {"redirect_uri": "https://x"}, {"client_id": "other"}],
)
async def test_a_code_is_bound_to_app_redirect_and_verifier(ehr: Ehr, wrong: dict[str, str]) -> None:
    code = await ehr.code()
    assert (await ehr.redeem(code, **wrong)).status_code == 400
    assert (await ehr.redeem(code)).status_code == 400, "it is used up"
