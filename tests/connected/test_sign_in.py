"""Signing in, as somebody attacks it: silent proofs, foreign forms, tokens of another kind, a provider that hangs."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from services.approval.web import inbox
from shared.contracts.errors import TransientError
from shared.oauth.issuer_keys import JWKS_MAX_AGE_S, JWKS_MIN_REFRESH_S
from shared.runtime.authentication import SESSION_COOKIE, AuthenticationError
from shared.runtime.oidc import OidcProvider, OidcSettings
from tests.support.oidc import CLIENT, GEE, OidcServer, oidc_server
from tests.support.people import COLLEAGUE, Clock, access_entries, bearer, open_review_case, post, sign_in
from tests.support.physician import approval_body
from tests.support.stack import Stack, until

pytestmark = pytest.mark.connected


async def test_a_silent_sign_in_proves_nothing_anew(secured: Stack, provider: OidcServer) -> None:
    """The provider may still know the browser: what counts is when the person last proved who they are."""
    provider.person["auth_time"] = int(time.time()) - 3600
    assert (await sign_in(secured)).status_code == 303
    again = await sign_in(secured, again=True)
    assert again.status_code == 403
    assert "auth_time" in again.text
    provider.person["auth_time"] = None
    assert (await sign_in(secured, again=True)).status_code == 403
    del provider.person["auth_time"]
    assert (await sign_in(secured, again=True)).status_code == 303


async def test_a_session_without_the_time_of_its_proof_signs_nothing(secured: Stack, provider: OidcServer) -> None:
    case_id = await open_review_case(secured)
    provider.person["auth_time"] = None
    await sign_in(secured)
    draft = (await secured.http.get(f"/v1/reviews/{case_id}", headers=bearer(provider.token()))).json()["draft"]
    asked = await post(secured, f"/reviews/{case_id}/approve", digest=draft["digest"], text=draft["text"])
    assert asked.headers["location"].startswith("/sign-in?again=1")


async def test_nobody_is_signed_in_or_out_by_another_site(secured: Stack, provider: OidcServer) -> None:
    await sign_in(secured)
    for headers in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        assert (await secured.http.post("/sign-out", headers=headers)).status_code == 403
        assert (await secured.http.post("/sign-in", data={"token": "x"}, headers=headers)).status_code == 403
    assert (await secured.http.get("/")).status_code == 200
    assert (await post(secured, "/sign-out")).status_code == 303
    assert (await secured.http.get("/")).status_code == 303


async def test_with_a_provider_no_static_token_signs_people_in(secured: Stack) -> None:
    answer = await post(secured, "/sign-in", token=secured.server.secrets.tokens["physician"])
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_a_new_sign_in_ends_the_session_before_it(secured: Stack) -> None:
    await sign_in(secured)
    before = secured.http.cookies[SESSION_COOKIE]
    await sign_in(secured)
    assert secured.http.cookies[SESSION_COOKIE] != before
    secured.http.cookies.set(SESSION_COOKIE, before)
    assert (await secured.http.get("/")).status_code == 303


async def test_an_operator_ends_the_sessions_of_one_person(secured: Stack, provider: OidcServer) -> None:
    await sign_in(secured)
    first = secured.http.cookies[SESSION_COOKIE]
    secured.http.cookies.clear()
    await sign_in(secured)  # at another browser
    second = secured.http.cookies[SESSION_COOKIE]
    secured.http.cookies.clear()
    provider.person |= COLLEAGUE
    await sign_in(secured)
    colleague = secured.http.cookies[SESSION_COOKIE]
    secured.http.cookies.clear()
    path, sent = "/v1/sessions/end", {"subject": GEE["sub"]}
    assert (await secured.http.post(path, json=sent, headers=bearer(provider.token()))).status_code == 403
    operator = bearer(provider.token(sub="op", roles=["operator"], departments=None))
    for ended in (2, 0):
        answer = await secured.http.post(path, json=sent, headers=operator)
        assert answer.json() == {"subject": GEE["sub"], "ended": ended}
    for session, status in ((first, 303), (second, 303), (colleague, 200)):
        secured.http.cookies.set(SESSION_COOKIE, session)
        assert (await secured.http.get("/")).status_code == status
    assert ("signed-out", "ended by op") in [(item["event"], item["detail"]) for item in await access_entries(secured)]


async def test_a_page_that_refreshes_itself_keeps_no_session(secured: Stack, clock: Clock) -> None:
    await sign_in(secured)
    for minutes in (20, 29):
        clock.ahead = timedelta(minutes=minutes)
        rows = await secured.http.get("/", params={"rows": True}, headers={"Countersign-Background": "1"})
        assert rows.status_code == 200
    clock.ahead = timedelta(minutes=31)
    assert (await secured.http.get("/")).status_code == 303


async def test_the_stream_of_changes_ends_with_the_session(
    secured: Stack, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setattr(inbox, "HEARTBEAT", 0.05)
    await sign_in(secured)

    async def end() -> None:
        clock.ahead = timedelta(minutes=31)

    asyncio.get_running_loop().call_later(0.2, lambda: asyncio.ensure_future(end()))
    told = await asyncio.wait_for(secured.http.get("/events"), 20)  # an answer is read to its end
    assert "event: changed" in told.text
    assert told.text.endswith("event: signed-out\ndata:\n\n")


async def test_an_id_token_opens_no_api(secured: Stack, provider: OidcServer) -> None:
    await open_review_case(secured)
    for claims in ({"nonce": "n"}, {"at_hash": "h"}, {"typ": "ID"}):
        answer = await secured.http.get("/v1/reviews", headers=bearer(provider.token(**claims)))
        assert (answer.status_code, answer.json()["detail"]) == (401, "an ID token cannot be used for the API")
    assert any("an ID token" in item["detail"] for item in await access_entries(secured))


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"sub": "reader", "client_id": "reader"}, 200),
        ({"sub": "reader", "azp": "reader"}, 200),
        ({"sub": "5f3a", "azp": "reader", "preferred_username": "service-account-reader"}, 200),  # Keycloak
        ({"sub": "5f3a", "azp": "reader", "idtyp": "app"}, 200),  # Entra ID
        ({"sub": "mgee", "azp": "reader"}, 401),  # somebody's, for a client that asked for the scope
        ({"sub": "mgee"}, 401),
    ],
)
async def test_a_scope_gives_a_role_to_machines_alone(
    secured: Stack, provider: OidcServer, claims: dict[str, Any], status: int
) -> None:
    case_id = await open_review_case(secured)
    token = provider.token(
        **{"roles": [], "scope": "countersign:auditor", "departments": None, "auth_time": None} | claims
    )
    assert (await secured.http.get(f"/v1/cases/{case_id}", headers=bearer(token))).status_code == status


async def test_a_head_of_department_is_physician_and_supervisor(secured: Stack, provider: OidcServer) -> None:
    """The provider says both; who decides a colleague's review does it as the supervisor, and the trail says so."""
    case_id = await open_review_case(secured)
    head = bearer(provider.token(**COLLEAGUE | {"roles": ["physician", "supervisor"]}))
    draft = (await secured.http.get(f"/v1/reviews/{case_id}", headers=head)).json()["draft"]
    answer = await secured.http.post(
        f"/v1/reviews/{case_id}/approve", headers=head | {"If-Match": draft["digest"]}, json=approval_body(draft)
    )
    assert answer.status_code == 200, answer.text
    case = await secured.reaches(case_id, "filed")
    by = next(event["detail"]["by"] for event in case["events"] if event["event"] == "approved")
    assert (by["role"], by["practitioner"]) == ("supervisor", COLLEAGUE["fhirUser"])


