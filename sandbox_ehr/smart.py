"""The sandbox's authorization server: SMART Backend Services, as strict as the standard is.

Tokens are kept in memory: a restart ends them.
https://hl7.org/fhir/smart-app-launch/client-confidential-asymmetric.html
"""

import asyncio
import json
import math
import re
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox_ehr.app_launch import AppLaunch, LaunchError, root_of
from sandbox_ehr.token_request import TokenError, parse_basic, parse_form

Clock = Callable[[], float]  # seconds since 1970
KeySource = Callable[[], Awaitable[Any]]  # the client's JWK Set

TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path
CONFIGURATION_PATH = ".well-known/smart-configuration"
ALGORITHMS = ["ES384", "RS384"]
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MAX_ASSERTION_LIFE_S = 300
CLOCK_SKEW_S = 30
KEYS_MAX_AGE_S = 300
EVERYTHING = "system/*.cruds"
_SCOPE = re.compile(r"system/(\*|[A-Z][A-Za-z]*)\.(c?r?u?d?s?|read|write|\*)")
_V1 = {"read": "rs", "write": "cud", "*": "cruds"}
_INTERACTIONS = {
    ("GET", True): "r",
    ("GET", False): "s",
    ("POST", False): "c",
    ("PUT", True): "u",
    ("DELETE", True): "d",
}


@dataclass(frozen=True, slots=True)
class RegisteredClient:
    """A client: its keys or its secret, and the scopes that it may be granted."""

    id: str
    keys: KeySource | None = None
    jwks_url: str | None = None  # where the keys are; an assertion may name it (`jku`), and no other place
    secret: str | None = field(default=None, repr=False)
    scope: str = EVERYTHING


@dataclass(frozen=True, slots=True)
class _Grant:
    ends: float
    permissions: dict[str, set[str]]


class AuthorizationServer:
    """Issue tokens to registered clients, and check them. With `anonymous`, requests without any token pass too."""

    def __init__(
        self,
        clients: list[RegisteredClient],
        *,
        life: float = 300.0,
        anonymous: bool = False,
        clock: Clock = time.time,
        apps: AppLaunch | None = None,
    ) -> None:
        self.apps = apps
        self._clients = {client.id: client for client in clients}
        self.life = life
        self.anonymous = anonymous
        self.issued = 0  # tokens
        self.forbidden = 0  # requests beyond the scopes of their token
        self._clock = clock
        self._grants: dict[str, _Grant] = {}
        self._used: dict[tuple[str, str], float] = {}  # client and `jti` of an assertion → when it ends
        self._keys: dict[str, tuple[float, KeySet]] = {}  # client → when they are fetched again, its keys

    def revoke_all(self) -> None:
        """End every token at once."""
        self._grants.clear()

    def configuration(self, request: Request) -> Response:
        """Answer `.well-known/smart-configuration`."""
        launch = self.apps.configuration(root_of(request)) if self.apps is not None else {"capabilities": []}
        return JSONResponse(
            launch
            | {
                "token_endpoint": _token_url(request),
                "token_endpoint_auth_methods_supported": [
                    "private_key_jwt",
                    "client_secret_basic",
                    "client_secret_post",
                ],
                "token_endpoint_auth_signing_alg_values_supported": ALGORITHMS,
                "grant_types_supported": ["client_credentials", *(["authorization_code"] if self.apps else [])],
                "scopes_supported": [EVERYTHING, *(self.apps.app.scope.split() if self.apps else [])],
                "capabilities": [
                    *launch["capabilities"],
                    "client-confidential-asymmetric",
                    "client-confidential-symmetric",
                    "permission-v1",
                    "permission-v2",
                ],
            }
        )

    async def token(self, request: Request) -> Response:
        """Answer a token request."""
        uncached = {"Cache-Control": "no-store", "Pragma": "no-cache"}
        try:
            form = parse_form(await request.body())
            if self.apps is not None and form.get("grant_type") == "authorization_code":
                client_id = parse_basic(request.headers.get("authorization", ""))
                return JSONResponse(self.apps.redeem(form, client_id, root_of(request)), 200, uncached)
            if form.get("grant_type") != "client_credentials":
                raise TokenError("unsupported_grant_type", "grant_type")
            client = await self._authenticate(request, form)
            scope, permissions = _grant_scopes(form.get("scope", ""), client.scope)
        except (TokenError, LaunchError) as refusal:
            body = {"error": refusal.code, "error_description": refusal.description}
            return JSONResponse(body, refusal.status if isinstance(refusal, TokenError) else 400, uncached)
        now = self._clock()
        self._grants = {key: grant for key, grant in self._grants.items() if grant.ends > now}
        token = secrets.token_urlsafe(32)
        self._grants[token] = _Grant(now + self.life, permissions)
        self.issued += 1
        life = int(self.life) if self.life >= 1 else self.life
        answer: dict[str, Any] = {"access_token": token, "token_type": "bearer", "expires_in": life, "scope": scope}
        return JSONResponse(answer, 200, uncached)

    def allows(self, authorization: str | None, method: str, type: str, id: str | None) -> int:
        """Return 200, or the status of the refusal: 401 for the token, 403 for its scopes."""
        if authorization is None and self.anonymous:
            return 200
        scheme, _, token = (authorization or "").partition(" ")
        grant = self._grants.get(token) if scheme == "Bearer" else None
        if grant is None or self._clock() >= grant.ends:
            return 401
        may = "s" if id == "_search" else _INTERACTIONS.get((method, id is not None), "")
        allowed = grant.permissions.get(type, set()) | grant.permissions.get("*", set())
        if may and may in allowed:
            return 200
        self.forbidden += 1
        return 403

    # Clients

    async def _authenticate(self, request: Request, form: dict[str, str]) -> RegisteredClient:
        if "client_assertion" in form:
            if form.get("client_assertion_type") != ASSERTION_TYPE:
                raise TokenError("invalid_request", "client_assertion_type")
            return await self._check_assertion(form["client_assertion"], _token_url(request))
        id, secret = parse_basic(request.headers.get("authorization", "")) or (
            form.get("client_id", ""),
            form.get("client_secret", ""),
        )
        client = self._clients.get(id)
        if client is None or client.secret is None or not secrets.compare_digest(client.secret, secret):
            raise TokenError("invalid_client", "secret", 401)
        return client

    async def _check_assertion(self, assertion: str, token_url: str) -> RegisteredClient:
        """Check header, signature and every claim of an assertion. Raises TokenError naming what is wrong."""
        header, claimed = _parts(assertion)
        client = self._clients.get(str(claimed.get("iss")))
        if client is None or client.keys is None:
            raise TokenError("invalid_client", "iss")
        await self._check_signature(client, assertion, header)
        now = self._clock()
        checks = {
            "sub": claimed.get("sub") == client.id,
            "aud": claimed.get("aud") == token_url,  # a list is no string
            "exp": now < _seconds(claimed.get("exp")) <= now + MAX_ASSERTION_LIFE_S,
            "iat": _seconds(claimed.get("iat", now)) <= now + CLOCK_SKEW_S,
            "nbf": _seconds(claimed.get("nbf", now)) <= now + CLOCK_SKEW_S,
            "jti": isinstance(claimed.get("jti"), str) and bool(claimed["jti"]),
        }
        for name, holds in checks.items():
            if not holds:
                raise TokenError("invalid_client", name)
        self._used = {key: ends for key, ends in self._used.items() if ends > now}
        if (client.id, claimed["jti"]) in self._used:
            raise TokenError("invalid_client", "jti was used before")
        self._used[client.id, claimed["jti"]] = _seconds(claimed["exp"])
        return client

    async def _check_signature(self, client: RegisteredClient, assertion: str, header: dict[str, Any]) -> None:
        if header.get("alg") not in ALGORITHMS:
            raise TokenError("invalid_client", "alg")
        if header.get("typ") != "JWT":
            raise TokenError("invalid_client", "typ")
        if "jku" in header and header["jku"] != client.jwks_url:
            raise TokenError("invalid_client", "jku")
        keys = await self._keys_of(client, header.get("kid"))
        found = [
            key for key in keys.keys if key.kid == header.get("kid") and key.get("alg", header["alg"]) == header["alg"]
        ]
        if not found:
            raise TokenError("invalid_client", "kid")
        try:
            jwt.decode(assertion, found[0], algorithms=ALGORITHMS)
        except (JoseError, ValueError):
            raise TokenError("invalid_client", "signature") from None

    async def _keys_of(self, client: RegisteredClient, kid: Any) -> KeySet:
        """Return the client's keys, fetched again when they are old or lack `kid`."""
        ends, known = self._keys.get(client.id, (0.0, KeySet([])))
        if client.keys is None or (self._clock() < ends and any(key.kid == kid for key in known.keys)):
            return known
        try:
            found = KeySet.import_key_set(await client.keys())
        except (JoseError, ValueError, TypeError, KeyError, AttributeError, OSError, httpx.HTTPError):
            raise TokenError("invalid_client", "the key set cannot be read") from None
        self._keys[client.id] = self._clock() + KEYS_MAX_AGE_S, found
        return found


