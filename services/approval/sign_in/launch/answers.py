"""Parse what the EHR answers in a launch: its endpoints, the context of the launch, and who its user is. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from shared.contracts.errors import TransientError
from shared.contracts.subjects import FHIR_ID
from shared.oauth.token_endpoint import is_safe_endpoint
from shared.runtime.authentication import ROLES, AuthenticationError, Role
from shared.runtime.launch_settings import LaunchSettings
from shared.runtime.token_claims import as_strings, as_text, nested_claim


@dataclass(frozen=True, slots=True)
class LaunchServer:
    """The EHR's authorization server. `issuer` and `jwks_uri` are empty where only its OpenID metadata states them."""

    authorization_endpoint: str
    token_endpoint: str
    issuer: str
    jwks_uri: str
    algorithms: tuple[str, ...] = ()


class LaunchContext(NamedTuple):
    """Ids of the patient and the stay that are open in the EHR, where it says so."""

    patient: str | None
    encounter: str | None


def parse_server(body: Any, base: str) -> LaunchServer:
    """Return the endpoints of a SMART configuration. Raises TransientError where one is missing or not safe."""
    found = body if isinstance(body, dict) else {}
    for name in ("authorization_endpoint", "token_endpoint"):
        if not is_safe_endpoint(found.get(name), base):
            raise TransientError(f"the EHR's SMART configuration has no usable {name}")
    issuer, algorithms = found.get("issuer"), found.get("token_endpoint_auth_signing_alg_values_supported")
    return LaunchServer(
        found["authorization_endpoint"],
        found["token_endpoint"],
        str(issuer) if is_safe_endpoint(issuer, base) else "",
        found["jwks_uri"] if is_safe_endpoint(found.get("jwks_uri"), base) else "",
        tuple(item for item in algorithms if isinstance(item, str)) if isinstance(algorithms, list) else (),
    )


def parse_openid_keys(body: Any, issuer: str) -> tuple[str, str]:
    """Return issuer and key set of OpenID metadata, for a SMART configuration without them. Raises TransientError."""
    found = body if isinstance(body, dict) else {}
    stated, keys = found.get("issuer"), found.get("jwks_uri")
    if not isinstance(stated, str) or stated.rstrip("/") != issuer.rstrip("/") or not is_safe_endpoint(keys, issuer):
        raise TransientError("the EHR does not state the keys of its ID tokens (jwks_uri)")
    return stated, str(keys)


def parse_context(token: Mapping[str, Any]) -> LaunchContext:
    """Return the context in a token response. Raises AuthenticationError for ids that are none of FHIR."""
    return LaunchContext(_id(token, "patient"), _id(token, "encounter"))


def _id(token: Mapping[str, Any], name: str) -> str | None:
    value = token.get(name)
    if value is not None and not (isinstance(value, str) and re.fullmatch(FHIR_ID, value)):
        raise AuthenticationError(f"the EHR's answer names no usable {name}")
    return value


def practitioner_id(claims: Mapping[str, Any], settings: LaunchSettings) -> str:
    """Return the id of the user's Practitioner, from a reference that is relative or of the EHR itself.

    Raises AuthenticationError where the user is nobody who may sign.
    """
    stated = as_text(claims.get(settings.practitioner_claim))
    if stated is None:
        raise AuthenticationError(f"the EHR does not say who you are (claim {settings.practitioner_claim})")
    relative = stated.rstrip("/").removeprefix(f"{settings.base}/")
    if "://" in relative:
        raise AuthenticationError("the EHR states a user of another server")
    type, _, id = relative.partition("/")
    if type != "Practitioner" or not re.fullmatch(FHIR_ID, id):
        raise AuthenticationError("the EHR's user is no Practitioner")
    return id


def roles_of(claims: Mapping[str, Any], settings: LaunchSettings) -> tuple[Role, ...]:
    """Return the roles of the user. Raises AuthenticationError where there is none."""
    if not settings.role_claim:
        return ("physician",)
    named = as_strings(nested_claim(claims, settings.role_claim))
    found = {settings.roles[name] for name in named if name in settings.roles}
    if not found:
        raise AuthenticationError("the EHR's user has no role here")
    return tuple(role for role in ROLES if role in found)


def departments_of(claims: Mapping[str, Any], settings: LaunchSettings) -> tuple[str, ...]:
    """Return the departments of the user; without any, they see no cases."""
    claimed = as_strings(nested_claim(claims, settings.department_claim)) if settings.department_claim else []
    return tuple(dict.fromkeys([*claimed, *settings.departments]))


def subject_of(claims: Mapping[str, Any], settings: LaunchSettings) -> str:
    """Return the user's subject: the identity provider's where a claim holds it, else one of the EHR's own.

    Raises AuthenticationError where the claim is missing.
    """
    if not settings.subject_claim:
        return f"ehr:{claims['sub']}"
    stated = as_text(claims.get(settings.subject_claim))
    if stated is None:
        raise AuthenticationError(f"the EHR does not say who you are (claim {settings.subject_claim})")
    return stated
