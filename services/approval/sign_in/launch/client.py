"""The app's side of a launch: authorization by code with PKCE at the EHR, and the identity of its user.

The person's access token is not used: Countersign reads the EHR with its own token, and keeps none for a person.
"""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import httpx

from services.approval.sign_in.launch.answers import (
    LaunchContext,
    LaunchServer,
    departments_of,
    parse_context,
    parse_openid_keys,
    parse_server,
    practitioner_id,
    roles_of,
    subject_of,
)
from shared.clinical.elements import Resource, person_name
from shared.clinical.fhir_client import FhirClient
from shared.clinical.responses import NotFoundError
from shared.contracts.errors import TransientError
from shared.oauth.errors import SpentCodeError, TokenRefusedError
from shared.oauth.issuer_keys import IssuerKeys
from shared.oauth.token_endpoint import authorization_url, parse_json, request_tokens
from shared.runtime.authentication import AuthenticationError, Caller
from shared.runtime.launch_settings import LaunchSettings
from shared.runtime.oidc.claims import authentication_time
from shared.runtime.oidc.tokens import IssuerTokens
from shared.runtime.token_claims import as_text

logger = logging.getLogger(__name__)

METADATA_MAX_AGE_S = 3600.0
TIMEOUT_S = 10.0
NPI_SYSTEM = "http://hl7.org/fhir/sid/us-npi"


@dataclass(frozen=True, slots=True)
class Launched:
    """Who opened Countersign from the EHR, and what was open there."""

    caller: Caller
    context: LaunchContext


