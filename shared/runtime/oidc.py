"""An OpenID Connect provider: people sign in by authorization code with PKCE, machines by JWTs of the same issuer.

https://openid.net/specs/openid-connect-core-1_0.html, https://www.rfc-editor.org/rfc/rfc9068, rfc7636
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet
from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.contracts.failures import TransientError
from shared.http import HttpClient
from shared.runtime.access import ROLES, Caller, Method, Refusal, Role
from shared.runtime.claims import deep, is_id_token, is_machine, strings, text

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
LEEWAY = 30  # seconds that clocks may differ
KEYS_OLD = 3600.0  # seconds after which keys are fetched again
KEYS_FRESH = 60.0  # seconds within which keys are not fetched again, whatever a token says its key is
TIMEOUT = 10.0


class OidcSettings(BaseSettings):
    """The identity provider. Variables are `COUNTERSIGN_OIDC_<NAME>`; without an issuer there is none."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_OIDC_", extra="ignore", frozen=True)

    issuer: str = Field(default="", description="issuer URL, exactly as in the provider's metadata; empty: no provider")
    client_id: str = Field(default="countersign", description="client registered with the provider")
    client_secret: SecretStr | None = Field(default=None, description="client secret; not set for a public client")
    client_secret_file: Path | None = Field(default=None, description="file with the client secret")
    audience: str = Field(default="", description="expected audience of access tokens; empty: the client id")
    scope: str = Field(default="openid profile", description="scopes requested at sign-in")
    role_claim: str = Field(default="roles", description="claim that holds the roles; dots address nested claims")
    roles: dict[str, Role] = Field(
        default={}, description="role or group of the provider → Countersign role; empty: roles have the same names"
    )
    department_claim: str = Field(default="departments", description="claim that holds the departments")
    practitioner_claim: str = Field(default="fhirUser", description="claim that holds the person's FHIR reference")
    npi_claim: str = Field(default="npi", description="claim that holds the National Provider Identifier")

    @property
    def secret(self) -> str | None:
        if self.client_secret_file is not None:
            return self.client_secret_file.read_text().strip()
        return self.client_secret.get_secret_value() if self.client_secret else None


@dataclass(frozen=True, slots=True)
class Metadata:
    """What the provider says of itself at `/.well-known/openid-configuration`."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who signed in. `renewal`: the refresh token with which the provider is asked about them again, if it gave one."""

    caller: Caller
    renewal: str | None


