"""Make a caller of the claims of a provider. Pure."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from shared.runtime.authentication import ROLES, AuthenticationError, Caller, Method, Role
from shared.runtime.oidc.settings import OidcSettings
from shared.runtime.token_claims import as_strings, as_text, is_machine_token, nested_claim

# Claims about the token and the authentication: those of the ID token count, wherever other claims are read.
PROTOCOL_CLAIMS = frozenset(
    ("iss", "sub", "aud", "azp", "exp", "iat", "nbf", "nonce", "sid", "auth_time", "acr", "amr", "at_hash", "events")
)


def to_caller(claims: Mapping[str, Any], settings: OidcSettings, method: Method) -> Caller:
    """Return the caller. Raises AuthenticationError where the claims give it no role."""
    roles = _roles(claims, settings)
    if not roles:
        raise AuthenticationError("the token has no role here")
    return Caller(
        subject=str(claims["sub"]),
        role=roles[0],
        also=roles[1:],
        practitioner=reference(as_text(claims.get(settings.practitioner_claim))),
        name=as_text(claims.get("name")),
        npi=as_text(claims.get(settings.npi_claim)),
        departments=_departments(claims, settings, roles),
        method=method,
        signed_in_at=authentication_time(claims),
    )


def reference(fhir_user: str | None) -> str | None:
    """Return the relative reference of a `fhirUser`, which may be an absolute URL."""
    return None if fhir_user is None else "/".join(fhir_user.rstrip("/").split("/")[-2:])


def authentication_time(claims: Mapping[str, Any]) -> datetime | None:
    """Return when the person last authenticated (`auth_time`); None where the token does not say.

    Not `iat`: a provider with a session issues new tokens without user interaction.
    """
    stated = claims.get("auth_time")
    try:
        return datetime.fromtimestamp(int(stated), UTC) if stated and not isinstance(stated, bool) else None
    except (TypeError, ValueError, OverflowError, OSError):
        return None


def merge_claims(id_token: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Return the claims of an ID token with those of userinfo or of the access token.

    Raises AuthenticationError where the other ones are about somebody else.
    """
    if other.get("sub") != id_token.get("sub"):
        raise AuthenticationError("the claims that the identity provider returned are of another person")
    return {**id_token, **{name: value for name, value in other.items() if name not in PROTOCOL_CLAIMS}}


def omitted_claims(claims: Mapping[str, Any], settings: OidcSettings) -> list[str]:
    """Return the claims of roles and departments that the provider left out because they are too long.

    Entra ID states so by `_claim_names` (OpenID Connect Core 5.6.2) or `hasgroups` (groups overage).
    """
    names = claims.get("_claim_names")
    elsewhere = set(names) if isinstance(names, Mapping) else set()
    if str(claims.get("hasgroups", "")).lower() == "true":
        elsewhere.add("groups")
    wanted = dict.fromkeys((settings.role_claim, settings.department_claim))
    return [name for name in wanted if name in elsewhere and name not in claims]


def _departments(claims: Mapping[str, Any], settings: OidcSettings, roles: tuple[Role, ...]) -> tuple[str, ...] | None:
    """Return the departments that the token names. Without any, a clinician has none and a machine all."""
    found = tuple(as_strings(nested_claim(claims, settings.department_claim)))
    return found if found or {"physician", "supervisor"} & set(roles) else None


def _roles(claims: Mapping[str, Any], settings: OidcSettings) -> tuple[Role, ...]:
    """Return our roles in our order, from the provider's roles and scopes `countersign:<role>` of machines."""
    named = as_strings(nested_claim(claims, settings.role_claim))
    if settings.roles:
        found = {settings.roles[name] for name in named if name in settings.roles}
    else:
        found = {role for role in ROLES if role in named}
    if is_machine_token(claims):
        scopes = {item.removeprefix("countersign:") for item in str(claims.get("scope", "")).split()}
        found |= {role for role in ROLES if role in scopes}
    return tuple(role for role in ROLES if role in found)