class EhrLaunch:
    """Sign people in at the EHR that `settings` declares. `ehr` reads Practitioners, `http` the EHR's endpoints."""

    def __init__(
        self,
        settings: LaunchSettings,
        ehr: FhirClient,
        http: httpx.AsyncClient,
        clock: Callable[[], datetime],
        new_id: Callable[[], str],
    ) -> None:
        self.settings = settings
        self._ehr = ehr
        self._http = http
        self._clock = clock
        self._authentication = settings.authentication(new_id)
        self._server: tuple[LaunchServer, IssuerTokens, float] | None = None

    async def close(self) -> None:
        await self._http.aclose()

    def is_declared(self, iss: str) -> bool:
        """Return whether `iss` is our EHR: a launch from any other is refused before anything is sent to it."""
        return bool(self.settings.base) and iss.rstrip("/") == self.settings.base

    async def authorization_url(self, redirect: str, state: str, nonce: str, verifier: str, launch: str | None) -> str:
        """Return where the browser goes. Without `launch`, the EHR asks for the user's credentials anew."""
        server, _ = await self._discover()
        scopes = self.settings.scope.split()
        sent = {
            "client_id": self.settings.client_id,
            "redirect_uri": redirect,
            "scope": " ".join(scope for scope in scopes if launch is not None or not scope.startswith("launch")),
            "state": state,
            "nonce": nonce,
            "aud": self.settings.issuer,
        }
        sent |= {"launch": launch} if launch is not None else {"prompt": "login", "max_age": "0"}
        return authorization_url(server.authorization_endpoint, verifier, sent)

    async def finish(self, redirect: str, code: str, nonce: str, verifier: str, since: datetime | None) -> Launched:
        """Exchange an authorization code. `since` is the time since which the person must have authenticated.

        Raises AuthenticationError, TransientError where the same code may still be exchanged later, and SpentCodeError.
        """
        server, tokens = await self._discover()
        grant = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect, "code_verifier": verifier}
        token = await self._request_tokens(server, grant)
        try:
            claims = await tokens.verify(str(token.get("id_token", "")), self.settings.client_id)
            if claims.get("nonce") != nonce:
                raise AuthenticationError("the ID token is not for this launch")
            caller = await self._caller(claims)
        except TransientError as failure:
            raise SpentCodeError(f"{failure.reason}: open Countersign from the EHR again") from None
        leeway = timedelta(seconds=self.settings.leeway)
        if since is not None and (caller.signed_in_at is None or caller.signed_in_at < since - leeway):
            raise AuthenticationError("the EHR did not confirm a new sign-in (auth_time)")
        return Launched(caller, parse_context(token))

    async def _request_tokens(self, server: LaunchServer, grant: Mapping[str, str]) -> dict[str, Any]:
        now = self._clock().timestamp()
        try:
            return await request_tokens(
                self._http, server.token_endpoint, self._authentication, server.algorithms, now, grant
            )
        except TokenRefusedError as refusal:
            if refusal.code in ("invalid_grant", "access_denied"):
                raise AuthenticationError(f"the EHR refused the launch ({refusal.code})") from None
            logger.error("the EHR refuses our app: %s; %s", refusal.reason, refusal.fix)
            reason = f"the EHR refuses Countersign as an app ({refusal.code})"
            raise TokenRefusedError(reason, refusal.code, refusal.fix) from None
        except TransientError as error:
            raise TransientError(f"the EHR does not answer: {error.reason}") from None

    async def _caller(self, claims: Mapping[str, Any]) -> Caller:
        """Return the EHR's user, as the Practitioner that they are in the EHR."""
        found = await self._practitioner(claims)
        if found.get("active") is False:
            raise AuthenticationError("the EHR's user is an inactive Practitioner")
        roles = roles_of(claims, self.settings)
        return Caller(
            subject=subject_of(claims, self.settings),
            role=roles[0],
            also=roles[1:],
            practitioner=f"Practitioner/{found['id']}",
            name=person_name(found, prefixes=True) or as_text(claims.get("name")),
            npi=_npi(found),
            departments=departments_of(claims, self.settings),
            method="smart",
            signed_in_at=authentication_time(claims),
        )

    async def _practitioner(self, claims: Mapping[str, Any]) -> Resource:
        system = self.settings.practitioner_system
        if not system:
            try:
                return await self._ehr.read("Practitioner", practitioner_id(claims, self.settings))
            except NotFoundError:
                raise AuthenticationError("the EHR has no Practitioner for its user") from None
        value = as_text(claims.get(self.settings.practitioner_claim)) or ""
        # A comma or bar would be part of the search's own syntax.
        usable = bool(value) and not set(value) & set(",|$\\")
        found = await self._ehr.search("Practitioner", {"identifier": f"{system}|{value}"}) if usable else []
        if len(found) != 1:
            raise AuthenticationError(f"the EHR has {len(found) or 'no'} Practitioners for its user")
        return found[0]

    async def _discover(self) -> tuple[LaunchServer, IssuerTokens]:
        """Return the EHR's authorization server, read again each hour."""
        now = time.monotonic()
        if self._server is not None and now - self._server[2] < METADATA_MAX_AGE_S:
            return self._server[:2]
        base = self.settings.base
        server = parse_server(await self._get(f"{base}/.well-known/smart-configuration"), base)
        issuer, keys = server.issuer, server.jwks_uri
        if not issuer or not keys:  # SMART 1: only OpenID's own metadata has them
            asked = issuer or base
            metadata = await self._get(f"{asked.rstrip('/')}/.well-known/openid-configuration")
            issuer, keys = parse_openid_keys(metadata, asked)
        known = IssuerKeys(lambda: self._get(keys))
        tokens = IssuerTokens(issuer, known, self._clock, self.settings.leeway)
        self._server = server, tokens, now
        return server, tokens

    async def _get(self, url: str) -> Any:
        try:
            answer = await self._http.get(url, headers={"Accept": "application/json"}, follow_redirects=False)
            answer.raise_for_status()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise TransientError(f"the EHR does not answer ({type(error).__name__})") from None
        return parse_json(answer)


def _npi(practitioner: Resource) -> str | None:
    identifiers = practitioner.get("identifier") or []
    values = (item.get("value") for item in identifiers if isinstance(item, dict) and item.get("system") == NPI_SYSTEM)
    return next((str(value) for value in values if value), None)
