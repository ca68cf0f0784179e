"""Settings of the identity provider."""

from typing import Literal, Self

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
    client_certificate_file: Path | None = Field(
        default=None,
        description="PEM certificate of our private key, which may be a PEM file then, for providers that find keys by "
        "the certificate's thumbprint (Entra ID, AD FS)",
    )
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
    leeway: int = Field(default=30, ge=0, le=300, description="seconds by which the provider's clock may differ")
    end_session: bool = Field(
        default=True, description="a person who signs out is signed out at the provider too, where it supports this"
    )

    @model_validator(mode="after")
    def _is_consistent(self) -> Self:
        if self.client_certificate_file is not None and self.client_key_file is None:
            raise ValueError("COUNTERSIGN_OIDC_CLIENT_CERTIFICATE_FILE needs COUNTERSIGN_OIDC_CLIENT_KEY_FILE")
        if self.groups_url and not is_safe_endpoint(self.groups_url, self.issuer):
            raise ValueError("COUNTERSIGN_OIDC_GROUPS_URL must be an https URL: access tokens are sent there")
        return self

    def authentication(self, new_id: Callable[[], str]) -> ClientAuthentication:
        """Return how our client authenticates. `new_id` returns an id that was never used."""
        if self.client_key_file is not None:
            return PrivateKeyJwt(
                self.client_id,
                self.client_key_file,
                new_id,
                certificate_file=self.client_certificate_file,
                server="identity provider",
                setting="COUNTERSIGN_OIDC_CLIENT_KEY_FILE",
            )
        if self.client_secret_file is not None or self.client_secret:
            return ClientSecret(
                self.client_id,
                self._read_secret,
                self.client_secret_method,
                setting="COUNTERSIGN_OIDC_CLIENT_SECRET_FILE",
            )
        return PublicClient(self.client_id)

    def _read_secret(self) -> str:
        if self.client_secret_file is not None:
            return self.client_secret_file.read_text(encoding="utf-8")
        return self.client_secret.get_secret_value() if self.client_secret else ""
