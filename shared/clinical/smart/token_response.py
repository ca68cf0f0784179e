"""Convert the answers of a token endpoint into a token, or into an error that says who must act. Pure.

https://www.rfc-editor.org/rfc/rfc6749#section-5. Errors carry OAuth codes and statuses, never the server's own words.
"""

import json
import math
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from shared.contracts.errors import CountersignError, RateLimitedError, TransientError
from shared.http import retry_after
from shared.oauth.errors import TokenRefusedError

DEFAULT_LIFE_S = 300.0  # if the server does not say: the maximum that SMART recommends
MIN_LIFE_S = 1.0
MAX_LIFE_S = 86_400.0
RETRYABLE_STATUSES = (408, 425)  # besides 5xx
RETRYABLE_CODES = ("temporarily_unavailable", "server_error")
_KEY_FIX = (
    "check COUNTERSIGN_EHR_CLIENT_ID, that the EHR has our key set (/.well-known/jwks.json), and this machine's clock"
)
# OAuth code → what to do. Other codes are not repeated: they are text of the server.
FIXES = {
    "invalid_client": _KEY_FIX,
    "unauthorized_client": "let the EHR's team allow this client the grant type client_credentials",
    "unsupported_grant_type": "let the EHR's team enable client_credentials (SMART Backend Services)",
    "invalid_grant": _KEY_FIX,
    "invalid_scope": "set COUNTERSIGN_EHR_SCOPE to scopes that the EHR knows and that our client was granted",
    "invalid_request": "check COUNTERSIGN_EHR_TOKEN_URL, and how the EHR expects the client to authenticate",
    "access_denied": "let the EHR's team approve this client",
}
OTHER_FIX = "check COUNTERSIGN_EHR_TOKEN_URL and the client's registration at the EHR"


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A bearer token, its life in seconds, and the scopes that were granted."""

    value: str = field(repr=False)
    life: float
    scopes: frozenset[str]


def parse_token(response: httpx.Response, asked: str, now: datetime) -> AccessToken:
    """Return the token of a response to a request for the scopes `asked`.

    Raises TokenRefusedError, RateLimitedError or TransientError for an answer without a token.
    """
    body = _json(response)
    if not response.is_success:
        raise token_error(response, body, now)
    if not isinstance(body, dict):
        raise TransientError(f"the token endpoint's answer is not JSON (HTTP {response.status_code})")
    value, kind = body.get("access_token"), body.get("token_type", "bearer")
    if not isinstance(value, str) or not value.isascii() or not value.isprintable() or len(value.split()) != 1:
        raise TokenRefusedError("the token endpoint's answer has no access token", "response", OTHER_FIX)
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise TokenRefusedError("the token endpoint issues no bearer tokens", "response", OTHER_FIX)
    scopes = body.get("scope")
    granted = scopes if isinstance(scopes, str) else asked  # omitted: all that was asked for
    return AccessToken(value, _life(body.get("expires_in")), frozenset(granted.split()))


def token_error(response: httpx.Response, body: Any, now: datetime) -> CountersignError:
    """Return the error that an unsuccessful response stands for."""
    status = response.status_code
    stated = body.get("error") if isinstance(body, dict) else None
    if status == 429 or (status == 503 and "retry-after" in response.headers):
        wait = retry_after(response.headers.get("retry-after"), now)
        return RateLimitedError(f"the token endpoint asks us to wait (HTTP {status})", wait)
    if status >= 500 or status in RETRYABLE_STATUSES or _is_one_of(stated, RETRYABLE_CODES):
        return TransientError(f"the token endpoint does not answer properly (HTTP {status})")
    if _is_one_of(stated, FIXES):
        reason = f"the token endpoint refuses our client: {stated} (HTTP {status})"
        return TokenRefusedError(reason, str(stated), FIXES[str(stated)])
    return TokenRefusedError(f"the token endpoint refuses the request (HTTP {status})", f"http-{status}", OTHER_FIX)


def _is_one_of(value: Any, known: Collection[str]) -> bool:
    return isinstance(value, str) and value in known


def _json(response: httpx.Response) -> Any:
    try:
        return json.loads(response.content)
    except (ValueError, RecursionError):
        return None


def _life(value: Any) -> float:
    """Return the token's life in seconds; servers also write the number as text."""
    try:
        seconds = float(value)
    except (TypeError, ValueError):
        return DEFAULT_LIFE_S
    return min(max(seconds, MIN_LIFE_S), MAX_LIFE_S) if math.isfinite(seconds) else DEFAULT_LIFE_S
