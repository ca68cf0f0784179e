"""Keys that sign a client's assertions, as a JWK Set with private keys. Pure.

Each key states in `iat` when it was made, in seconds since 1970. A new key is published before it signs, and an old one
stays published after its last signature, because servers cache the key set.
https://www.rfc-editor.org/rfc/rfc7517, https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html
"""

import json
from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import zip_longest
from typing import Any, Literal, cast

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeyParameters, KeySet, RSAKey

from shared.contracts.errors import PermanentError

ClientKey = ECKey | RSAKey
Algorithm = Literal["ES384", "RS384"]

ALGORITHMS: tuple[Algorithm, ...] = ("ES384", "RS384")  # the preferred one first; servers support at least one of them
RSA_BITS = 3072
JWKS_MAX_AGE_S = 300  # Cache-Control of the published key set
PUBLISHED_BEFORE_S = 2 * JWKS_MAX_AGE_S  # age at which a new key signs
KEPT_AFTER_S = 86_400  # an old key stays published for a day after its successor signs


def generate_key(algorithm: Algorithm, made_at: int) -> ClientKey:
    """Return a new private key. Its id is its thumbprint (RFC 7638)."""
    # `iat` is no registered parameter of a JWK; readers ignore those that they do not know (RFC 7517, section 4).
    parameters = cast(KeyParameters, {"use": "sig", "alg": algorithm, "iat": made_at})
    key: ClientKey = (
        ECKey.generate_key("P-384", parameters) if algorithm == "ES384" else RSAKey.generate_key(RSA_BITS, parameters)
    )
    key.ensure_kid()
    return key


def parse_keys(text: str) -> tuple[ClientKey, ...]:
    """Return the private keys of a JWK Set.

    Raises PermanentError when it has none, or one that cannot sign an assertion.
    """
    keys = _parse(text)
    if not keys or not all(key.is_private and _has_use(key) for key in keys):
        raise PermanentError(f"each key of our client must be private and have an `alg` of {', '.join(ALGORITHMS)}")
    return keys


def _parse(text: str) -> tuple[ClientKey, ...]:
    try:
        keys = tuple(KeySet.import_key_set(json.loads(text)).keys)
    except (ValueError, TypeError, KeyError, AttributeError, JoseError):
        raise PermanentError("the file of our client's keys is not a JWK Set") from None
    found = tuple(key for key in keys if isinstance(key, ECKey | RSAKey))
    return found if len(found) == len(keys) else ()


def _has_use(key: ClientKey) -> bool:
    """Return whether the key is of one of our algorithms, and has an id."""
    expected = {"ES384": ECKey, "RS384": RSAKey}.get(str(key.get("alg")))
    return expected is not None and isinstance(key, expected) and bool(key.kid)


def dump_keys(keys: Iterable[ClientKey]) -> str:
    """Return the JWK Set with the private keys, for a file that only services read."""
    return json.dumps({"keys": [key.as_dict(private=True) for key in keys]}, indent=1)


def public_jwks(keys: Iterable[ClientKey]) -> dict[str, Any]:
    """Return the JWK Set with the public halves, for publication."""
    return {"keys": [key.as_dict(private=False) for key in keys]}


def dump_public_keys(keys: Iterable[ClientKey]) -> str:
    """Return the JWK Set with the public halves, for a file."""
    return json.dumps(public_jwks(keys), indent=1)


def parse_published_keys(text: str) -> dict[str, Any]:
    """Return the JWK Set of a file, for publication: without private members, should the file have some.

    Raises PermanentError when it is not a set of public keys that check our signatures.
    """
    keys = _parse(text)
    if not keys or not all(_has_use(key) for key in keys):
        raise PermanentError("the file to publish has no keys of our client")
    return public_jwks(keys)


def select_key(keys: Sequence[ClientKey], accepted: Collection[str], now: float) -> ClientKey | None:
    """Return the key that signs at `now`; None if the server accepts the algorithm of none.

    The newest key signs once it has been published long enough; before, the newest of the others does. A server that
    names no algorithms (`accepted` is empty) is sent the preferred one that we have.
    """
    for algorithm in ALGORITHMS:
        found = sorted((key for key in keys if key.get("alg") == algorithm), key=_made_at)
        if found and (not accepted or algorithm in accepted):
            published = [key for key in found if now - _made_at(key) >= PUBLISHED_BEFORE_S]
            return published[-1] if published else found[0]
    return None


def rotate_keys(
    keys: Sequence[ClientKey], now: int, make: Callable[[Algorithm, int], ClientKey] = generate_key
) -> tuple[ClientKey, ...]:
    """Return `keys` with a new one for each algorithm, without those that were replaced more than a day ago."""
    kept = [key for algorithm in ALGORITHMS for key in _still_published(keys, algorithm, now)]
    return (*kept, *(make(algorithm, now) for algorithm in ALGORITHMS))


def _still_published(keys: Sequence[ClientKey], algorithm: Algorithm, now: int) -> list[ClientKey]:
    found = sorted((key for key in keys if key.get("alg") == algorithm), key=_made_at)
    limit = now - PUBLISHED_BEFORE_S - KEPT_AFTER_S
    return [key for key, successor in zip_longest(found, found[1:]) if not _replaced(successor, limit)]


def _replaced(successor: ClientKey | None, limit: int) -> bool:
    return successor is not None and _made_at(successor) <= limit


def _made_at(key: ClientKey) -> float:
    value = key.get("iat")
    return float(value) if isinstance(value, int | float) else 0.0
