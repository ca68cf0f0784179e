"""Read claims of tokens in the forms that identity providers use. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any


def is_id_token(claims: Mapping[str, Any]) -> bool:
    """Return whether the claims are those of an ID token.

    ID tokens carry a nonce or hashes of other tokens; Keycloak also states the type.
    """
    return claims.get("typ") == "ID" or any(name in claims for name in ("nonce", "at_hash", "c_hash"))


def is_logout_token(claims: Mapping[str, Any]) -> bool:
    """Return whether the claims are those of a logout token or another security event (RFC 8417)."""
    return "events" in claims


def is_machine_token(claims: Mapping[str, Any]) -> bool:
    """Return whether a client got the token for itself, by RFC 9068 §2.2, Keycloak or Entra ID."""
    client = claims.get("client_id") or claims.get("azp")
    name = str(claims.get("preferred_username", ""))
    return claims["sub"] == client or claims.get("idtyp") == "app" or name == f"service-account-{client}"


def nested_claim(claims: Mapping[str, Any], path: str) -> Any:
    """Return a claim by path: `realm_access.roles` → claims["realm_access"]["roles"].

    A claim may also have dots in its own name.
    """
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def as_strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.replace(",", " ").split()
    return [str(item) for item in value] if isinstance(value, Sequence) else []


def as_text(value: Any) -> str | None:
    return str(value) if value else None
