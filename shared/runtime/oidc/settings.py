"""Settings of the identity provider."""

from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator
from pydantic_settings import SettingsConfigDict

from shared.oauth.token_endpoint import is_safe_endpoint
from shared.runtime.authentication import Role
from shared.runtime.oauth_client_settings import OAuthClientSettings

ClaimSource = Literal["id_token", "userinfo", "access_token"]


class OidcSettings(OAuthClientSettings):
    """Settings of the identity provider, `COUNTERSIGN_OIDC_<NAME>`. Without an issuer, OIDC is off."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_OIDC_", extra="ignore", frozen=True)
    authorization_server = "identity provider"

    issuer: str = Field(default="", description="issuer URL, exactly as in the provider's metadata; empty: no provider")
    audience: str = Field(default="", description="expected audience of access tokens; empty: the client id")
    scope: str = Field(default="openid profile", description="scopes requested at sign-in")
    claims_from: ClaimSource = Field(
        default="id_token",
        description="where roles, departments and the person's references are read, besides the ID token",
    )
    groups_url: str = Field(
        default="",
        description="endpoint that lists a person's groups, asked where a token leaves them out (groups overage)",
    )
    role_claim: str = Field(default="roles", description="claim that holds the roles; dots address nested claims")
    roles: dict[str, Role] = Field(
        default={}, description="role or group of the provider → Countersign role; empty: roles have the same names"
    )
    department_claim: str = Field(default="departments", description="claim that holds the departments")
    practitioner_claim: str = Field(default="fhirUser", description="claim that holds the person's FHIR reference")
    npi_claim: str = Field(default="npi", description="claim that holds the National Provider Identifier")
    cli_client_id: str = Field(
        default="",
        description="public client of the provider as which `countersign login` signs people in; empty: none",
    )
    cli_scope: str = Field(
        default="openid profile offline_access", description="scopes that `countersign login` requests"
    )
    cli_resource: str = Field(
        default="",
        description="resource indicator (RFC 8707) that `countersign login` sends, for providers that need it for the "
        "audience; empty: none",
    )
    leeway: int = Field(default=30, ge=0, le=300, description="seconds by which the provider's clock may differ")
    end_session: bool = Field(
        default=True, description="a person who signs out is signed out at the provider too, where it supports this"
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.groups_url and not is_safe_endpoint(self.groups_url, self.issuer):
            raise ValueError("COUNTERSIGN_OIDC_GROUPS_URL must be an https URL: access tokens are sent there")
        if self.cli_resource and (not urlsplit(self.cli_resource).scheme or "#" in self.cli_resource):
            raise ValueError("COUNTERSIGN_OIDC_CLI_RESOURCE must be an absolute URI without a fragment (RFC 8707)")
        return self