class Provider:
    """`clock` gives the time; `http` takes the place of a client of its own."""

    def __init__(
        self, settings: OidcSettings, clock: Callable[[], datetime], http: httpx.AsyncClient | None = None
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._http = http or HttpClient(timeout=TIMEOUT)
        self._metadata: Metadata | None = None
        self._keys: KeySet | None = None
        self._fetched = 0.0
        self._fetching = asyncio.Lock()

    async def close(self) -> None:
        await self._http.aclose()

    async def authorization_url(self, redirect: str, state: str, nonce: str, verifier: str, *, again: bool) -> str:
        """Where the browser is sent to sign in; `again`: even if the provider still knows the person."""
        metadata = await self._discover()
        more = {"prompt": "login", "max_age": "0"} if again else {}
        async with self._client(redirect) as client:
            url, _ = client.create_authorization_url(
                metadata.authorization_endpoint, state=state, nonce=nonce, code_verifier=verifier, **more
            )
        return str(url)

    async def sign_in(
        self, redirect: str, code: str, nonce: str, verifier: str, *, since: datetime | None = None
    ) -> SignedIn:
        """Who has signed in. `since`: when they were asked to prove it anew. Raises Refusal, TransientError."""
        token = await self._token("the code", redirect, code=code, code_verifier=verifier)
        claims = await self._id_claims(token)
        if claims.get("nonce") != nonce:
            raise Refusal("the ID token is not for this sign-in")
        caller = self._caller(claims, "oidc")
        if since is not None and not _proven(caller, since):
            raise Refusal("the identity provider does not say that you signed in anew (auth_time)")
        return SignedIn(caller, text(token.get("refresh_token")))

    async def renew(self, known: Caller, renewal: str) -> SignedIn:
        """Who the person is now: roles and departments as the provider has them today, the proof as it was.

        Raises Refusal where the provider does not know them any more, TransientError where it does not answer.
        """
        token = await self._token("the session", None, grant_type="refresh_token", refresh_token=renewal)
        claims = await self._id_claims(token)
        caller = self._caller(claims, "oidc")
        if caller.subject != known.subject:
            raise Refusal("the ID token is of somebody else")
        # OpenID Connect Core 12.2 keeps `auth_time`; a provider that does not must not make the proof any newer.
        proof = known.signed_in_at
        return SignedIn(caller.model_copy(update={"signed_in_at": proof}), text(token.get("refresh_token")) or renewal)

    async def _token(self, what: str, redirect: str | None, **grant: str) -> dict[str, Any]:
        metadata = await self._discover()
        try:
            async with self._client(redirect) as client:
                return dict(await client.fetch_token(metadata.token_endpoint, **grant))
        except httpx.HTTPError as error:
            raise TransientError(f"the identity provider does not answer ({type(error).__name__})") from None
        except (AuthlibBaseError, ValueError) as error:
            raise Refusal(f"the identity provider refused {what} ({type(error).__name__})") from None

    async def _id_claims(self, token: Mapping[str, Any]) -> dict[str, Any]:
        claims = await self._verified(str(token.get("id_token", "")), self._settings.client_id)
        if claims.get("azp", self._settings.client_id) != self._settings.client_id:
            raise Refusal("the ID token was issued to another client")
        return claims

    async def caller(self, token: str) -> Caller:
        """Who an access token stands for. Raises Refusal, TransientError."""
        claims = await self._verified(token, self._settings.audience or self._settings.client_id)
        if is_id_token(claims):
            raise Refusal("it is an ID token, which opens no API")
        return self._caller(claims, "jwt")

    def _client(self, redirect: str | None) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            self._settings.client_id,
            self._settings.secret,
            scope=self._settings.scope,
            redirect_uri=redirect,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if self._settings.secret else "none",
            timeout=TIMEOUT,
        )

    async def _get(self, url: str) -> dict[str, Any]:
        try:
            answer = await self._http.get(url)
            answer.raise_for_status()
            found: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise TransientError(f"the identity provider does not answer ({type(error).__name__})") from None
        return found

    async def _discover(self) -> Metadata:
        if self._metadata is None:
            found = await self._get(f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != self._settings.issuer:
                raise TransientError(
                    "the identity provider calls itself by another issuer than COUNTERSIGN_OIDC_ISSUER"
                )
            self._metadata = Metadata(found["authorization_endpoint"], found["token_endpoint"], found["jwks_uri"])
        return self._metadata

    async def _key_set(self, *, newer: bool) -> KeySet:
        if self._keys is not None and (self._fetching.locked() or not self._wants_keys(newer)):
            return self._keys  # nobody whose key is known waits for a provider that hangs
        async with self._fetching:
            if self._keys is None or self._wants_keys(newer):
                self._fetched = time.monotonic()  # also where it fails: what comes next does not ask again at once
                self._keys = KeySet.import_key_set(await self._get((await self._discover()).jwks_uri))  # type: ignore[arg-type]
            return self._keys

    def _wants_keys(self, newer: bool) -> bool:
        """A key that the provider has withdrawn must not be good for ever."""
        return time.monotonic() - self._fetched > (KEYS_FRESH if newer else KEYS_OLD)

    async def _verified(self, token: str, audience: str) -> dict[str, Any]:
        """Claims of a token that the provider signed, for us, and that is not too old."""
        claims = await self._decoded(token)
        registry = jwt.JWTClaimsRegistry(
            now=lambda: int(self._clock().timestamp()),
            leeway=LEEWAY,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            sub={"essential": True},
        )
        try:
            registry.validate(claims)
        except JoseError as error:
            raise Refusal(_words(error)) from None
        return claims

    async def _decoded(self, token: str) -> dict[str, Any]:
        for newer in (False, True):
            try:
                return dict(jwt.decode(token, await self._key_set(newer=newer), algorithms=ALGORITHMS).claims)
            except (JoseError, ValueError, KeyError):
                continue  # the provider may have new keys
        raise Refusal("the token is not signed by the identity provider")

    def _caller(self, claims: Mapping[str, Any], method: Method) -> Caller:
        roles = self._roles(claims)
        if not roles:
            raise Refusal("the token has no role here")
        practitioner = text(claims.get(self._settings.practitioner_claim))
        if practitioner is not None:
            practitioner = "/".join(practitioner.rstrip("/").split("/")[-2:])  # fhirUser may be an absolute URL
        # Not `iat`: a provider that still knows the browser issues a new token without anybody at it.
        signed_in = claims.get("auth_time")
        return Caller(
            subject=str(claims["sub"]),
            role=roles[0],
            also=roles[1:],
            practitioner=practitioner,
            name=text(claims.get("name")),
            npi=text(claims.get(self._settings.npi_claim)),
            departments=self._departments(claims, roles),
            method=method,
            signed_in_at=datetime.fromtimestamp(int(signed_in), UTC) if signed_in else None,
        )

    def _departments(self, claims: Mapping[str, Any], roles: tuple[Role, ...]) -> tuple[str, ...] | None:
        """A clinician works in the departments that the token names; a machine, unless it names some, in all."""
        found = tuple(strings(deep(claims, self._settings.department_claim)))
        return found if found or {"physician", "supervisor"} & set(roles) else None

    def _roles(self, claims: Mapping[str, Any]) -> tuple[Role, ...]:
        """Ours, in our order: from the provider's roles, and from scopes `countersign:<role>` of machines."""
        named = strings(deep(claims, self._settings.role_claim))
        if self._settings.roles:
            found = {self._settings.roles[name] for name in named if name in self._settings.roles}
        else:
            found = {role for role in ROLES if role in named}
        if is_machine(claims):
            scopes = {item.removeprefix("countersign:") for item in str(claims.get("scope", "")).split()}
            found |= {role for role in ROLES if role in scopes}
        return tuple(role for role in ROLES if role in found)


def _proven(caller: Caller, since: datetime) -> bool:
    return caller.signed_in_at is not None and caller.signed_in_at >= since - timedelta(seconds=LEEWAY)


def _words(error: JoseError) -> str:
    claim = getattr(error, "claim", None)
    if error.error == "expired_token":
        return "the token has expired"
    if claim == "iss":
        return "the token is of another issuer"
    if claim == "aud":
        return "the token is for somebody else"
    return f"the token is not valid ({error.error})"
