"""Verify JWTs of an issuer with the keys that it publishes (JWK Set), and follow their rotation.

https://www.rfc-editor.org/rfc/rfc7515, https://www.rfc-editor.org/rfc/rfc7517#section-5
"""

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from shared.contracts.errors import TransientError

logger = logging.getLogger(__name__)

PublicKey = RSAKey | ECKey | OKPKey
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
JWKS_MAX_AGE_S = 3600.0  # keys are fetched again after this time
JWKS_LIMIT_S = 7200.0  # age at which keys are no longer used, also if the issuer does not answer
JWKS_MIN_REFRESH_S = 60.0  # time between two requests for the same unknown key, and between retries
# Requests for unknown keys, whatever keys tokens name: so many at once, and one more every `JWKS_MIN_REFRESH_S`.
UNKNOWN_BURST = 5
MAX_REMEMBERED_KIDS = 256
MAX_KEYS = 64  # of a set; a token without `kid` is checked with each key that fits
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}


def _monotonic() -> float:
    """Return the monotonic time in seconds."""
    return time.monotonic()


class SignatureError(Exception):
    """The token is no JWT that a key of the issuer signed."""


def parse_key_set(body: Any) -> tuple[PublicKey, ...]:
    """Return the keys of a JWK Set that verify signatures.

    Keys of unknown types, curves or uses are left out, as RFC 7517 (section 5) asks. Raises ValueError where the body
    is no JWK Set.
    """
    members = body.get("keys") if isinstance(body, dict) else None
    if not isinstance(members, list):
        raise ValueError("not a JWK Set")
    found = (_parse_key(member) for member in members[:MAX_KEYS])
    return tuple(key for key in found if key is not None)


def _parse_key(member: Any) -> PublicKey | None:
    if not isinstance(member, dict) or member.get("use", "sig") != "sig":
        return None
    operations = member.get("key_ops")
    if isinstance(operations, list) and "verify" not in operations:
        return None
    try:
        key = JWKRegistry.import_key(member)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return key if isinstance(key, PublicKey) else None  # a symmetric key verifies nothing


def suitable_keys(keys: Sequence[PublicKey], algorithm: str, kid: str | None) -> list[PublicKey]:
    """Return the keys that may verify a token: those named `kid`, or without one all keys for the algorithm."""
    return [key for key in keys if _fits(key, algorithm) and (kid is None or key.get("kid") == kid)]


def _fits(key: PublicKey, algorithm: str) -> bool:
    if key.get("alg", algorithm) != algorithm:
        return False
    if algorithm.startswith(("RS", "PS")):
        return isinstance(key, RSAKey)
    if algorithm in _CURVES:
        return isinstance(key, ECKey) and key.get("crv") == _CURVES[algorithm]
    return isinstance(key, OKPKey)


