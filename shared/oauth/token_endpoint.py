"""Send requests to token endpoints and those like them for people who sign in, and sort their answers.

https://www.rfc-editor.org/rfc/rfc6749#section-5. Errors carry OAuth codes and statuses, never the server's own words.
"""

import asyncio
import base64
import hashlib
import json
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from shared.contracts.errors import TransientError
from shared.oauth.client_authentication import ClientAuthentication
from shared.oauth.errors import SlowDownError, TokenRefusedError

RETRYABLE_STATUSES = (408, 425, 429)  # besides 5xx
RETRYABLE_CODES = ("temporarily_unavailable", "server_error")  # besides slow_down
# Error codes of RFC 6749, 8628, 8707 and OpenID Connect; others are not repeated, as they are text of the server.
CODES = (
    "access_denied",
    "authorization_pending",
    "consent_required",
    "expired_token",
    "interaction_required",
    "invalid_client",
    "invalid_grant",
    "invalid_request",
    "invalid_scope",
    "invalid_target",
    "login_required",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
)
REGISTRATION_CODES = ("invalid_client", "unauthorized_client", "unsupported_grant_type", "invalid_scope")
MAX_ANSWER_BYTES = 1_000_000
LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")
TIMEOUT_S = 15.0  # for a whole answer: a person waits for it


def known_code(value: Any) -> str:
    """Return an error code if it is one of the standards; `another error` for anything else."""
    return value if isinstance(value, str) and value in CODES else "another error"


def authorization_url(endpoint: str, verifier: str, parameters: Mapping[str, str]) -> str:
    """Return the URL that a browser is sent to for an authorization code, with PKCE (RFC 7636, S256)."""
    digest = hashlib.sha256(verifier.encode()).digest()
    challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
    sent = {"response_type": "code", **parameters, "code_challenge": challenge, "code_challenge_method": "S256"}
    return with_query(endpoint, sent)


def with_query(url: str, parameters: Mapping[str, str]) -> str:
    """Add parameters to a URL, which may have some already."""
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(parameters)}"


def is_safe_endpoint(url: Any, issuer: str) -> bool:
    """Return whether credentials may be sent to `url`: by https, or as plainly as the issuer itself is reached."""
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in {"https", urlsplit(issuer).scheme} and bool(parts.hostname)


def is_secure_url(url: Any) -> bool:
    """Return whether nobody on the network reads what is sent to `url`: by https, or within this machine."""
    if not isinstance(url, str):
        return False
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return bool(parts.hostname) and (
        parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK_HOSTS)
    )


async def request_tokens(
    http: httpx.AsyncClient,
    url: str,
    authentication: ClientAuthentication,
    algorithms: Collection[str],
    now: float,
    grant: Mapping[str, str],
    endpoint: str = "token endpoint",
) -> dict[str, Any]:
    """Return the answer to a token request. `now` is in seconds since 1970; `endpoint` is the name in errors.

    Raises TransientError where the endpoint does not answer (SlowDownError where it asks for fewer requests),
    TokenRefusedError where it refuses: with code `invalid_grant` the code or refresh token, otherwise our client.
    """
    answer = await post_form(http, url, authentication, algorithms, now, grant, endpoint)
    body = parse_json(answer)
    if answer.is_success and isinstance(body, dict) and body.get("error") is None:
        return body
    raise refusal_of(answer, body, endpoint)


async def post_form(
    http: httpx.AsyncClient,
    url: str,
    authentication: ClientAuthentication,
    algorithms: Collection[str],
    now: float,
    form: Mapping[str, str],
    endpoint: str,
) -> httpx.Response:
    """Return the answer to an authenticated form. Raises TransientError where the endpoint does not answer."""
    proof = await authentication.credentials(url, algorithms, now)
    headers = {"Accept": "application/json", **proof.headers}
    try:
        # Redirects are not followed: they could take credentials to another host.
        async with asyncio.timeout(TIMEOUT_S):
            return await http.post(url, data={**form, **proof.form}, headers=headers, follow_redirects=False)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError) as error:
        raise TransientError(f"the {endpoint} does not answer ({type(error).__name__})") from None


def refusal_of(answer: httpx.Response, body: Any, endpoint: str) -> TransientError:
    """Return the error of an answer that is none; `body` is its JSON."""
    stated = body.get("error") if isinstance(body, dict) else None
    status = answer.status_code
    if stated == "slow_down":
        return SlowDownError(f"the {endpoint} asks for fewer requests (HTTP {status})")
    if status >= 500 or status in RETRYABLE_STATUSES or stated in RETRYABLE_CODES:
        return TransientError(f"the {endpoint} does not answer properly (HTTP {status})")
    if answer.is_success and stated is None:
        return TransientError(f"the {endpoint}'s answer is not JSON")
    code = known_code(stated)
    return TokenRefusedError(f"the {endpoint} refuses the request: {code} (HTTP {status})", code, _fix(code))


def _fix(code: str) -> str:
    if code in REGISTRATION_CODES:
        return "check the client's id, its secret or keys, and its registration"
    return "sign in again; check the redirect URI where it stays so"


def parse_json(answer: httpx.Response) -> Any:
    """Return the JSON of an answer; None where it is none, or larger than any answer of ours may be."""
    if len(answer.content) > MAX_ANSWER_BYTES:
        return None
    try:
        return json.loads(answer.content)
    except (ValueError, RecursionError):
        return None
