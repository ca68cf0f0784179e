"""SMART Backend Services against the sandbox's authorization server, which checks every claim."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from sandbox_ehr.seed import seed
from sandbox_ehr.smart import TOKEN_PATH
from sandbox_ehr.store import Store
from shared.clinical.fhir_client import UnauthorizedError
from shared.clinical.smart.scopes import missing_scopes
from shared.contracts.errors import PermanentError
from shared.oauth.client_authentication import ASSERTION_TYPE, ClientSecret, SecretMethod, sign_assertion
from shared.oauth.client_keys import ALGORITHMS, Algorithm, generate_key
from shared.oauth.errors import TokenRefusedError
from tests.support.ehr import stays
from tests.support.smart import CLIENT, SmartEhr

NOW = 1_800_000_000.0
TOKEN_URL = f"http://ehr.test{TOKEN_PATH}"
Claims = dict[str, Any]


class Clock:
    def __init__(self) -> None:
        self.at = NOW

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def store() -> Store:
    """The seed's stays; no test changes them."""
    store = Store()
    seed(store)
    return store


@pytest.fixture
def ehr(tmp_path: Path, clock: Clock, store: Store) -> SmartEhr:
    return SmartEhr(tmp_path, 300, clock, store)


async def ask(ehr: SmartEhr, assertion: str, **more: str) -> httpx.Response:
    form = {
        "grant_type": "client_credentials",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": assertion,
        "scope": "system/Encounter.rs",
    }
    return await ehr.http().post(TOKEN_URL, data=form | more)


def signed(ehr: SmartEhr, claims: Claims | None = None, header: Claims | None = None, key: Any = None) -> str:
    """An assertion that is in order but for `claims` and `header`; None takes one away."""
    ours = key or ehr.keys[0]
    told = {"iss": CLIENT, "sub": CLIENT, "aud": TOKEN_URL, "jti": "one", "iat": int(NOW), "exp": int(NOW) + 240}
    named = {"alg": "ES384", "kid": ehr.keys[0].kid, "typ": "JWT"}
    whole = {name: value for name, value in (told | (claims or {})).items() if value is not None}
    head = {name: value for name, value in (named | (header or {})).items() if value is not None}
    return jwt.encode(head, whole, ours, algorithms=["ES384", "ES256", "HS256", "none"])


@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_our_client_gets_a_token_and_reads_the_record(
    tmp_path: Path, clock: Clock, store: Store, algorithm: Algorithm
) -> None:
    ehr = SmartEhr(tmp_path, 300, clock, store)
    ehr.write_keys(generate_key(algorithm, 0))
    token = ehr.token()
    encounter = await ehr.client(token).read("Encounter", stays()[0])
    assert encounter["resourceType"] == "Encounter"
    assert missing_scopes(await token.granted_scopes()) == ()


@pytest.mark.parametrize("method", ["client_secret_basic", "client_secret_post"])
async def test_a_client_with_a_secret_gets_a_token(
    tmp_path: Path, clock: Clock, store: Store, method: SecretMethod
) -> None:
    ehr = SmartEhr(tmp_path, 300, clock, store, secret="a+b%c:d")
    good = ClientSecret(CLIENT, lambda: "a+b%c:d", method)
    assert await ehr.client(ehr.token(authentication=good)).read("Encounter", stays()[0])
    for wrong in (ClientSecret(CLIENT, lambda: "a b%c:d", method), ClientSecret("other", lambda: "a+b%c:d", method)):
        with pytest.raises(TokenRefusedError, match="invalid_client"):
            await ehr.token(authentication=wrong).value()