async def test_nobody_signs_without_an_identity_of_their_own(secured: Stack, provider: OidcServer) -> None:
    case_id = await open_review_case(secured)
    draft = (await secured.http.get(f"/v1/reviews/{case_id}", headers=bearer(provider.token()))).json()["draft"]
    nobody = bearer(provider.token(sub="sup", roles=["supervisor"], fhirUser=None))
    headers = nobody | {"If-Match": draft["digest"]}
    answer = await secured.http.post(f"/v1/reviews/{case_id}/approve", headers=headers, json=approval_body(draft))
    assert answer.status_code == 403
    assert "who you are" in answer.json()["detail"]
    state = (await secured.http.get(f"/v1/cases/{case_id}", headers=bearer(provider.token()))).json()["state"]
    assert state == "awaiting-review"


class Keys:
    """A provider that a test may hang; `asked` are the paths that were asked for."""

    def __init__(self, server: OidcServer) -> None:
        self._server = server
        self.hangs = asyncio.Event()
        self.asked: list[str] = []

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        if self.hangs.is_set():
            await asyncio.sleep(3600)
        async with httpx.AsyncClient() as client:
            return await client.get(request.url)


@pytest.fixture
def keys(provider: OidcServer) -> Keys:
    return Keys(provider)


@pytest.fixture
async def known(provider: OidcServer, keys: Keys) -> AsyncIterator[OidcProvider]:
    http = httpx.AsyncClient(transport=httpx.MockTransport(keys))
    found = OidcProvider(OidcSettings(issuer=provider.issuer, client_id=CLIENT), lambda: datetime.now(UTC), http)
    await found.caller(provider.token())
    yield found
    await found.close()


@pytest.fixture
def another() -> Iterator[OidcServer]:
    with oidc_server() as found:
        yield found


async def test_a_provider_that_hangs_keeps_nobody_waiting_whose_key_is_known(
    provider: OidcServer, known: OidcProvider, keys: Keys, another: OidcServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys.hangs.set()
    later(monkeypatch, JWKS_MIN_REFRESH_S)
    stranger = asyncio.create_task(known.caller(another.token()))  # its key is looked for
    await until(lambda: asyncio.sleep(0, len(keys.asked) == 3), "the question for its key")
    for _ in range(3):
        found = await asyncio.wait_for(known.caller(provider.token()), 1)
        assert found.subject == GEE["sub"]
        with pytest.raises(AuthenticationError):
            await asyncio.wait_for(known.caller(another.token()), 1)  # the next stranger does not wait either
    stranger.cancel()
    assert len(keys.asked) == 3


async def test_a_key_that_the_provider_withdrew_ends(
    provider: OidcServer, known: OidcProvider, another: OidcServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = provider.token()
    provider.key = another.key
    await known.caller(token)  # the keys are fresh
    later(monkeypatch, JWKS_MAX_AGE_S)
    with pytest.raises((AuthenticationError, TransientError)):
        await known.caller(token)


def later(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    now = time.monotonic
    monkeypatch.setattr("shared.oauth.issuer_keys.time.monotonic", lambda: now() + seconds + 1)
