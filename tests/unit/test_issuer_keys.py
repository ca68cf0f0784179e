"""Keys of an issuer as they are: of unknown types, without ids, rotated at any moment, behind a server that is away."""

import asyncio
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey, RSAKey

from shared.contracts.errors import TransientError
from shared.oauth.issuer_keys import (
    JWKS_LIMIT_S,
    JWKS_MAX_AGE_S,
    JWKS_MIN_REFRESH_S,
    UNKNOWN_BURST,
    IssuerKeys,
    SignatureError,
    parse_key_set,
)

RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
EC = ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"})
OTHER = ECKey.generate_key("P-256", {"kid": "other", "use": "sig"})
STRANGE: list[Any] = [
    {"kty": "AKP", "alg": "ML-DSA-44", "kid": "quantum", "pub": "AA"},
    {"kty": "OKP", "crv": "X999", "x": "AA", "kid": "curve"},
    {"kty": "RSA", "kid": "broken"},
    {"kid": "no type"},
    "not an object",
    OctKey.generate_key(256, {"kid": "symmetric"}).as_dict(private=True),
]


def public(key: RSAKey | ECKey, **more: Any) -> dict[str, Any]:
    found = dict(key.as_dict(private=False)) | more
    return {name: value for name, value in found.items() if value is not None}


def token(key: RSAKey | ECKey, kid: str | None = None) -> str:
    header = {"alg": "RS256" if isinstance(key, RSAKey) else "ES256"} | ({"kid": kid} if kid else {})
    return jwt.encode(header, {"sub": "mgee"}, key)


class Issuer:
    """Publishes `keys`; `down`: it does not answer. `gate`: it answers when that is set."""

    def __init__(self, *keys: Any) -> None:
        self.keys = list(keys)
        self.down = False
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.now = 1000.0
        self.known = IssuerKeys(self.fetch, lambda: self.now)

    async def fetch(self) -> Any:
        self.asked += 1
        await self.gate.wait()
        if self.down:
            raise TransientError("away")
        return {"keys": list(self.keys)}

    async def accepts(self, sent: str) -> bool:
        try:
            return (await self.known.claims(sent))["sub"] == "mgee"
        except SignatureError:
            return False


def test_keys_that_cannot_be_used_are_left_out() -> None:
    found = parse_key_set({"keys": [*STRANGE, public(RSA), public(EC, use="enc", kid="encrypts"), public(EC)]})
    assert [key.kid for key in found] == ["rsa", "ec"]
    for body in (None, [], {"keys": "none"}, {}):
        with pytest.raises(ValueError):
            parse_key_set(body)


async def test_a_strange_key_in_the_set_does_not_stop_sign_ins() -> None:
    issuer = Issuer(*STRANGE, public(RSA), public(EC))
    assert await issuer.accepts(token(RSA, "rsa"))
    assert await issuer.accepts(token(EC, "ec"))


async def test_a_token_without_kid_is_tried_with_every_suitable_key() -> None:
    issuer = Issuer(public(RSA, kid=None), public(OTHER, kid=None), public(EC))
    assert await issuer.accepts(token(EC))
    assert await issuer.accepts(token(RSA))
    issuer.keys = [public(RSA)]
    assert not await issuer.accepts(token(ECKey.generate_key("P-256")))


async def test_a_key_that_was_published_a_moment_ago_is_fetched_once() -> None:
    issuer = Issuer(public(RSA))
    assert await issuer.accepts(token(RSA, "rsa"))
    issuer.keys.append(public(EC))
    issuer.now += 1
    assert all(await asyncio.gather(*(issuer.accepts(token(EC, "ec")) for _ in range(20))))
    assert issuer.asked == 2


async def test_unknown_keys_are_fetched_for_at_a_limited_rate() -> None:
    issuer = Issuer(public(RSA))
    assert await issuer.accepts(token(RSA, "rsa"))
    for _ in range(3):
        assert not await issuer.accepts(token(OTHER, "other"))
    assert issuer.asked == 2, "once for each unknown key"
    for number in range(50):
        assert not await issuer.accepts(token(OTHER, f"made-up-{number}"))
    assert issuer.asked == 1 + UNKNOWN_BURST
    issuer.keys.append(public(EC))
    issuer.now += JWKS_MIN_REFRESH_S + 1
    assert await issuer.accepts(token(EC, "ec")), (
        "a flood of made-up keys holds a real rotation up for a minute at most"
    )


async def test_a_new_key_is_asked_for_again_when_the_issuer_was_away() -> None:
    issuer = Issuer(public(RSA))
    assert await issuer.accepts(token(RSA, "rsa"))
    issuer.keys.append(public(EC))
    issuer.down = True
    with pytest.raises(TransientError):
        await issuer.known.claims(token(EC, "ec"))
    issuer.down = False
    assert await issuer.accepts(token(EC, "ec"))


async def test_tokens_with_a_known_key_do_not_wait_for_a_request_that_hangs() -> None:
    issuer = Issuer(public(RSA))
    assert await issuer.accepts(token(RSA, "rsa"))
    issuer.gate.clear()
    stranger = asyncio.create_task(issuer.accepts(token(OTHER, "other")))
    await asyncio.sleep(0)
    assert await asyncio.wait_for(issuer.accepts(token(RSA, "rsa")), 1)
    assert not await asyncio.wait_for(issuer.accepts(token(OTHER, "rsa")), 1)
    issuer.gate.set()
    assert not await stranger


async def test_old_keys_outlast_an_issuer_that_is_away_for_some_time_only() -> None:
    issuer = Issuer(public(RSA))
    assert await issuer.accepts(token(RSA, "rsa"))
    issuer.down = True
    issuer.now += JWKS_MAX_AGE_S + 1
    for _ in range(3):
        assert await issuer.accepts(token(RSA, "rsa"))
    assert issuer.asked == 2, "it is asked again after a minute"
    issuer.now += JWKS_LIMIT_S
    with pytest.raises(TransientError):
        await issuer.known.claims(token(RSA, "rsa"))
    issuer.down = False
    issuer.now += JWKS_MIN_REFRESH_S + 1
    assert await issuer.accepts(token(RSA, "rsa"))


async def test_a_withdrawn_key_ends_within_the_hour() -> None:
    issuer = Issuer(public(RSA))
    assert await issuer.accepts(token(RSA, "rsa"))
    issuer.keys = [public(EC)]
    issuer.now += JWKS_MAX_AGE_S + 1
    assert not await issuer.accepts(token(RSA, "rsa"))


@pytest.mark.parametrize(
    "sent",
    ["", "a.b.c", "e30.e30.e30", "\ud800.e30.", jwt.encode({"alg": "HS256"}, {}, OctKey.generate_key(256))],
    ids=["empty", "not base64", "no algorithm", "no text", "shared secret"],
)
async def test_what_is_no_token_of_the_issuer_is_refused(sent: str) -> None:
    issuer = Issuer(public(RSA))
    with pytest.raises(SignatureError):
        await issuer.known.claims(sent)
    assert issuer.asked == 0
