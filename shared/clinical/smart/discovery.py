"""Parse a server's SMART configuration. Pure.

https://hl7.org/fhir/smart-app-launch/conformance.html
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from shared.oauth.errors import TokenRefusedError

PATH = ".well-known/smart-configuration"
FIX = "check COUNTERSIGN_EHR_URL, or set COUNTERSIGN_EHR_TOKEN_URL to the EHR's token endpoint"


@dataclass(frozen=True, slots=True)
class SmartConfiguration:
    """What a server says about its token endpoint. Empty lists mean that it does not say."""

    token_url: str
    algorithms: tuple[str, ...] = ()
    capabilities: tuple[str, ...] = ()

    @property
    def has_v1_scopes_only(self) -> bool:
        """Return whether scopes must be written as in SMART 1 (`.read`, `.write`)."""
        return "permission-v1" in self.capabilities and "permission-v2" not in self.capabilities


def parse_configuration(body: Any, base: str) -> SmartConfiguration:
    """Return the configuration of the FHIR server at `base`.

    Raises TokenRefusedError when it names no token endpoint, or one that credentials must not be sent to.
    """
    found = body if isinstance(body, dict) else {}
    url = found.get("token_endpoint")
    if not isinstance(url, str) or not url:
        raise TokenRefusedError("the EHR's SMART configuration names no token endpoint", "discovery", FIX)
    parts, allowed = urlsplit(url), {"https", urlsplit(base).scheme}
    if parts.scheme not in allowed or not parts.hostname:
        raise TokenRefusedError("the EHR's token endpoint has no https URL", "discovery", FIX)
    return SmartConfiguration(
        url,
        _texts(found.get("token_endpoint_auth_signing_alg_values_supported")),
        _texts(found.get("capabilities")),
    )


def _texts(value: Any) -> tuple[str, ...]:
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()
