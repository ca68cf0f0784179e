"""Encrypt a secret for a bucket with the master keys of a service: the first encrypts, each decrypts (AES-256-GCM)."""

from collections.abc import Callable, Sequence
from contextlib import suppress

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shared.contracts.errors import PermanentError

RandomBytes = Callable[[int], bytes]

NONCE = 12  # bytes
PLAIN, WRAPPED = b"\x01", b"\x02"


def wrap(keys: Sequence[bytes], random: RandomBytes, secret: bytes, about: str) -> bytes:
    """Return the secret as it is stored: encrypted with the first master key, if there is one.

    `about` is the name under which it is stored: elsewhere it cannot be decrypted.
    """
    if not keys:
        return PLAIN + secret
    nonce = random(NONCE)
    return WRAPPED + nonce + AESGCM(keys[0]).encrypt(nonce, secret, about.encode())


def unwrap(keys: Sequence[bytes], stored: bytes, about: str, what: str) -> bytes:
    """Return the secret; `what` names it in errors. Raises PermanentError when no master key opens it."""
    kind, rest = stored[:1], stored[1:]
    if kind == PLAIN:
        return rest
    if kind != WRAPPED or not keys:
        raise PermanentError(f"{what} is wrapped, and COUNTERSIGN_MASTER_KEY_FILE names no key")
    for master in keys:
        with suppress(InvalidTag):
            return AESGCM(master).decrypt(rest[:NONCE], rest[NONCE:], about.encode())
    raise PermanentError(f"{what} opens with none of the master keys")
