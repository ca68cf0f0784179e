"""Where to sign in: the installation names its identity provider, and the provider its endpoints.

https://www.rfc-editor.org/rfc/rfc9728, https://www.rfc-editor.org/rfc/rfc8414
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import httpx

from cli.errors import CommandError
from shared.oauth.device_grant import is_printable
from shared.oauth.token_endpoint import is_secure_url, parse_json

DEFAULT_SCOPE = "openid profile offline_access"
PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class ResourceMetadata:
    """What an installation says about signing in; `client_id` and `resource` are empty where it does not say."""

    issuers: tuple[str, ...]
    scope: str = DEFAULT_SCOPE
    client_id: str = ""
    resource: str = ""


@dataclass(frozen=True, slots=True)
class IssuerEndpoints:
    """Endpoints of an identity provider; `revocation` is empty where it has none."""

    issuer: str
    device_authorization: str
    token: str
    revocation: str = ""


@dataclass(frozen=True, slots=True)
class SignInPlace:
    """Where and as which client to sign in."""

    endpoints: IssuerEndpoints
    client_id: str
    scope: str
    resource: str = ""


def metadata_url(url: str) -> str:
    """Return the address of an installation's metadata: the well-known path comes before its own (section 3.1)."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource{parts.path.rstrip('/')}"


def parse_resource_metadata(body: Any, url: str) -> ResourceMetadata:
    """Return the metadata of the installation at `url`. Raises CommandError where it is that of another one."""
    found = body if isinstance(body, dict) else {}
    stated, issuers = found.get("resource"), found.get("authorization_servers")
    if not is_printable(stated) or not isinstance(issuers, list) or not issuers or not all(map(is_printable, issuers)):
        raise CommandError(f"{url} does not say where to sign in: its metadata (RFC 9728) is not valid.")
    if _normalized(str(stated)) != _normalized(url):
        raise CommandError(f"{url} calls itself {stated} (COUNTERSIGN_PUBLIC_URL): sign in at that address.")
    scopes = found.get("scopes_supported")
    named = [item for item in scopes if is_printable(item)] if isinstance(scopes, list) else []
    return ResourceMetadata(
        tuple(issuers),
        " ".join(named) or DEFAULT_SCOPE,
        _text(found, "countersign_cli_client_id"),
        _text(found, "countersign_cli_resource"),
    )


def parse_issuer_metadata(body: Any, issuer: str) -> IssuerEndpoints:
    """Return the endpoints of the metadata of `issuer`. Raises CommandError where one cannot be used."""
    found = body if isinstance(body, dict) else {}
    if found.get("issuer") != issuer:
        raise CommandError(f"The metadata at {issuer} is of another issuer: nothing is sent there.")
    if "device_authorization_endpoint" not in found:
        raise CommandError(f"{issuer} does not offer the device authorization grant (RFC 8628).")
    for name in ("device_authorization_endpoint", "token_endpoint"):
        if not is_secure_url(found.get(name)):
            raise CommandError(f"The {name} of {issuer} is not an https address.")
    revocation = found.get("revocation_endpoint")
    return IssuerEndpoints(
        issuer,
        found["device_authorization_endpoint"],
        found["token_endpoint"],
        str(revocation) if is_secure_url(revocation) else "",
    )


async def find_place(
    installation: httpx.AsyncClient,
    provider: httpx.AsyncClient,
    url: str,
    issuer: str = "",
    client_id: str = "",
) -> SignInPlace:
    """Return where to sign in for the installation at `url`.

    `issuer` must be one that the installation names. If the installation publishes nothing, `issuer` and `client_id`
    are used as they are. Raises CommandError.
    """
    found = await _resource_metadata(installation, url, issuer)
    if issuer and issuer not in found.issuers:
        raise CommandError(f"{url} does not accept sign-ins of {issuer}, but of {', '.join(found.issuers)}.")
    if not issuer and len(found.issuers) > 1:
        raise CommandError(f"Choose with --issuer where to sign in: {', '.join(found.issuers)}.")
    chosen, client = issuer or found.issuers[0], client_id or found.client_id
    if not client:
        raise CommandError("Give --client-id: the installation does not say as which client the command signs in.")
    if not is_secure_url(chosen):
        raise CommandError(f"The identity provider {chosen} is not an https address.")
    answer = await _get(provider, f"{chosen.rstrip('/')}/.well-known/openid-configuration", chosen)
    if not answer.is_success:
        raise CommandError(f"{chosen} does not answer properly (HTTP {answer.status_code}).")
    return SignInPlace(parse_issuer_metadata(parse_json(answer), chosen), client, found.scope, found.resource)


async def _resource_metadata(http: httpx.AsyncClient, url: str, issuer: str) -> ResourceMetadata:
    if not is_secure_url(url):
        raise CommandError(f"{url} is not an https address: somebody on the network could read your token.")
    answer = await _get(http, metadata_url(url), url)
    if answer.is_success:
        return parse_resource_metadata(parse_json(answer), url)
    if issuer and answer.status_code == 404:
        return ResourceMetadata((issuer,))
    problem = parse_json(answer)
    known = problem if isinstance(problem, dict) else {}
    said = " ".join(f"{known[name]}." for name in ("title", "detail") if is_printable(known.get(name)))
    reason = (said or f"HTTP {answer.status_code}").replace("..", ".")
    raise CommandError(f"{url} does not say where to sign in: {reason}")


async def _get(http: httpx.AsyncClient, url: str, server: str) -> httpx.Response:
    try:
        return await http.get(url, follow_redirects=False)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise CommandError(f"{server} does not answer ({type(error).__name__}).") from None


def _normalized(url: str) -> tuple[str, str, int | None, str]:
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS.get(parts.scheme)
    except ValueError:
        return (url, "", None, "")
    return parts.scheme, parts.hostname or "", port, parts.path.rstrip("/")


def _text(found: Mapping[str, Any], name: str) -> str:
    value = found.get(name)
    return str(value) if is_printable(value) else ""
