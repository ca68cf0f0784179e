"""Claims as providers issue them: overage, times that are none, logout tokens."""

import asyncio
import base64
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote_plus

import httpx
import pytest
from pydantic import SecretStr, ValidationError

from shared.contracts.errors import TransientError
from shared.oauth import token_endpoint
from shared.oauth.client_authentication import ClientSecret
from shared.oauth.errors import TokenRefusedError
from shared.oauth.token_endpoint import authorization_url, request_tokens
from shared.runtime.authentication import AuthenticationError
from shared.runtime.oidc.claims import authentication_time, merge_claims, omitted_claims, to_caller
from shared.runtime.oidc.groups import read_groups
from shared.runtime.oidc.logout import EVENT, MAX_AGE_S, parse_logout
from shared.runtime.oidc.metadata import parse_metadata
from shared.runtime.oidc.settings import OidcSettings

ENTRA = OidcSettings(issuer="https://login.example", role_claim="groups", roles={"g-1": "physician"})
NOW = datetime(2026, 11, 29, tzinfo=UTC)
GROUPS = "https://graph.example/groups"


@pytest.mark.parametrize(
    ("claims", "omitted"),
    [
        ({"_claim_names": {"groups": "src1"}, "_claim_sources": {"src1": {"endpoint": "https://x"}}}, ["groups"]),
        ({"hasgroups": "true"}, ["groups"]),
        ({"hasgroups": True}, ["groups"]),
        ({"hasgroups": True, "groups": ["g-1"]}, []),
        ({"_claim_names": "groups"}, []),
        ({"_claim_names": {"address": "src1"}}, []),
        ({}, []),
    ],
)
def test_an_overage_of_groups_is_recognized(claims: dict[str, Any], omitted: list[str]) -> None:
    assert omitted_claims(claims, ENTRA) == omitted


