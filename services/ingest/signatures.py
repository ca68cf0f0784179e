"""Check the signature of a notification: HMAC-SHA256 of the body as it was sent. Pure.

Medplum sends it as `X-Signature: <hex>`, athenahealth as `X-Hub-Signature: sha256=<hex>`.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Mapping

HEADERS = ("x-signature", "x-hub-signature", "x-hub-signature-256")
_SIGNATURE = re.compile(r"(?:sha256=)?([0-9a-fA-F]{64})")


def is_signed(headers: Mapping[str, str]) -> bool:
    """Return whether a request has a signature of the right form."""
    return bool(_signatures(headers))


def signer(body: bytes, headers: Mapping[str, str], secrets: Iterable[tuple[str, bytes]]) -> str | None:
    """Return the name beside the secret that signed `body`; None where none of them did.

    Every secret is tried, so that the time of an answer does not tell which one was right.
    """
    given = _signatures(headers)
    found: str | None = None
    for name, secret in secrets:
        wanted = hmac.new(secret, body, hashlib.sha256).hexdigest()
        if any([hmac.compare_digest(wanted, item) for item in given]) and found is None:
            found = name
    return found


def _signatures(headers: Mapping[str, str]) -> list[str]:
    matches = [_SIGNATURE.fullmatch(headers.get(name, "").strip()) for name in HEADERS]
    return [match[1].lower() for match in matches if match is not None]
