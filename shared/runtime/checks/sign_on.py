"""Check how people sign in: identity provider, keys, our client, redirect URIs; and launches from the EHR."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol
from urllib.parse import urlencode
from uuid import uuid4

import httpx

from shared.contracts.errors import CountersignError, PermanentError, TransientError
from shared.oauth.client_authentication import ClientAuthentication, PublicClient
from shared.oauth.client_certificate import read_certificate
from shared.oauth.errors import TokenRefusedError
from shared.oauth.issuer_keys import parse_key_set
from shared.oauth.token_endpoint import REGISTRATION_CODES, authorization_url, is_secure_url, parse_json, request_tokens
from shared.runtime.checks.findings import Group
from shared.runtime.launch_settings import LaunchSettings
from shared.runtime.oidc import OidcSettings
from shared.runtime.oidc.metadata import ProviderMetadata, parse_metadata

RENEW_BEFORE = timedelta(days=30)
PROVIDER, LAUNCH = "identity provider", "EHR launch"
VERIFIER = "doctor-doctor-doctor-doctor-doctor-doctor-doctor"  # RFC 7636 requires 43 characters; nothing is signed in


class SignOnSettings(Protocol):
    """The settings of sign-in and launch, and the URL under which people reach the pages."""

    @property
    def oidc(self) -> OidcSettings: ...

    @property
    def launch(self) -> LaunchSettings: ...

    @property
    def public_url(self) -> str: ...


async def check_sign_on(group: Group, http: httpx.AsyncClient, target: SignOnSettings) -> None:
    """Add findings about the identity provider and the EHR's launch, as far as they are set."""
    if target.oidc.issuer:
        await _provider(group, http, target)
    if target.launch.issuer:
        await _launch(group, http, target)


async def _provider(group: Group, http: httpx.AsyncClient, target: SignOnSettings) -> None:
    settings = target.oidc
    try:
        body = await _json(http, f"{settings.issuer.rstrip('/')}/.well-known/openid-configuration")
        if isinstance(body, dict) and body.get("issuer") != settings.issuer:
            fix = "set COUNTERSIGN_OIDC_ISSUER exactly to the issuer in the provider's metadata"
            group.fault(PROVIDER, "its metadata names another issuer", fix)
            return
        metadata = parse_metadata(body, settings.issuer)
        usable = await _usable_keys(http, metadata.jwks_uri)
    except TransientError as failure:
        group.fault(PROVIDER, failure.reason, "check COUNTERSIGN_OIDC_ISSUER, and that it can be reached from here")
        return
    if not usable:
        fix = "let the provider publish a signing key (RSA, EC or Ed25519) at its jwks_uri"
        group.fault(PROVIDER, "none of its keys verifies a token", fix)
        return
    group.ok(PROVIDER, f"{usable} usable keys")
    authentication = settings.authentication(lambda: str(uuid4()))
    await _client(group, http, PROVIDER, metadata.token_endpoint, authentication, metadata.algorithms)
    await _certificate(group, settings, datetime.now(UTC))
    if settings.cli_client_id:
        await _command_line(group, http, settings, body.get("device_authorization_endpoint"))
    if target.public_url:
        await _redirects(group, http, target, metadata)


async def _command_line(group: Group, http: httpx.AsyncClient, settings: OidcSettings, endpoint: Any) -> None:
    """Check the client of `countersign login`: it asks for a code, which nobody enters."""
    what = f"{PROVIDER}: countersign login"
    if not is_secure_url(endpoint):
        fix = "enable the device authorization grant (RFC 8628), or unset COUNTERSIGN_OIDC_CLI_CLIENT_ID"
        group.warning(what, "the provider does not offer the device authorization grant", fix)
        return
    asked = {"scope": settings.cli_scope} | ({"resource": settings.cli_resource} if settings.cli_resource else {})
    client = PublicClient(settings.cli_client_id)
    try:
        await request_tokens(http, endpoint, client, (), time.time(), asked, "device authorization endpoint")
    except TokenRefusedError as refusal:
        fix = "register COUNTERSIGN_OIDC_CLI_CLIENT_ID as a public client for the device authorization grant"
        group.warning(what, f"the provider refuses its client ({refusal.code})", fix)
    except TransientError as failure:
        group.warning(what, failure.reason, "try again")
    else:
        group.ok(what, "the provider knows its client")


async def _certificate(group: Group, settings: OidcSettings, now: datetime) -> None:
    """Warn of a client certificate that ends soon. One that cannot be read is a finding about our client."""
    if settings.client_certificate_file is None or settings.client_key_file is None:
        return
    try:
        found = await asyncio.to_thread(read_certificate, settings.client_certificate_file, settings.client_key_file)
    except (OSError, UnicodeDecodeError, PermanentError):
        return
    message = f"valid until {found.expires:%Y-%m-%d}"
    if found.expires - now < RENEW_BEFORE:
        fix = "make a new one, upload it to the provider, and replace both files"
        group.warning(f"{PROVIDER}: certificate", message, fix)
    else:
        group.ok(f"{PROVIDER}: certificate", message)