def keys_at(place: str) -> KeySource:
    """Return a source of the JWK Set in a file or at a URL."""

    async def read() -> Any:
        if not place.startswith(("http://", "https://")):
            return json.loads(await asyncio.to_thread(Path(place).read_text))
        async with httpx.AsyncClient(timeout=5.0, trust_env=False) as http:
            return (await http.get(place)).raise_for_status().json()

    return read


def _token_url(request: Request) -> str:
    return f"{root_of(request)}{TOKEN_PATH}"


def _parts(assertion: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of an assertion, not verified yet."""
    try:
        found = jws.extract_compact(assertion.encode())
        claims = json.loads(found.payload)
    except (JoseError, ValueError, RecursionError):
        raise TokenError("invalid_client", "assertion") from None
    if not isinstance(claims, dict):
        raise TokenError("invalid_client", "assertion")
    return dict(found.headers()), claims


def _seconds(value: Any) -> float:
    """Return a NumericDate; not a number, which no comparison accepts, for anything else."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


def _grant_scopes(asked: str, allowed: str) -> tuple[str, dict[str, set[str]]]:
    """Return the part of the scopes `asked` that is `allowed`, as text and by type."""
    wanted, may = _permissions(asked), _permissions(allowed)
    granted = {type: letters & (may.get(type, set()) | may.get("*", set())) for type, letters in wanted.items()}
    if "*" in wanted:  # where not everything may be granted, what may be is
        granted |= {type: letters & wanted["*"] for type, letters in may.items() if type not in granted}
    granted = {type: letters for type, letters in granted.items() if letters}
    if not granted:
        raise TokenError("invalid_scope", "scope")
    return " ".join(f"system/{type}.{''.join(sorted(letters))}" for type, letters in sorted(granted.items())), granted


def _permissions(scopes: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for scope in scopes.split():
        match = _SCOPE.fullmatch(scope)
        if match is None or not match[2]:
            raise TokenError("invalid_scope", "scope")
        found.setdefault(match[1], set()).update(_V1.get(match[2], match[2]))
    return found
