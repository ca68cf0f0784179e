"""Talk to one identity provider: discovery, sign-in, renewal, sign-out, and access tokens of machines."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import httpx

from shared.contracts.errors import TransientError
from shared.http import HttpClient
from shared.oauth.errors import SpentCodeError, TokenRefusedError
from shared.oauth.issuer_keys import IssuerKeys
from shared.oauth.token_endpoint import authorization_url, parse_json, request_tokens, with_query
from shared.runtime.authentication import AuthenticationError, Caller
from shared.runtime.oidc.claims import merge_claims, omitted_claims, to_caller
from shared.runtime.oidc.groups import read_groups
from shared.runtime.oidc.logout import LogoutRequest, parse_logout
from shared.runtime.oidc.metadata import METADATA_MAX_AGE_S, ProviderMetadata, parse_metadata
from shared.runtime.oidc.resource_metadata import protected_resource
from shared.runtime.oidc.settings import OidcSettings
from shared.runtime.oidc.tokens import IssuerTokens
from shared.runtime.token_claims import as_text, is_id_token, is_logout_token

logger = logging.getLogger(__name__)

TIMEOUT_S = 10.0
# The person must sign in again; other refusals concern our client.
PERSON_CODES = ("invalid_grant", "access_denied", "login_required", "interaction_required", "consent_required")


@dataclass(frozen=True, slots=True)
class SignInResult:
    """A caller who signed in.

    `refresh_token` is the token that renews the caller's roles, if the provider issued one; `id_token` and `sid` name
    the provider's session when it is to be ended.
    """

    caller: Caller
    refresh_token: str | None = field(default=None, repr=False)
    id_token: str | None = field(default=None, repr=False)
    sid: str | None = None


class OidcProvider:
    """Talk to one identity provider. `clock` returns the time; `http` replaces the default client."""

    def __init__(
        self,
        settings: OidcSettings,
        clock: Callable[[], datetime],
        http: httpx.AsyncClient | None = None,
        new_id: Callable[[], str] = lambda: str(uuid4()),
    ) -> None:
        self._settings = settings
        self._clock = clock
        self._http = http or HttpClient(timeout=TIMEOUT_S)
        self._authentication = settings.authentication(new_id)
        self._metadata: tuple[ProviderMetadata, float] | None = None
        self._tokens = IssuerTokens(settings.issuer, IssuerKeys(self._fetch_keys), clock, settings.leeway)

    @property
    def leeway(self) -> int:
        """Return the seconds by which the provider's clock may differ."""
        return self._settings.leeway

    def protected_resource(self, resource: str) -> dict[str, Any]:
        """Return the metadata (RFC 9728) that says where to sign in for the API at the origin `resource`."""
        return protected_resource(self._settings, resource)

    async def close(self) -> None:
        await self._http.aclose()

    async def authorization_url(self, redirect: str, state: str, nonce: str, verifier: str, *, again: bool) -> str:
        """Return the URL of the sign-in page; with `again`, the provider asks for credentials anew."""
        metadata = await self._discover()
        sent = {
            "client_id": self._settings.client_id,
            "redirect_uri": redirect,
            "scope": self._settings.scope,
            "state": state,
            "nonce": nonce,
        }
        more = {"prompt": "login", "max_age": "0"} if again else {}
        return authorization_url(metadata.authorization_endpoint, verifier, sent | more)

    async def sign_in(
        self, redirect: str, code: str, nonce: str, verifier: str, *, since: datetime | None = None
    ) -> SignInResult:
        """Exchange an authorization code. `since` is the time since which the person must have authenticated.

        Raises AuthenticationError, TransientError where the same code may still be exchanged later, and SpentCodeError.
        """
        grant = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": verifier}
        token = await self._request_tokens("the sign-in", grant)
        try:
            claims = await self._id_claims(token)
            if claims.get("nonce") != nonce:
                raise AuthenticationError("the ID token is not for this sign-in")
            caller = await self._person(claims, token)
        except TransientError as failure:
            raise SpentCodeError(failure.reason) from None
        if since is not None and not self._with_sign_in_time(caller, since):
            raise AuthenticationError("the identity provider did not confirm a new sign-in (auth_time)")
        return _result(caller, token, claims)

    async def renew(self, known: Caller, renewal: str) -> SignInResult:
        """Return the person's current roles and departments; the time of authentication stays.

        Raises AuthenticationError where the provider no longer knows them, TransientError where it does not answer.
        """
        token = await self._request_tokens("the session", {"grant_type": "refresh_token", "refresh_token": renewal})
        claims = await self._id_claims(token)
        if claims["sub"] != known.subject:
            raise AuthenticationError("the ID token is for another person")
        # OpenID Connect Core 12.2 keeps `auth_time`; a provider that does not must not make the proof any newer.
        caller = (await self._person(claims, token)).model_copy(update={"signed_in_at": known.signed_in_at})
        return _result(caller, {"refresh_token": renewal} | token, claims)

    async def caller(self, token: str) -> Caller:
        """Return the caller of an access token.

        Raises AuthenticationError, TransientError.
        """
        claims = await self._tokens.verify(token, self._settings.audience or self._settings.client_id)
        if is_id_token(claims):
            raise AuthenticationError("an ID token cannot be used for the API")
        if is_logout_token(claims):
            raise AuthenticationError("a logout token cannot be used for the API")
        if omitted := omitted_claims(claims, self._settings):
            raise AuthenticationError(f"the token leaves out the claim {omitted[0]}, as it is too long (overage)")
        return to_caller(claims, self._settings, "jwt")

    async def end_session_url(self, id_token: str | None, redirect: str, state: str) -> str | None:
        """Return the URL that ends the provider's session of a browser; None where there is none, or it is unknown.

        https://openid.net/specs/openid-connect-rpinitiated-1_0.html
        """
        if not self._settings.end_session:
            return None
        try:
            endpoint = (await self._discover()).end_session_endpoint
        except TransientError as error:
            logger.warning("a person was signed out here, but not at the identity provider: %s", error.reason)
            return None
        sent = {"client_id": self._settings.client_id, "post_logout_redirect_uri": redirect, "state": state}
        hint = {"id_token_hint": id_token} if id_token else {}
        return with_query(endpoint, hint | sent) if endpoint else None

    async def logout_request(self, token: str) -> LogoutRequest:
        """Return what a logout token asks for. Raises AuthenticationError, TransientError."""
        claims = await self._tokens.verify_logout(token, self._settings.client_id)
        return parse_logout(claims, self._clock(), self._settings.leeway)

    async def _person(self, claims: dict[str, Any], token: Mapping[str, Any]) -> Caller:
        """Return the person of an ID token, with claims from wherever the settings say they are."""
        access = as_text(token.get("access_token")) or ""
        if self._settings.claims_from == "access_token":
            audience = self._settings.audience or self._settings.client_id
            claims = merge_claims(claims, await self._tokens.verify(access, audience))
        elif self._settings.claims_from == "userinfo":
            claims = merge_claims(claims, await self._userinfo(access))
        if omitted := omitted_claims(claims, self._settings):
            groups = await read_groups(self._http, self._settings.groups_url, access)
            claims |= dict.fromkeys(omitted, groups)
        return to_caller(claims, self._settings, "oidc")

    async def _userinfo(self, access: str) -> dict[str, Any]:
        endpoint = (await self._discover()).userinfo_endpoint
        if endpoint is None:
            raise TransientError("the identity provider has no userinfo endpoint (COUNTERSIGN_OIDC_CLAIMS_FROM)")
        try:
            answer = await self._http.get(endpoint, headers={"Authorization": f"Bearer {access}"})
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TransientError(f"the identity provider does not answer ({type(error).__name__})") from None
        if answer.status_code in (401, 403):
            raise AuthenticationError("the identity provider does not let Countersign read who you are (userinfo)")
        if answer.headers.get("content-type", "").partition(";")[0].strip() == "application/jwt":
            return await self._tokens.signed(answer.text.strip())
        found = parse_json(answer)
        if not answer.is_success or not isinstance(found, dict):
            raise TransientError(f"the identity provider's userinfo cannot be read (HTTP {answer.status_code})")
        return found

    async def _request_tokens(self, what: str, grant: Mapping[str, str]) -> dict[str, Any]:
        metadata = await self._discover()
        try:
            return await request_tokens(
                self._http,
                metadata.token_endpoint,
                self._authentication,
                metadata.algorithms,
                self._clock().timestamp(),
                grant,
            )
        except TokenRefusedError as refusal:
            if refusal.code in PERSON_CODES:
                raise AuthenticationError(f"the identity provider refused {what} ({refusal.code})") from None
            logger.error("the identity provider refuses our client: %s; %s", refusal.reason, refusal.fix)
            reason = f"the identity provider refuses Countersign as a client ({refusal.code})"
            raise TokenRefusedError(reason, refusal.code, refusal.fix) from None
        except TransientError as error:
            raise TransientError(f"the identity provider does not answer: {error.reason}") from None

    async def _id_claims(self, token: Mapping[str, Any]) -> dict[str, Any]:
        claims = await self._tokens.verify(str(token.get("id_token", "")), self._settings.client_id)
        if claims.get("azp", self._settings.client_id) != self._settings.client_id:
            raise AuthenticationError("the ID token was issued to another client")
        return claims

    def _with_sign_in_time(self, caller: Caller, since: datetime) -> bool:
        leeway = timedelta(seconds=self._settings.leeway)
        return caller.signed_in_at is not None and caller.signed_in_at >= since - leeway

    async def _get(self, url: str) -> Any:
        try:
            answer = await self._http.get(url)
            answer.raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TransientError(f"the identity provider does not answer ({type(error).__name__})") from None
        return parse_json(answer)

    async def _fetch_keys(self) -> Any:
        return await self._get((await self._discover()).jwks_uri)

    async def _discover(self) -> ProviderMetadata:
        """Return the provider's metadata, read again each hour: endpoints move."""
        now = time.monotonic()
        if self._metadata is not None and now - self._metadata[1] < METADATA_MAX_AGE_S:
            return self._metadata[0]
        try:
            body = await self._get(f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration")
            self._metadata = parse_metadata(body, self._settings.issuer), now
        except TransientError as error:
            if self._metadata is None:
                raise
            logger.warning("the identity provider's metadata was not renewed: %s", error.reason)
            self._metadata = self._metadata[0], now
        return self._metadata[0]


def _result(caller: Caller, token: Mapping[str, Any], claims: Mapping[str, Any]) -> SignInResult:
    return SignInResult(
        caller, as_text(token.get("refresh_token")), as_text(token.get("id_token")), as_text(claims.get("sid"))
    )
