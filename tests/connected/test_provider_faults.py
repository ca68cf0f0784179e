"""A provider that fails in the middle of a sign-in, keeps claims elsewhere, or ends sessions itself."""

import time
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from fastapi.responses import JSONResponse, Response

from shared.runtime.oidc import OidcSettings
from tests.support.ehr import sandbox
from tests.support.oidc import CLIENT, GEE, OidcServer
from tests.support.people import COLLEAGUE, URL, Clock, access_entries, bearer, sign_in
from tests.support.server import NatsServer
from tests.support.stack import Stack, running

pytestmark = pytest.mark.connected
LOGOUT = "/sign-in/back-channel-logout"


async def test_a_sign_in_goes_on_when_the_token_endpoint_is_back(secured: Stack, provider: OidcServer) -> None:
    provider.token_answer = Response("<h1>Maintenance</h1>", 503)
    failed = await sign_in(secured, after="/?mine=true")
    assert (failed.status_code, failed.headers["retry-after"]) == (503, "5")
    assert "does not answer" in failed.text
    assert "Traceback" not in failed.text
    again = failed.text.split('href="/sign-in/callback')[1].split('"')[0].replace("&amp;", "&")
    assert (await secured.http.get(f"/sign-in/callback{again}")).status_code == 503, "still down"
    provider.token_answer = None
    done = await secured.http.get(f"/sign-in/callback{again}")
    assert (done.status_code, done.headers["location"]) == (303, "/?mine=true")
    assert (await secured.http.get("/")).status_code == 200
    assert (await secured.http.get(f"/sign-in/callback{again}")).status_code == 403, "the code is good once"


async def test_a_failure_after_the_code_was_exchanged_begins_anew(nats: NatsServer, provider: OidcServer) -> None:
    """The code is good once: to try it again would only be refused."""
    oidc = OidcSettings(issuer=provider.issuer, client_id=CLIENT, claims_from="userinfo")
    await nats.provision()
    async with running(nats, sandbox(), oidc=oidc, public_url=URL) as stack:  # it has no userinfo endpoint
        failed = await sign_in(stack, after="/?mine=true")
    assert (failed.status_code, "userinfo" in failed.text) == (503, True)
    assert 'href="/sign-in/callback' not in failed.text
    assert 'href="/sign-in/provider?after=/%3Fmine%3Dtrue' in failed.text


@pytest.mark.parametrize(
    ("answer", "status", "said"),
    [
        ({"error": "invalid_client"}, 503, "refuses Countersign as a client (invalid_client)"),
        ({"error": "invalid_grant"}, 403, "refused the sign-in (invalid_grant)"),
        ({"error": "<script>"}, 503, "another error"),
        ({"access_token": "a", "id_token": "not.a.token"}, 403, "not signed by"),
        ({"access_token": "a"}, 403, "not signed by"),
    ],
)
async def test_a_refusal_says_who_must_act(
    secured: Stack, provider: OidcServer, answer: dict[str, str], status: int, said: str
) -> None:
    provider.token_answer = JSONResponse(answer, 200 if "access_token" in answer else 400)
    failed = await sign_in(secured)
    assert (failed.status_code, said in failed.text, "<script>" in failed.text) == (status, True, False), failed.text


async def test_a_provider_that_reports_an_error_is_quoted_by_its_code_only(secured: Stack) -> None:
    for error, status, said in (
        ("access_denied", 403, "access_denied"),
        ("patient Jane Doe", 403, "another error"),
        ("temporarily_unavailable", 503, "temporarily_unavailable"),
    ):
        left = await secured.http.get("/sign-in/provider")
        state = httpx.URL(left.headers["location"]).params["state"]
        back = await secured.http.get("/sign-in/callback", params={"error": error, "state": state})
        assert (back.status_code, said in back.text, "Jane" in back.text) == (status, True, False)


async def test_a_provider_that_is_away_gets_a_page_of_ours(nats: NatsServer) -> None:
    await nats.provision()
    oidc = OidcSettings(issuer="http://127.0.0.1:9", client_id=CLIENT)
    async with running(nats, sandbox(), oidc=oidc, public_url=URL) as stack:
        left = await stack.http.get("/sign-in/provider", params={"after": "/reviews/x"})
        assert (left.status_code, "does not answer" in left.text) == (503, True)
        assert "after=/reviews/x" in left.text
        assert (await stack.http.get("/v1/reviews", headers=bearer("a.b.c"))).status_code == 401


