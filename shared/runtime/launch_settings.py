"""Settings of SMART App Launch: Countersign as an app that the EHR opens."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared.oauth.client_authentication import (
    ClientAuthentication,
    ClientSecret,
    PrivateKeyJwt,
    PublicClient,
    SecretMethod,
)
from shared.runtime.authentication import Role
from shared.runtime.public_origin import origin_of
from shared.runtime.settings import NameList

# https, or an EHR on this machine, to try it.
ORIGIN = re.compile(r"https://[A-Za-z0-9.\-]+(:\d+)?|http://(localhost|127\.0\.0\.1)(:\d+)?")


class LaunchSettings(BaseSettings):
    """Settings of SMART App Launch, `COUNTERSIGN_LAUNCH_<NAME>`. Without an issuer, it is off."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_LAUNCH_", extra="ignore", frozen=True)

    issuer: str = Field(
        default="", description="FHIR base URL that the EHR states as `iss` when it opens Countersign; empty: no launch"
    )
    client_id: str = Field(default="countersign", description="client id of the app that is registered with the EHR")
    client_secret: SecretStr | None = Field(default=None, description="client secret; not set for a public client")
    client_secret_file: Path | None = Field(default=None, description="file with the client secret")
    client_secret_method: SecretMethod = Field(
        default="client_secret_basic", description="how the client secret is sent to the token endpoint"
    )
    client_key_file: Path | None = Field(
        default=None,
        description="JWK Set with our private keys (private_key_jwt), instead of a secret; may be the EHR client's",
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
        if self.client_key_file is not None and (self.client_secret or self.client_secret_file is not None):
            raise ValueError("set either COUNTERSIGN_LAUNCH_CLIENT_KEY_FILE or a client secret, not both")
        for origin in self.frame_ancestors:
            # The origins become part of a header: nothing that ends its directive may be in them.
            if not ORIGIN.fullmatch(origin) or _origin(origin) != origin:
                raise ValueError("COUNTERSIGN_LAUNCH_FRAME_ANCESTORS must be origins such as https://ehr.example.org")
        if bool(self.role_claim) != bool(self.roles):
            raise ValueError("set both COUNTERSIGN_LAUNCH_ROLE_CLAIM and COUNTERSIGN_LAUNCH_ROLES, or neither")
        return self

    @property
    def base(self) -> str:
        """The issuer without a slash at its end: EHRs are not consistent about it."""
        return self.issuer.rstrip("/")

    def authentication(self, new_id: Callable[[], str]) -> ClientAuthentication:
        """Return how our app authenticates. `new_id` returns an id that was never used."""
        if self.client_key_file is not None:
            setting = "COUNTERSIGN_LAUNCH_CLIENT_KEY_FILE"
            return PrivateKeyJwt(self.client_id, self.client_key_file, new_id, setting=setting)
        if self.client_secret_file is not None or self.client_secret:
            setting = "COUNTERSIGN_LAUNCH_CLIENT_SECRET_FILE"
            return ClientSecret(self.client_id, self._read_secret, self.client_secret_method, setting=setting)
        return PublicClient(self.client_id)

    def _read_secret(self) -> str:
        if self.client_secret_file is not None:
            return self.client_secret_file.read_text(encoding="utf-8")
        return self.client_secret.get_secret_value() if self.client_secret else ""


def _origin(url: str) -> str:
    try:
        return origin_of(url)
    except ValueError:
        return ""