class IssuerKeys:
    """The keys of one issuer. `fetch` returns its JWK Set and raises TransientError; `clock` is monotonic, in seconds.

    A token with a key that is not known is worth one request: keys are rotated at any time. While a request is made,
    tokens with known keys do not wait for it.
    """

    def __init__(
        self, fetch: Callable[[], Awaitable[Any]], clock: Callable[[], float] = lambda: time.monotonic()
    ) -> None:
        self._fetch = fetch
        self._clock: Callable[[], float] = _monotonic if clock is None else clock
        self._keys: tuple[PublicKey, ...] | None = None
        self._fetched = 0.0  # when the keys in use were fetched
        self._tried = 0.0  # when they were last asked for
        self._request: asyncio.Task[None] | None = None
        self._unknown: OrderedDict[str, float] = OrderedDict()  # `kid` → when it was last asked for
        self._tokens, self._refilled = float(UNKNOWN_BURST), 0.0

    async def claims(self, token: str) -> dict[str, Any]:
        """Return the claims of a token whose signature was verified.

        Raises SignatureError, and TransientError where the issuer's keys cannot be had.
        """
        algorithm, kid = _parse_header(token)
        keys = await self._current()
        found = _verify(token, suitable_keys(keys, algorithm, kid))
        if found is None and await self._refreshed(kid, known=any(key.get("kid") == kid for key in keys)):
            found = _verify(token, suitable_keys(self._keys or (), algorithm, kid))
        if found is None:
            raise SignatureError
        return found

    async def _current(self) -> tuple[PublicKey, ...]:
        """Return the keys, fetched again when they are old: a key that was withdrawn must not stay valid."""
        now = self._clock()
        if self._keys is None:
            await self._fetch_once()
        elif now - self._fetched > JWKS_MAX_AGE_S and self._request is None and self._may_retry(now):
            try:
                await self._fetch_once()
            except TransientError as error:
                logger.warning("the keys of the identity provider were not renewed: %s", error.reason)
        if self._keys is None or self._clock() - self._fetched > JWKS_LIMIT_S:
            raise TransientError("the keys of the identity provider are too old, and it does not answer")
        return self._keys

    def _may_retry(self, now: float) -> bool:
        return now - self._tried > JWKS_MIN_REFRESH_S

    async def _refreshed(self, kid: str | None, *, known: bool) -> bool:
        """Return whether the keys were fetched because of a token that none of them verifies.

        A token that names a known key was signed by another one: keys of the same name are replaced rarely, so that
        such tokens wait for nothing that is under way.
        """
        now = self._clock()
        if known or kid is None:
            if self._request is not None or not self._may_retry(now):
                return False
        elif self._request is None and not self._admit(kid, now):
            return False
        try:
            await self._fetch_once()
        except TransientError as error:
            self._unknown.pop(kid or "", None)  # it is still worth a request
            logger.warning("the keys of the identity provider were not renewed: %s", error.reason)
            raise
        return True

    def _admit(self, kid: str, now: float) -> bool:
        """Return whether an unknown `kid` is worth a request now."""
        if now - self._unknown.get(kid, -JWKS_MIN_REFRESH_S) < JWKS_MIN_REFRESH_S:
            return False
        refill = (now - self._refilled) / JWKS_MIN_REFRESH_S
        self._tokens, self._refilled = min(float(UNKNOWN_BURST), self._tokens + refill), now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        self._unknown[kid] = now
        self._unknown.move_to_end(kid)
        if len(self._unknown) > MAX_REMEMBERED_KIDS:
            self._unknown.popitem(last=False)
        return True

    async def _fetch_once(self) -> None:
        """Fetch the keys, or wait for the request that is under way. It outlives a caller that is cancelled."""
        if self._request is None:
            self._request = asyncio.create_task(self._replace())
            self._request.add_done_callback(self._ended)
        await asyncio.shield(self._request)

    def _ended(self, request: "asyncio.Task[None]") -> None:
        self._request = None
        if not request.cancelled():
            request.exception()  # it is retrieved, also where every caller has gone

    async def _replace(self) -> None:
        self._tried = self._clock()
        body = await self._fetch()
        try:
            keys = parse_key_set(body)
        except ValueError:
            raise TransientError("the identity provider's keys are no JWK Set") from None
        if not keys:
            raise TransientError("the identity provider publishes no key that verifies signatures")
        self._keys, self._fetched = keys, self._clock()


def _parse_header(token: str) -> tuple[str, str | None]:
    """Return algorithm and `kid` of a token. Raises SignatureError where it is no JWT of an algorithm of ours."""
    try:
        header = jws.extract_compact(token.encode()).headers()
    except (JoseError, ValueError, RecursionError):
        raise SignatureError from None
    algorithm, kid = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS or not isinstance(kid, str | None):
        raise SignatureError
    return str(algorithm), kid


def _verify(token: str, keys: Sequence[PublicKey]) -> dict[str, Any] | None:
    for key in keys:
        try:
            return dict(jwt.decode(token, key, algorithms=ALGORITHMS).claims)
        except (JoseError, ValueError, KeyError, RecursionError):
            continue
    return None