async def _redirects(group: Group, http: httpx.AsyncClient, target: SignOnSettings, metadata: ProviderMetadata) -> None:
    """Check that the provider sends browsers back to us. With `prompt=none` it shows no page to anybody."""
    base = target.public_url.rstrip("/")
    redirect = f"{base}/sign-in/callback"
    asked = {
        "client_id": target.oidc.client_id,
        "redirect_uri": redirect,
        "scope": target.oidc.scope,
        "state": "doctor",
        "nonce": "doctor",
        "prompt": "none",
    }
    try:
        answer = await http.get(authorization_url(metadata.authorization_endpoint, VERIFIER, asked))
    except httpx.HTTPError as error:
        group.warning(f"{PROVIDER}: redirect", f"its sign-in page does not answer ({type(error).__name__})", "try it")
        return
    if answer.headers.get("location", "").startswith(redirect):
        group.ok(f"{PROVIDER}: redirect", f"it sends browsers back to {redirect}")
    else:
        fix = f"register the redirect URI {redirect} with the provider, exactly so; sign in once to be sure"
        message = f"it did not send the browser back (HTTP {answer.status_code})"
        group.warning(f"{PROVIDER}: redirect", message, fix)
    if metadata.end_session_endpoint and target.oidc.end_session:
        asked = {"client_id": target.oidc.client_id, "post_logout_redirect_uri": f"{base}/sign-in/ended"}
        await _sign_out(group, http, f"{metadata.end_session_endpoint}?{urlencode(asked)}", base)


async def _sign_out(group: Group, http: httpx.AsyncClient, url: str, base: str) -> None:
    try:
        refused = (await http.get(url)).status_code >= 400
    except httpx.HTTPError:
        refused = True
    if refused:
        fix = f"register {base}/sign-in/ended as a post-logout redirect URI, or set COUNTERSIGN_OIDC_END_SESSION=false"
        group.warning(f"{PROVIDER}: sign-out", "it does not accept our post-logout redirect URI", fix)
    else:
        group.ok(f"{PROVIDER}: sign-out", "it ends its own session too")


async def _launch(group: Group, http: httpx.AsyncClient, target: SignOnSettings) -> None:
    settings = target.launch
    try:
        body = await _json(http, f"{settings.base}/.well-known/smart-configuration")
    except TransientError as failure:
        group.fault(LAUNCH, failure.reason, "check COUNTERSIGN_LAUNCH_ISSUER, and that it can be reached from here")
        return
    found: dict[str, Any] = body if isinstance(body, dict) else {}
    capabilities = found.get("capabilities") or []
    missing = [name for name in ("launch-ehr", "sso-openid-connect") if name not in capabilities]
    if not found.get("authorization_endpoint") or not found.get("token_endpoint"):
        group.fault(LAUNCH, "its SMART configuration names no endpoints for apps", "let the EHR's team enable launches")
        return
    if missing:
        fix = "ask the EHR's team whether apps can be launched"
        group.warning(LAUNCH, f"it does not state {', '.join(missing)}", fix)
    else:
        group.ok(LAUNCH, f"{settings.issuer} launches apps")
    authentication = settings.authentication(lambda: str(uuid4()))
    await _client(group, http, LAUNCH, found["token_endpoint"], authentication, ())
    if not settings.role_claim:
        message = "whomever the EHR lets open Countersign is a physician here"
        group.warning(f"{LAUNCH}: roles", message, "restrict the app to physicians in the EHR, or set its role claim")


async def _client(
    group: Group,
    http: httpx.AsyncClient,
    of: str,
    url: str,
    authentication: ClientAuthentication,
    algorithms: tuple[str, ...],
) -> None:
    """Check that our client is accepted: a code that was never issued must be what the server refuses."""
    grant = {"grant_type": "authorization_code", "code": "doctor", "redirect_uri": "https://doctor.invalid"}
    try:
        await request_tokens(http, url, authentication, algorithms, time.time(), grant | {"code_verifier": VERIFIER})
    except TokenRefusedError as refusal:
        if refusal.code in (*REGISTRATION_CODES, "key-file", "secret-file", "algorithm"):
            group.fault(f"{of}: client", refusal.reason, refusal.fix)
        else:
            group.ok(f"{of}: client", "our client is accepted")
    except CountersignError as failure:
        group.fault(f"{of}: client", failure.reason, "check that its token endpoint can be reached from here")


async def _usable_keys(http: httpx.AsyncClient, url: str) -> int:
    try:
        return len(parse_key_set(await _json(http, url)))
    except ValueError:
        raise TransientError("its keys are no JWK Set") from None


async def _json(http: httpx.AsyncClient, url: str) -> Any:
    try:
        answer = await http.get(url)
        answer.raise_for_status()
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise TransientError(f"its metadata or keys cannot be read ({type(error).__name__})") from None
    return parse_json(answer)
