"""SMART Backend Services, the pure part: keys, assertions, discovery, answers of token endpoints, scopes."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet

from services.drafter.searches import OF_THE_PATIENT, OF_THE_STAY
from shared.clinical.smart.discovery import parse_configuration
from shared.clinical.smart.scopes import NEEDED, lacks_required, missing_scopes, needed_scopes
from shared.clinical.smart.token_response import parse_token
from shared.contracts.errors import PermanentError, RateLimitedError, TransientError
from shared.oauth.client_authentication import ClientSecret, PrivateKeyJwt, sign_assertion
from shared.oauth.client_keys import (
    ALGORITHMS,
    KEPT_AFTER_S,
    PUBLISHED_BEFORE_S,
    Algorithm,
    ClientKey,
    dump_keys,
    dump_public_keys,
    generate_key,
    parse_keys,
    parse_published_keys,
    public_jwks,
    rotate_keys,
    select_key,
)
from shared.oauth.errors import TokenRefusedError

NOW = 1_800_000_000
TOKEN_URL = "https://auth.example/oauth/token"
SECRET_PARTS = {"d", "p", "q", "dp", "dq", "qi"}


@pytest.fixture(scope="module")
def keys() -> dict[Algorithm, ClientKey]:
    return {algorithm: generate_key(algorithm, NOW - 86_400) for algorithm in ALGORITHMS}


def ec(made_at: int) -> ClientKey:
    return generate_key("ES384", made_at)


# Keys


def test_keys_survive_their_file_and_only_public_halves_are_published(keys: dict[Algorithm, ClientKey]) -> None:
    text = dump_keys(keys.values())
    assert [key.kid for key in parse_keys(text)] == [key.kid for key in keys.values()]
    published = public_jwks(parse_keys(text))["keys"]
    assert [(item["kty"], item["alg"], item["use"]) for item in published] == [
        ("EC", "ES384", "sig"),
        ("RSA", "RS384", "sig"),
    ]
    assert not any(SECRET_PARTS & item.keys() for item in published)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"keys": []}',
        '{"keys": [{"kty": "EC"}]}',
        json.dumps({"keys": [ECKey.generate_key("P-384", {"alg": "ES384", "kid": "a"}).as_dict(private=False)]}),
        json.dumps({"keys": [ECKey.generate_key("P-256", {"alg": "ES256", "kid": "a"}).as_dict(private=True)]}),
    ],
    ids=["empty", "list", "no-key", "damaged", "public", "other-algorithm"],
)
def test_a_file_without_keys_that_sign_is_refused(text: str) -> None:
    with pytest.raises(PermanentError):
        parse_keys(text)


def test_a_private_key_is_not_published_even_if_its_file_is_named(keys: dict[Algorithm, ClientKey]) -> None:
    for text in (dump_keys(keys.values()), dump_public_keys(keys.values())):
        assert parse_published_keys(text) == public_jwks(keys.values())
    symmetric = json.dumps(
        {"keys": [{"kty": "oct", "k": "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0", "kid": "a", "alg": "HS256"}]}
    )
    for wrong in ("", '{"keys": []}', symmetric):
        with pytest.raises(PermanentError):
            parse_published_keys(wrong)


@pytest.mark.parametrize(
    ("accepted", "expected"),
    [((), "ES384"), (("RS384",), "RS384"), (("RS384", "ES384"), "ES384"), (("RS256",), None)],
)
def test_the_algorithm_is_one_that_the_server_accepts(
    keys: dict[Algorithm, ClientKey], accepted: tuple[str, ...], expected: str | None
) -> None:
    found = select_key(tuple(keys.values()), accepted, NOW)
    assert (found.get("alg") if found is not None else None) == expected


def test_the_newest_key_signs_once_it_has_been_published_long_enough() -> None:
    old, new = ec(NOW - 86_400), ec(NOW)
    assert select_key((old, new), (), NOW + PUBLISHED_BEFORE_S - 1) is old
    assert select_key((new, old), (), NOW + PUBLISHED_BEFORE_S) is new
    assert select_key((new,), (), NOW) is new, "the first key signs at once"


def test_a_replaced_key_stays_published_for_a_day_after_its_successor_signs() -> None:
    first = rotate_keys((), NOW, _make)
    second = rotate_keys(first, NOW + 10, _make)
    limit = NOW + 10 + PUBLISHED_BEFORE_S + KEPT_AFTER_S
    assert {key.kid for key in first} < {key.kid for key in second}
    assert {key.kid for key in first} < {key.kid for key in rotate_keys(second, limit - 1, _make)}
    assert not {key.kid for key in first} & {key.kid for key in rotate_keys(second, limit, _make)}


RSA_KEY = generate_key("RS384", 0)  # generated once: an RSA key takes a tenth of a second and more


def rsa(at: int) -> ClientKey:
    return type(RSA_KEY).import_key(RSA_KEY.as_dict(private=True) | {"iat": at, "kid": f"rsa-{at}"})


def _make(algorithm: Algorithm, at: int) -> ClientKey:
    return ec(at) if algorithm == "ES384" else rsa(at)


# Assertions and secrets


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_an_assertion_has_exactly_the_claims_that_servers_check(
    keys: dict[Algorithm, ClientKey], algorithm: Algorithm
) -> None:
    key = keys[algorithm]
    signed = sign_assertion(key, "client-1", TOKEN_URL, NOW + 0.7, "id-1")
    found = jwt.decode(signed, KeySet.import_key_set(public_jwks([key])), algorithms=[algorithm])
    assert found.header == {"alg": algorithm, "kid": key.kid, "typ": "JWT"}
    assert found.claims == {
        "iss": "client-1",
        "sub": "client-1",
        "aud": TOKEN_URL,
        "jti": "id-1",
        "iat": NOW,
        "exp": NOW + 240,
    }


def test_an_assertion_names_the_key_set_where_that_is_registered(keys: dict[Algorithm, ClientKey]) -> None:
    signed = sign_assertion(keys["ES384"], "c", TOKEN_URL, NOW, "id", "https://us.example/.well-known/jwks.json")
    header = json.loads(base64.urlsafe_b64decode(signed.split(".")[0] + "=="))
    assert header["jku"] == "https://us.example/.well-known/jwks.json"


async def test_keys_are_read_for_each_request(tmp_path: Path) -> None:
    file, ids = tmp_path / "keys", iter("abc")
    client = PrivateKeyJwt("c", file, lambda: next(ids))
    for key in (ec(0), ec(1)):
        file.write_text(dump_keys([key]))
        assertion = (await client.credentials(TOKEN_URL, (), NOW)).form["client_assertion"]
        assert jwt.decode(assertion, key, algorithms=["ES384"]).claims["aud"] == TOKEN_URL
    file.write_text("gone")
    with pytest.raises(TokenRefusedError, match="not a JWK Set") as refused:
        await client.credentials(TOKEN_URL, (), NOW)
    assert "COUNTERSIGN_EHR_CLIENT_KEY_FILE" in refused.value.fix
    file.unlink()
    with pytest.raises(TokenRefusedError, match="cannot be read"):
        await client.credentials(TOKEN_URL, (), NOW)


async def test_a_secret_with_any_characters_arrives_as_it_is() -> None:
    secret = "a+b%c:d e/ü"
    basic = await ClientSecret("the:client", lambda: f"{secret}\n", "client_secret_basic").credentials(TOKEN_URL, (), 0)
    name, _, sent = base64.b64decode(basic.headers["Authorization"].removeprefix("Basic ")).decode().partition(":")
    assert (unquote_plus(name), unquote_plus(sent)) == ("the:client", secret)
    assert not basic.form
    post = await ClientSecret("c", lambda: secret, "client_secret_post").credentials(TOKEN_URL, (), 0)
    assert post.form == {"client_id": "c", "client_secret": secret}
    assert not post.headers
    assert secret not in repr(post)
    assert "Basic" not in repr(basic)


# Discovery


def test_the_configuration_names_the_endpoint_the_algorithms_and_the_kind_of_scopes() -> None:
    body = {
        "token_endpoint": TOKEN_URL,
        "token_endpoint_auth_signing_alg_values_supported": ["RS384", 7],
        "capabilities": ["client-confidential-asymmetric", "permission-v1"],
    }
    found = parse_configuration(body, "https://ehr.example/fhir/")
    assert (found.token_url, found.algorithms, found.has_v1_scopes_only) == (TOKEN_URL, ("RS384",), True)
    assert not parse_configuration(body | {"capabilities": ["permission-v1", "permission-v2"]}, "").has_v1_scopes_only
    assert not parse_configuration({"token_endpoint": TOKEN_URL}, "").has_v1_scopes_only


@pytest.mark.parametrize(
    ("url", "base"),
    [
        (None, "https://ehr.example/fhir/"),
        ("", "https://ehr.example/fhir/"),
        (7, "https://ehr.example/fhir/"),
        ("/token", "https://ehr.example/fhir/"),
        ("https:///token", "https://ehr.example/fhir/"),
        ("http://ehr.example/token", "https://ehr.example/fhir/"),
        ("file:///etc/passwd", "http://ehr.example/fhir/"),
    ],
)
def test_an_endpoint_that_credentials_must_not_be_sent_to_is_refused(url: Any, base: str) -> None:
    with pytest.raises(TokenRefusedError) as refused:
        parse_configuration({"token_endpoint": url}, base)
    assert "COUNTERSIGN_EHR_TOKEN_URL" in refused.value.fix


# Answers of the token endpoint


def answer(status: int, body: Any, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.Response(status, content=content, headers=headers)


def parse(response: httpx.Response) -> Any:
    return parse_token(response, "system/Patient.rs system/Task.crus", datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("more", "life", "scopes"),
    [
        ({"expires_in": 120, "scope": "system/Patient.r"}, 120, {"system/Patient.r"}),
        ({"expires_in": "120"}, 120, {"system/Patient.rs", "system/Task.crus"}),
        ({}, 300, {"system/Patient.rs", "system/Task.crus"}),
        ({"expires_in": None, "token_type": "bearer"}, 300, {"system/Patient.rs", "system/Task.crus"}),
        ({"expires_in": "soon", "scope": ""}, 300, set()),
        ({"expires_in": float("nan")}, 300, {"system/Patient.rs", "system/Task.crus"}),
        ({"expires_in": -5}, 1, {"system/Patient.rs", "system/Task.crus"}),
        ({"expires_in": 1e12}, 86_400, {"system/Patient.rs", "system/Task.crus"}),
    ],
)
def test_a_token_its_life_and_its_scopes(more: dict[str, Any], life: float, scopes: set[str]) -> None:
    token = parse(answer(200, {"access_token": "secret-token", "token_type": "Bearer"} | more))
    assert (token.value, token.life, token.scopes) == ("secret-token", life, scopes)
    assert "secret-token" not in repr(token)


@pytest.mark.parametrize(
    ("response", "kind", "says"),
    [
        (answer(400, {"error": "invalid_client"}), TokenRefusedError, "invalid_client"),
        (answer(401, {"error": "invalid_client", "error_description": "Jane Doe"}), TokenRefusedError, "HTTP 401"),
        (answer(400, {"error": "invalid_scope"}), TokenRefusedError, "invalid_scope"),
        (answer(400, {"error": "unauthorized_client"}), TokenRefusedError, "unauthorized_client"),
        (answer(400, {"error": "Jane Doe"}), TokenRefusedError, "HTTP 400"),
        (answer(400, {"error": {"a": 1}}), TokenRefusedError, "HTTP 400"),
        (answer(403, b"<html>"), TokenRefusedError, "HTTP 403"),
        (answer(404, b""), TokenRefusedError, "HTTP 404"),
        (answer(302, b"", location="https://elsewhere.example"), TokenRefusedError, "HTTP 302"),
        (answer(200, {"token_type": "bearer"}), TokenRefusedError, "no access token"),
        (answer(200, {"access_token": "a b"}), TokenRefusedError, "no access token"),
        (answer(200, {"access_token": "a\nX: y"}), TokenRefusedError, "no access token"),
        (answer(200, {"access_token": "a", "token_type": "mac"}), TokenRefusedError, "no bearer"),
        (answer(200, b"<html>maintenance"), TransientError, "not JSON"),
        (answer(200, [1]), TransientError, "not JSON"),
        (answer(500, b""), TransientError, "HTTP 500"),
        (answer(503, {"error": "invalid_client"}), TransientError, "HTTP 503"),
        (answer(400, {"error": "temporarily_unavailable"}), TransientError, "HTTP 400"),
        (answer(408, b""), TransientError, "HTTP 408"),
        (answer(429, b"", **{"retry-after": "17"}), RateLimitedError, "HTTP 429"),
        (answer(503, b"", **{"retry-after": "17"}), RateLimitedError, "HTTP 503"),
    ],
)
def test_errors_are_sorted_by_who_must_act(response: httpx.Response, kind: type[TransientError], says: str) -> None:
    with pytest.raises(TransientError, match=says) as found:
        parse(response)
    assert type(found.value) is kind
    assert "Jane" not in str(found.value)
    if isinstance(found.value, RateLimitedError):
        assert found.value.retry_after == 17
    if isinstance(found.value, TokenRefusedError):
        assert found.value.fix


# Scopes


def test_every_type_that_the_drafter_searches_is_asked_for() -> None:
    assert {*OF_THE_PATIENT, *OF_THE_STAY} <= NEEDED.keys()
    assert "system/Encounter.rs" in needed_scopes().split()
    assert {"system/Task.read", "system/Task.write"} <= set(needed_scopes(v1=True).split())
    assert "system/Encounter.write" not in needed_scopes(v1=True).split()


@pytest.mark.parametrize(
    ("granted", "missing"),
    [
        (needed_scopes(), ()),
        (needed_scopes(v1=True), ()),
        ("system/*.cruds", ()),
        ("system/*.* openid", ()),
        ("system/*.read system/Task.write system/DocumentReference.write system/Device.write system/Provenance.*", ()),
        ("system/*.rs system/Task.cu system/DocumentReference.cu system/Device.c", ("system/Provenance.cd",)),
        (f"{needed_scopes()} system/Flag.zz".replace("system/Patient.rs ", ""), ("system/Patient.rs",)),
        (needed_scopes().replace("Patient.rs", "Patient.r"), ("system/Patient.s",)),
        (needed_scopes().replace("system/Patient", "user/Patient"), ("system/Patient.rs",)),
        (needed_scopes().replace("Goal.rs", "Goal.rs?status=active"), ("system/Goal.rs",)),
    ],
)
def test_what_is_granted_is_compared_in_either_notation(granted: str, missing: tuple[str, ...]) -> None:
    assert missing_scopes(granted.split()) == missing


def test_only_encounter_and_patient_are_indispensable() -> None:
    assert lacks_required(("system/Goal.rs", "system/Patient.s"))
    assert not lacks_required(("system/Goal.rs", "system/Task.crus"))