@pytest.mark.parametrize(
    ("claims", "header", "says"),
    [
        ({"iss": "other"}, {}, "iss"),
        ({"iss": None}, {}, "iss"),
        ({"sub": "other"}, {}, "sub"),
        ({"sub": None}, {}, "sub"),
        ({"aud": "http://ehr.test/fhir"}, {}, "aud"),
        ({"aud": [TOKEN_URL]}, {}, "aud"),
        ({"aud": None}, {}, "aud"),
        ({"exp": int(NOW)}, {}, "exp"),
        ({"exp": int(NOW) + 301}, {}, "exp"),
        ({"exp": str(int(NOW) + 200)}, {}, "exp"),
        ({"exp": True}, {}, "exp"),
        ({"exp": None}, {}, "exp"),
        ({"iat": int(NOW) + 60}, {}, "iat"),
        ({"nbf": int(NOW) + 60}, {}, "nbf"),
        ({"jti": ""}, {}, "jti"),
        ({"jti": None}, {}, "jti"),
        ({}, {"kid": "other"}, "kid"),
        ({}, {"kid": None}, "kid"),
        ({}, {"typ": "JOSE"}, "typ"),
        ({}, {"jku": "https://thief.test/jwks.json"}, "jku"),
    ],
)
async def test_an_assertion_with_one_thing_wrong_is_refused(
    ehr: SmartEhr, claims: Claims, header: Claims, says: str
) -> None:
    answer = await ask(ehr, signed(ehr, claims, header))
    assert (answer.status_code, answer.json()) == (400, {"error": "invalid_client", "error_description": says})
    assert (await ask(ehr, signed(ehr))).status_code == 200, "the assertion is in order otherwise"


async def test_a_signature_by_another_key_or_algorithm_is_refused(ehr: SmartEhr) -> None:
    header = base64.urlsafe_b64encode(json.dumps({"alg": "none", "kid": ehr.keys[0].kid}).encode()).decode().rstrip("=")
    good = signed(ehr)
    cases = {
        "signature": [signed(ehr, key=generate_key("ES384", 0)), f"{good[:-4]}AAAA"],
        "alg": [
            f"{header}.{good.split('.')[1]}.",
            signed(ehr, header={"alg": "ES256"}, key=ECKey.generate_key("P-256")),
        ],
        "assertion": ["", "a.b", "a.b.c", "é"],
    }
    for says, assertions in cases.items():
        for assertion in assertions:
            answer = await ask(ehr, assertion)
            assert (answer.status_code, answer.json().get("error_description")) == (400, says)


async def test_an_assertion_counts_once(ehr: SmartEhr, clock: Clock) -> None:
    assertion = signed(ehr)
    assert (await ask(ehr, assertion)).status_code == 200
    assert (await ask(ehr, assertion)).json()["error_description"] == "jti was used before"
    clock.at += 200
    assert (await ask(ehr, assertion)).json()["error_description"] == "jti was used before"


@pytest.mark.parametrize(
    ("more", "error"),
    [
        ({"grant_type": "authorization_code"}, "unsupported_grant_type"),
        ({"client_assertion_type": "jwt"}, "invalid_request"),
        ({"scope": ""}, "invalid_scope"),
        ({"scope": "system/Encounter.all"}, "invalid_scope"),
        ({"scope": "user/Encounter.rs"}, "invalid_scope"),
    ],
)
async def test_a_request_that_is_wrong_otherwise_says_how(ehr: SmartEhr, more: dict[str, str], error: str) -> None:
    answer = await ask(ehr, signed(ehr), **more)
    assert (answer.status_code, answer.json()["error"]) == (400, error)
    assert answer.headers["cache-control"] == "no-store"


# Tokens


async def test_tokens_end_and_nothing_is_answered_without_one(ehr: SmartEhr, clock: Clock) -> None:
    good = (await ask(ehr, signed(ehr))).json()["access_token"]
    url = f"/Encounter/{stays()[0]}"
    for header, status in (({}, 401), ({"Authorization": f"Bearer {good}x"}, 401), ({"Authorization": good}, 401)):
        answer = await ehr.http().get(url, headers=header)
        assert (answer.status_code, "Bearer" in answer.headers["www-authenticate"]) == (status, True)
    assert (await ehr.http().get(url, headers={"Authorization": f"Bearer {good}"})).status_code == 200
    clock.at += 300
    assert (await ehr.http().get(url, headers={"Authorization": f"Bearer {good}"})).status_code == 401
    assert (await ehr.http().get("/metadata")).status_code == 200


