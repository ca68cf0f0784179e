"""Settings that every OAuth 2.0 client of ours has which signs people in: its id and its credential."""

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings

from shared.oauth.client_authentication import (
    ClientAuthentication,
    ClientSecret,
    PrivateKeyJwt,
    PublicClient,
    SecretMethod,
)


class OAuthClientSettings(BaseSettings):
    """Base class of a client's settings; a subclass sets the prefix of the variables."""

    authorization_server: ClassVar[str]  # as errors name it

    client_id: str = Field(default="countersign", description="client id that is registered for Countersign")
    client_secret: SecretStr | None = Field(default=None, description="client secret; not set for a public client")
    client_secret_file: Path | None = Field(default=None, description="file with the client secret")
    client_secret_method: SecretMethod = Field(
        default="client_secret_basic", description="how the client secret is sent to the token endpoint"
    )
    client_key_file: Path | None = Field(
        default=None,
        description="JWK Set with our private keys (private_key_jwt), instead of a secret; may be the EHR client's",
    )

    client_certificate_file: Path | None = Field(
        default=None,
        description="PEM certificate of our private key, which may be a PEM file then, for servers that find keys by "
        "the certificate's thumbprint (Entra ID, AD FS)",
    )

    @model_validator(mode="after")
    def _has_one_credential(self) -> Self:
        if self.client_key_file is not None and (self.client_secret or self.client_secret_file is not None):
            raise ValueError(f"set either {self._variable('client_key_file')} or a client secret, not both")
        if self.client_certificate_file is not None and self.client_key_file is None:
            certificate, key = self._variable("client_certificate_file"), self._variable("client_key_file")
            raise ValueError(f"{certificate} needs {key}")
        return self

    def authentication(self, new_id: Callable[[], str]) -> ClientAuthentication:
        """Return how the client authenticates. `new_id` returns an id that was never used."""
        if self.client_key_file is not None:
            return PrivateKeyJwt(
                self.client_id,
                self.client_key_file,
                new_id,
                certificate_file=self.client_certificate_file,
                server=self.authorization_server,
                setting=self._variable("client_key_file"),
            )
        if self.client_secret_file is not None or self.client_secret:
            return ClientSecret(
                self.client_id,
                self._read_secret,
                self.client_secret_method,
                setting=self._variable("client_secret_file"),
            )
        return PublicClient(self.client_id)

    def _read_secret(self) -> str:
        if self.client_secret_file is not None:
            return self.client_secret_file.read_text(encoding="utf-8")
        return self.client_secret.get_secret_value() if self.client_secret else ""

    @classmethod
    def _variable(cls, name: str) -> str:
        return f"{cls.model_config['env_prefix']}{name}".upper()