@pytest.mark.parametrize(
    ("settings", "extra", "claims", "said"),
    [
        ({"claims_from": "userinfo"}, {"userinfo": GEE}, {"roles": None, "departments": None}, ""),
        ({"claims_from": "userinfo"}, {"userinfo": GEE | COLLEAGUE}, {}, "of another person"),
        ({"claims_from": "access_token"}, {}, {}, "not signed by"),
        ({}, {}, {"groups": None, "hasgroups": True}, "COUNTERSIGN_OIDC_GROUPS_URL"),
        ({"groups_url": "here"}, {"groups": {"value": [{"id": "physician"}]}}, {"hasgroups": "true"}, ""),
        ({"groups_url": "here"}, {"groups": {"value": []}}, {"hasgroups": "true"}, "no role here"),
    ],
)
async def test_roles_are_read_where_the_provider_keeps_them(
    nats: NatsServer,
    provider: OidcServer,
    settings: dict[str, Any],
    extra: dict[str, Any],
    claims: dict[str, Any],
    said: str,
) -> None:
    provider.extra, provider.person = extra, GEE | claims
    if "hasgroups" in claims:
        settings = settings | {"role_claim": "groups"}
    if "groups_url" in settings:
        settings = settings | {"groups_url": f"{provider.issuer}/groups"}
    oidc = OidcSettings(issuer=provider.issuer, client_id=CLIENT, **settings)
    await nats.provision()
    async with running(nats, sandbox(), oidc=oidc, public_url=URL) as stack:
        landed = await sign_in(stack)
        assert (landed.status_code, said in landed.text) == (403 if said else 303, True), landed.text


async def test_the_provider_ends_sessions(secured: Stack, provider: OidcServer, clock: Clock) -> None:
    provider.person["sid"] = "s-1"
    await sign_in(secured)
    assert (await secured.http.get("/")).status_code == 200
    for wrong in (
        {"sid": "s-2", "sub": None},
        {"sub": "kmosley"},
        {"iat": int(time.time()) - 120},  # the session is younger than the request
    ):
        answer = await secured.http.post(LOGOUT, data={"logout_token": provider.logout_token(**wrong)})
        assert answer.status_code == 200
        assert (await secured.http.get("/")).status_code == 200, wrong
    token = provider.logout_token(sid="s-1", sub=None)
    answer = await secured.http.post(LOGOUT, data={"logout_token": token}, headers={"Origin": "https://id.example"})
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    assert (await secured.http.get("/")).status_code == 303
    await sign_in(secured)
    replayed = await secured.http.post(LOGOUT, data={"logout_token": token})
    assert (replayed.status_code, replayed.json()["error"]) == (400, "invalid_request")
    assert (await secured.http.get("/")).status_code == 200
    details = [(item["event"], item["detail"]) for item in await access_entries(secured)]
    assert ("signed-out", "ended by the identity provider") in details


async def test_what_is_no_logout_token_ends_nothing(secured: Stack, provider: OidcServer) -> None:
    await sign_in(secured)
    for token in (
        "",
        provider.token(),
        provider.logout_token(nonce="n"),
        provider.logout_token(aud="another"),
        provider.logout_token(iss="https://another.example"),
        provider.logout_token(iat=int(time.time()) - 3600),
    ):
        assert (await secured.http.post(LOGOUT, data={"logout_token": token})).status_code == 400
    assert (await secured.http.post(LOGOUT, data={"logout_token": "x" * 20_000})).status_code == 413
    assert (await secured.http.get("/")).status_code == 200
    answer = await secured.http.get("/v1/reviews", headers=bearer(provider.logout_token(**GEE)))
    assert (answer.status_code, answer.json()["detail"]) == (401, "a logout token cannot be used for the API")


async def test_a_sign_out_without_an_end_at_the_provider_stays_here(secured: Stack) -> None:
    await sign_in(secured)
    left = await secured.http.post("/sign-out", headers={"Origin": URL})
    assert (left.status_code, urlsplit(left.headers["location"]).path) == (303, "/sign-in")
    assert (await secured.http.get("/sign-in/ended", params={"state": "made-up"})).status_code == 303