@pytest.mark.parametrize(
    ("asked", "method", "path", "status"),
    [
        ("system/Task.r", "GET", "/Task/none", 404),
        ("system/Task.r", "GET", "/Task", 403),
        ("system/Task.s", "GET", "/Task", 200),
        ("system/Task.s", "POST", "/Task/_search", 200),
        ("system/Task.rs", "POST", "/Task", 403),
        ("system/Task.c", "POST", "/Task", 400),
        ("system/Task.cs", "PUT", "/Task/none", 403),
        ("system/Task.write", "PUT", "/Task/none", 400),
        ("system/*.read", "GET", "/Task", 200),
        ("system/Patient.cruds", "GET", "/Task", 403),
    ],
)
async def test_a_token_allows_what_its_scopes_say(
    ehr: SmartEhr, asked: str, method: str, path: str, status: int
) -> None:
    token = (await ask(ehr, signed(ehr), scope=asked)).json()["access_token"]
    sent = {"content": b"{}"} if method == "PUT" or path == "/Task" else {}
    answer = await ehr.http().request(method, path, headers={"Authorization": f"Bearer {token}"}, **sent)
    assert answer.status_code == status


async def test_no_more_is_granted_than_the_client_may_have(tmp_path: Path, clock: Clock, store: Store) -> None:
    ehr = SmartEhr(tmp_path, 300, clock, store, scope="system/*.rs system/Task.cu")
    token = ehr.token()
    assert missing_scopes(await token.granted_scopes()) == (
        "system/Device.c",
        "system/DocumentReference.cu",
        "system/Provenance.cd",
    )
    with pytest.raises(PermanentError, match="403"):
        await ehr.client(token).create({"resourceType": "Provenance"})


async def test_a_rotated_key_is_used_without_a_restart_and_the_old_one_until_then(ehr: SmartEhr, clock: Clock) -> None:
    old, new = ehr.keys[0], generate_key("ES384", int(NOW))
    token = ehr.token()
    await token.value()
    ehr.write_keys(old, new)
    fetched = ehr.fetched
    for _ in range(4):
        clock.at += 301
        await token.value()
    assert ehr.fetched > fetched
    ehr.write_keys(new)
    clock.at += 301
    assert await token.value(), "the server has seen the new key by now"
    stranger = sign_assertion(generate_key("ES384", 0), CLIENT, TOKEN_URL, clock.at, "x")
    assert (await ask(ehr, stranger)).json()["error_description"] == "kid"


# Our client when tokens end


async def test_a_token_that_was_revoked_costs_one_renewal_and_no_error(ehr: SmartEhr) -> None:
    token = ehr.token()
    client = ehr.client(token)
    await client.read("Encounter", stays()[0])
    ehr.server.revoke_all()
    found = await asyncio.gather(*(client.read("Encounter", id) for id in stays() * 7))
    assert len(found) == 7 * len(stays())
    assert ehr.server.issued == 2


async def test_an_ehr_that_takes_no_token_is_a_transient_error(ehr: SmartEhr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ehr.server, "allows", lambda *_: 401)
    with pytest.raises(UnauthorizedError):
        await ehr.client().read("Encounter", stays()[0])
    assert ehr.server.issued == 2


async def test_calls_over_many_lives_of_a_token_never_fail(ehr: SmartEhr, clock: Clock) -> None:
    """A hundred rounds of ten calls each. Time also passes while calls are on their way, so that tokens end there."""
    ehr.server.life = 2.0
    client = ehr.client()

    async def pass_time(ticks: int) -> None:
        for _ in range(ticks):
            await asyncio.sleep(0)
        clock.at += 0.05

    for number in range(100):
        await asyncio.gather(
            pass_time(number % 20), *(client.read("Encounter", id) for id in [*stays(), *stays()][:10])
        )
        clock.at += 0.1
    lives = (clock.at - NOW) / 2.0
    assert lives - 1 <= ehr.server.issued <= 2 * lives
