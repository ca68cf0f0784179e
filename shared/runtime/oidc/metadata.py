"""Parse the metadata of an identity provider. Pure.

https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata
"""

from dataclasses import dataclass
from typing import Any

from shared.contracts.errors import TransientError
from shared.oauth.token_endpoint import is_safe_endpoint

METADATA_MAX_AGE_S = 3600.0


@dataclass(frozen=True, slots=True)
class ProviderMetadata:
    """The provider's endpoints, from `/.well-known/openid-configuration`. Empty `algorithms`: it names none."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    algorithms: tuple[str, ...] = ()  # that our assertions may be signed with


def parse_metadata(body: Any, issuer: str) -> ProviderMetadata:
    """Return the endpoints. Raises TransientError where one that is needed is missing or not safe to use."""
    found = body if isinstance(body, dict) else {}
    if found.get("issuer") != issuer:
        raise TransientError("the issuer in the identity provider's metadata is not COUNTERSIGN_OIDC_ISSUER")
    for name in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
        if not is_safe_endpoint(found.get(name), issuer):
            raise TransientError(f"the identity provider's metadata has no usable {name}")
    algorithms = found.get("token_endpoint_auth_signing_alg_values_supported")
    return ProviderMetadata(
        found["authorization_endpoint"],
        found["token_endpoint"],
        found["jwks_uri"],
        _optional(found, "userinfo_endpoint", issuer),
        _optional(found, "end_session_endpoint", issuer),
        tuple(item for item in algorithms if isinstance(item, str)) if isinstance(algorithms, list) else (),
    )


def _optional(found: dict[str, Any], name: str, issuer: str) -> str | None:
    return found[name] if is_safe_endpoint(found.get(name), issuer) else None