async def listed(*pages: Any, url: str = GROUPS, status: int = 200) -> list[str]:
    answers = iter(pages)

    def answer(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "Bearer secret"
        return httpx.Response(status, json=next(answers))

    async with httpx.AsyncClient(transport=httpx.MockTransport(answer)) as http:
        return await read_groups(http, url, "secret")


async def test_groups_are_read_page_by_page() -> None:
    first = {"value": [{"id": "g-1"}, {"id": "g-2"}], "@odata.nextLink": f"{GROUPS}?$skiptoken=x"}
    assert await listed(first, {"value": [{"id": "g-3"}]}) == ["g-1", "g-2", "g-3"]
    assert await listed({"groups": ["a", "b"]}) == ["a", "b"]
    with pytest.raises(TransientError, match="another host"):
        await listed({"value": [], "@odata.nextLink": "https://evil.example/groups"})
    with pytest.raises(AuthenticationError, match="pages"):
        await listed(*[{"value": [], "@odata.nextLink": GROUPS}] * 30)
    with pytest.raises(AuthenticationError, match="does not let"):
        await listed({}, status=403)
    with pytest.raises(TransientError):
        await listed({}, status=500)
    with pytest.raises(AuthenticationError, match="COUNTERSIGN_OIDC_GROUPS_URL"):
        await listed(url="")


@pytest.mark.parametrize("stated", ["yesterday", "", None, True, [], {}, 1e30, float("inf")])
def test_a_time_of_sign_in_that_is_none_proves_nothing(stated: Any) -> None:
    assert authentication_time({"auth_time": stated}) is None


def test_other_claims_never_change_who_it_is() -> None:
    id_token = {"sub": "mgee", "iss": "i", "auth_time": 1, "roles": ["auditor"]}
    merged = merge_claims(id_token, {"sub": "mgee", "iss": "evil", "auth_time": 9, "sid": "s", "roles": ["physician"]})
    assert merged == {"sub": "mgee", "iss": "i", "auth_time": 1, "roles": ["physician"]}
    with pytest.raises(AuthenticationError, match="another person"):
        merge_claims(id_token, {"sub": "kmosley", "roles": ["physician"]})
    assert (
        to_caller(merged | {"fhirUser": "https://ehr/fhir/Practitioner/1/"}, OidcSettings(), "oidc").practitioner
        == "Practitioner/1"
    )


LOGOUT = {"iat": NOW.timestamp(), "jti": "1", "sub": "mgee", "sid": "s", "events": {EVENT: {}}}


@pytest.mark.parametrize(
    "wrong",
    [
        {"events": {}},
        {"events": None},
        {"events": {EVENT: "x"}},
        {"nonce": "n"},
        {"jti": ""},
        {"jti": None},
        {"iat": None},
        {"iat": True},
        {"iat": NOW.timestamp() - MAX_AGE_S - 31},
        {"iat": NOW.timestamp() + 31},
        {"sub": None, "sid": None},
        {"sub": ""},
        {"sid": 5},
    ],
)
def test_a_logout_token_is_checked_claim_by_claim(wrong: dict[str, Any]) -> None:
    found = parse_logout(LOGOUT, NOW, 30)
    assert (found.jti, found.issued, found.subject, found.sid) == ("1", NOW, "mgee", "s")
    with pytest.raises(AuthenticationError):
        parse_logout(LOGOUT | wrong, NOW, 30)


def test_metadata_without_a_usable_endpoint_is_refused() -> None:
    good = {
        "issuer": "https://i",
        "authorization_endpoint": "https://i/a",
        "token_endpoint": "https://i/t",
        "jwks_uri": "https://i/k",
    }
    assert parse_metadata(good | {"end_session_endpoint": "http://i/plain"}, "https://i").end_session_endpoint is None
    for wrong in (
        {"token_endpoint": "http://i/t"},
        {"jwks_uri": None},
        {"authorization_endpoint": 5},
        {"issuer": "https://j"},
    ):
        with pytest.raises(TransientError):
            parse_metadata(good | wrong, "https://i")
    for body in (None, [], "x"):
        with pytest.raises(TransientError):
            parse_metadata(body, "https://i")


SECRET = ClientSecret("countersign", lambda: "s", "client_secret_basic")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (httpx.Response(200, json={"access_token": "a"}), None),
        (httpx.Response(200, text="<html>"), TransientError),
        (httpx.Response(200, json=[]), TransientError),
        (httpx.Response(302, headers={"location": "https://evil.example"}), TokenRefusedError),
        (httpx.Response(503, text="maintenance"), TransientError),
        (httpx.Response(429), TransientError),
        (httpx.Response(400, json={"error": "temporarily_unavailable"}), TransientError),
        (httpx.Response(400, json={"error": "invalid_grant"}), TokenRefusedError),
        (httpx.Response(401, json={"error": "invalid_client"}), TokenRefusedError),
        (httpx.Response(400, json={"error": {"x": 1}}), TokenRefusedError),
        (httpx.ConnectError("refused"), TransientError),
        (httpx.ReadTimeout("slow"), TransientError),
    ],
)
async def test_outages_and_refusals_are_told_apart(
    answer: httpx.Response | Exception, expected: type[Exception] | None
) -> None:
    def handle(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as http:
        asked = request_tokens(http, "https://i/t", SECRET, (), 0.0, {"grant_type": "authorization_code"})
        if expected is None:
            assert await asked == {"access_token": "a"}
            return
        with pytest.raises(TransientError) as raised:
            await asked
    assert type(raised.value) is expected


async def test_an_endpoint_that_answers_too_slowly_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_endpoint, "TIMEOUT_S", 0.01)
    never = asyncio.Event()

    async def hang(_: httpx.Request) -> httpx.Response:
        await never.wait()
        raise AssertionError

    async with httpx.AsyncClient(transport=httpx.MockTransport(hang)) as http:
        with pytest.raises(TransientError, match="TimeoutError"):
            await request_tokens(http, "https://i/t", SECRET, (), 0.0, {"grant_type": "authorization_code"})


@pytest.mark.parametrize("secret", ["a+b%2B:c", "100 % ü€", "x:y:z", "%zz+"])
async def test_a_secret_of_any_characters_arrives_as_it_is(secret: str) -> None:
    """RFC 6749, section 2.3.1: id and secret are form-encoded before Basic authentication joins them."""
    for id in ("countersign", "https://id:1/ü"):
        client = ClientSecret(id, lambda: secret, "client_secret_basic")
        header = (await client.credentials("https://i/t", (), 0.0)).headers["Authorization"]
        one, _, two = base64.b64decode(header.removeprefix("Basic ")).decode("ascii").partition(":")
        assert (unquote_plus(one), unquote_plus(two)) == (id, secret)
        posted = await ClientSecret(id, lambda: secret, "client_secret_post").credentials("https://i/t", (), 0.0)
        assert posted.form == {"client_id": id, "client_secret": secret}


def test_an_endpoint_keeps_its_own_query() -> None:
    # RFC 7636, appendix B
    url = authorization_url("https://i/a?tenant=1", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", {"state": "a&b"})
    assert url.startswith("https://i/a?tenant=1&response_type=code&state=a%26b&")
    assert "code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256" in url


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(ValidationError, match="not both"):
        OidcSettings(client_key_file="/keys", client_secret=SecretStr("s"))
    with pytest.raises(ValidationError, match="https"):
        OidcSettings(issuer="https://login.example", groups_url="http://graph.example")
