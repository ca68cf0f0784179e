"""Settings of SMART App Launch: Countersign as an app that the EHR opens."""

import re
from typing import Self

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from shared.runtime.authentication import Role
from shared.runtime.oauth_client_settings import OAuthClientSettings
from shared.runtime.public_origin import origin_of
from shared.runtime.settings import NameList

# https, or an EHR on this machine, to try it.
ORIGIN = re.compile(r"https://[A-Za-z0-9.\-]+(:\d+)?|http://(localhost|127\.0\.0\.1)(:\d+)?")


class LaunchSettings(OAuthClientSettings):
    """Settings of SMART App Launch, `COUNTERSIGN_LAUNCH_<NAME>`. Without an issuer, it is off."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_LAUNCH_", extra="ignore", frozen=True)
    authorization_server = "EHR"

    issuer: str = Field(
        default="", description="FHIR base URL that the EHR states as `iss` when it opens Countersign; empty: no launch"
    )
    scope: str = Field(default="launch openid fhirUser", description="scopes requested at a launch")
    practitioner_claim: str = Field(
        default="fhirUser", description="claim of the ID token that says who the user is in the EHR"
    )
    practitioner_system: str = Field(
        default="",
        description="identifier system of that claim, if it holds a Practitioner's identifier and no reference",
    )
    subject_claim: str = Field(
        default="",
        description="claim that holds the `sub` that the identity provider has for the same person; empty: none does",
    )
    role_claim: str = Field(
        default="", description="claim that holds the roles; empty: whomever the EHR lets launch is a physician"
    )
    roles: dict[str, Role] = Field(default={}, description="role of the EHR → Countersign role")
    department_claim: str = Field(default="", description="claim that holds the departments")
    departments: NameList = Field(
        default=(), description="departments of everybody who launches, comma-separated, besides those of the claim"
    )
    frame_ancestors: NameList = Field(
        default=(), description="origins of the EHR whose pages may embed Countersign, comma-separated; empty: none"
    )
    leeway: int = Field(default=30, ge=0, le=300, description="seconds by which the EHR's clock may differ")

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        for origin in self.frame_ancestors:
            # The origins become part of a header: nothing that ends its directive may be in them.
            if not ORIGIN.fullmatch(origin) or _origin(origin) != origin:
                raise ValueError("COUNTERSIGN_LAUNCH_FRAME_ANCESTORS must be origins such as https://ehr.example.org")
        if bool(self.role_claim) != bool(self.roles):
            raise ValueError("set both COUNTERSIGN_LAUNCH_ROLE_CLAIM and COUNTERSIGN_LAUNCH_ROLES, or neither")
        return self

    @property
    def base(self) -> str:
        """Return the issuer without a slash at its end: EHRs are not consistent about it."""
        return self.issuer.rstrip("/")


def _origin(url: str) -> str:
    try:
        return origin_of(url)
    except ValueError:
        return ""
