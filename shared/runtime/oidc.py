"""OpenID Connect: people sign in by authorization code with PKCE, machines by JWTs of the same issuer.

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

from shared.contracts.errors import TransientError
from shared.http import HttpClient
from shared.runtime.authentication import ROLES, AuthenticationError, Caller, Method, Role
from shared.runtime.token_claims import as_strings, as_text, is_id_token, is_machine_token, nested_claim

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519")
CLOCK_SKEW_S = 30  # allowed difference between clocks
JWKS_MAX_AGE_S = 3600.0  # keys are fetched again after this time
JWKS_MIN_REFRESH_S = 60.0  # keys are fetched at most this often, whatever key a token names
TIMEOUT_S = 10.0


class OidcSettings(BaseSettings):
    """Settings of the identity provider, `COUNTERSIGN_OIDC_<NAME>`. Without an issuer, OIDC is off."""

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
class ProviderMetadata:
    """The provider's endpoints, from `/.well-known/openid-configuration`."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str


@dataclass(frozen=True, slots=True)
class SignInResult:
    """A caller who signed in.

    `refresh_token` is the token that renews the caller's roles, if the provider issued one.
    """

    caller: Caller
    refresh_token: str | None


class OidcProvider:
    """Talk to one identity provider. `clock` returns the time; `http` replaces the default client."""

    def __init__(
        self, settings: OidcSettings, clock: Callable[[], datetime], http: httpx.AsyncClient | None = None
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._http = http or HttpClient(timeout=TIMEOUT_S)
        self._metadata: ProviderMetadata | None = None
        self._keys: KeySet | None = None
        self._fetched = 0.0
        self._fetching = asyncio.Lock()

    async def close(self) -> None:
        await self._http.aclose()

    async def authorization_url(self, redirect: str, state: str, nonce: str, verifier: str, *, again: bool) -> str:
        """Return the URL of the sign-in page; with `again`, the provider asks for credentials anew."""
        metadata = await self._discover()
        more = {"prompt": "login", "max_age": "0"} if again else {}
        async with self._client(redirect) as client:
            url, _ = client.create_authorization_url(
                metadata.authorization_endpoint, state=state, nonce=nonce, code_verifier=verifier, **more
            )
        return str(url)

    async def sign_in(
        self, redirect: str, code: str, nonce: str, verifier: str, *, since: datetime | None = None
    ) -> SignInResult:
        """Exchange an authorization code. `since` is the time since which the person must have authenticated.

        Raises AuthenticationError, TransientError.
        """
        token = await self._request_tokens("the code", redirect, code=code, code_verifier=verifier)
        claims = await self._id_claims(token)
        if claims.get("nonce") != nonce:
            raise AuthenticationError("the ID token is not for this sign-in")
        caller = self._caller(claims, "oidc")
        if since is not None and not _with_sign_in_time(caller, since):
            raise AuthenticationError("the identity provider did not confirm a new sign-in (auth_time)")
        return SignInResult(caller, as_text(token.get("refresh_token")))

    async def renew(self, known: Caller, renewal: str) -> SignInResult:
        """Return the person's current roles and departments; the time of authentication stays.

        Raises AuthenticationError where the provider no longer knows them, TransientError where it does not answer.
        """
        token = await self._request_tokens("the session", None, grant_type="refresh_token", refresh_token=renewal)
        claims = await self._id_claims(token)
        caller = self._caller(claims, "oidc")
        if caller.subject != known.subject:
            raise AuthenticationError("the ID token is for another person")
        # OpenID Connect Core 12.2 keeps `auth_time`; a provider that does not must not make the proof any newer.
        proof = known.signed_in_at
        return SignInResult(
            caller.model_copy(update={"signed_in_at": proof}), as_text(token.get("refresh_token")) or renewal
        )

    async def _request_tokens(self, what: str, redirect: str | None, **grant: str) -> dict[str, Any]:
        metadata = await self._discover()
        try:
            async with self._client(redirect) as client:
                return dict(await client.fetch_token(metadata.token_endpoint, **grant))
        except httpx.HTTPError as error:
            raise TransientError(f"the identity provider does not answer ({type(error).__name__})") from None
        except (AuthlibBaseError, ValueError) as error:
            raise AuthenticationError(f"the identity provider refused {what} ({type(error).__name__})") from None

    async def _id_claims(self, token: Mapping[str, Any]) -> dict[str, Any]:
        claims = await self._verify(str(token.get("id_token", "")), self._settings.client_id)
        if claims.get("azp", self._settings.client_id) != self._settings.client_id:
            raise AuthenticationError("the ID token was issued to another client")
        return claims

    async def caller(self, token: str) -> Caller:
        """Return the caller of an access token.

        Raises AuthenticationError, TransientError.
        """
        claims = await self._verify(token, self._settings.audience or self._settings.client_id)
        if is_id_token(claims):
            raise AuthenticationError("an ID token cannot be used for the API")
        return self._caller(claims, "jwt")

    def _client(self, redirect: str | None) -> AsyncOAuth2Client:
        return AsyncOAuth2Client(
            self._settings.client_id,
            self._settings.secret,
            scope=self._settings.scope,
            redirect_uri=redirect,
            code_challenge_method="S256",
            token_endpoint_auth_method="client_secret_basic" if self._settings.secret else "none",
            timeout=TIMEOUT_S,
        )

    async def _get(self, url: str) -> dict[str, Any]:
        try:
            answer = await self._http.get(url)
            answer.raise_for_status()
            found: dict[str, Any] = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise TransientError(f"the identity provider does not answer ({type(error).__name__})") from None
        return found

    async def _discover(self) -> ProviderMetadata:
        if self._metadata is None:
            found = await self._get(f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration")
            if found.get("issuer") != self._settings.issuer:
                raise TransientError("the identity provider's issuer is not COUNTERSIGN_OIDC_ISSUER")
            self._metadata = ProviderMetadata(
                found["authorization_endpoint"], found["token_endpoint"], found["jwks_uri"]
            )
        return self._metadata

    async def _key_set(self, *, newer: bool) -> KeySet:
        if self._keys is not None and (self._fetching.locked() or not self._needs_new_keys(newer)):
            return self._keys  # tokens with a known key do not wait for a provider that hangs
        async with self._fetching:
            if self._keys is None or self._needs_new_keys(newer):
                self._fetched = time.monotonic()  # also on failure, so that the next token does not fetch again at once
                self._keys = KeySet.import_key_set(await self._get((await self._discover()).jwks_uri))  # type: ignore[arg-type]
            return self._keys

    def _needs_new_keys(self, newer: bool) -> bool:
        """Return whether the key set must be fetched: a key that was withdrawn must not stay valid."""
        return time.monotonic() - self._fetched > (JWKS_MIN_REFRESH_S if newer else JWKS_MAX_AGE_S)

    async def _verify(self, token: str, audience: str) -> dict[str, Any]:
        """Return the claims of a token after checking signature, audience and age."""
        claims = await self._decode(token)
        registry = jwt.JWTClaimsRegistry(
            now=lambda: int(self._clock().timestamp()),
            leeway=CLOCK_SKEW_S,
            iss={"essential": True, "value": self._settings.issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            sub={"essential": True},
        )
        try:
            registry.validate(claims)
        except JoseError as error:
            raise AuthenticationError(_describe(error)) from None
        return claims

    async def _decode(self, token: str) -> dict[str, Any]:
        for newer in (False, True):
            try:
                return dict(jwt.decode(token, await self._key_set(newer=newer), algorithms=ALGORITHMS).claims)
            except (JoseError, ValueError, KeyError):
                continue  # the provider may have new keys
        raise AuthenticationError("the token is not signed by the identity provider")

    def _caller(self, claims: Mapping[str, Any], method: Method) -> Caller:
        roles = self._roles(claims)
        if not roles:
            raise AuthenticationError("the token has no role here")
        practitioner = as_text(claims.get(self._settings.practitioner_claim))
        if practitioner is not None:
            practitioner = "/".join(practitioner.rstrip("/").split("/")[-2:])  # fhirUser may be an absolute URL
        # Not `iat`: a provider with a session issues new tokens without user interaction.
        signed_in = claims.get("auth_time")
        return Caller(
            subject=str(claims["sub"]),
            role=roles[0],
            also=roles[1:],
            practitioner=practitioner,
            name=as_text(claims.get("name")),
            npi=as_text(claims.get(self._settings.npi_claim)),
            departments=self._departments(claims, roles),
            method=method,
            signed_in_at=datetime.fromtimestamp(int(signed_in), UTC) if signed_in else None,
        )

    def _departments(self, claims: Mapping[str, Any], roles: tuple[Role, ...]) -> tuple[str, ...] | None:
        """Return the departments that the token names. Without any, a clinician has none and a machine all."""
        found = tuple(as_strings(nested_claim(claims, self._settings.department_claim)))
        return found if found or {"physician", "supervisor"} & set(roles) else None

    def _roles(self, claims: Mapping[str, Any]) -> tuple[Role, ...]:
        """Return our roles in our order, from the provider's roles and scopes `countersign:<role>` of machines."""
        named = as_strings(nested_claim(claims, self._settings.role_claim))
        if self._settings.roles:
            found = {self._settings.roles[name] for name in named if name in self._settings.roles}
        else:
            found = {role for role in ROLES if role in named}
        if is_machine_token(claims):
            scopes = {item.removeprefix("countersign:") for item in str(claims.get("scope", "")).split()}
            found |= {role for role in ROLES if role in scopes}
        return tuple(role for role in ROLES if role in found)


def _with_sign_in_time(caller: Caller, since: datetime) -> bool:
    return caller.signed_in_at is not None and caller.signed_in_at >= since - timedelta(seconds=CLOCK_SKEW_S)


def _describe(error: JoseError) -> str:
    claim = getattr(error, "claim", None)
    if error.error == "expired_token":
        return "the token has expired"
    if claim == "iss":
        return "the token is of another issuer"
    if claim == "aud":
        return "the token is for somebody else"
    return f"the token is not valid ({error.error})"
