"""Claims of tokens, in the shapes in which identity providers send them. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any


def is_id_token(claims: Mapping[str, Any]) -> bool:
    """ID tokens carry what belongs to a sign-in: a nonce or hashes of what came with it; Keycloak also names them."""
    return claims.get("typ") == "ID" or any(name in claims for name in ("nonce", "at_hash", "c_hash"))


def is_machine(claims: Mapping[str, Any]) -> bool:
    """Whether a client got the token for itself: RFC 9068 §2.2, and as Keycloak and Entra ID say it."""
    client = claims.get("client_id") or claims.get("azp")
    name = str(claims.get("preferred_username", ""))
    return claims["sub"] == client or claims.get("idtyp") == "app" or name == f"service-account-{client}"


def deep(claims: Mapping[str, Any], path: str) -> Any:
    """`realm_access.roles` → claims["realm_access"]["roles"]; a claim may also have dots in its own name."""
    if path in claims:
        return claims[path]
    found: Any = claims
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.replace(",", " ").split()
    return [str(item) for item in value] if isinstance(value, Sequence) else []


def text(value: Any) -> str | None:
    return str(value) if value else None
