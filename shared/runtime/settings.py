"""Settings that several services share. The environment is read when a service starts, never at import."""

import base64
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self
from uuid import uuid4

from pydantic import BeforeValidator, Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.clinical.authorization import Authorization
from shared.clinical.connect import INTERACTIVE_TIMEOUT, build_authorization, build_backend_token, connect_ehr
from shared.clinical.fhir_client import FhirClient
from shared.contracts.errors import PermanentError
from shared.oauth.client_authentication import ClientAuthentication, ClientSecret, PrivateKeyJwt, SecretMethod
from shared.runtime.oidc import OidcSettings
from shared.runtime.time_zones import TimeZones

if TYPE_CHECKING:
    from shared.knowledge.vector_store import VectorStore


def parse_names(value: object) -> object:
    """Split a list of names: `"a.example, b.example:8443"` → two names."""
    return tuple(filter(None, map(str.strip, value.split(",")))) if isinstance(value, str) else value


MASTER_KEY_BYTES = 32  # bytes: AES-256
NameList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(parse_names)]


class ProductionOverrides(BaseSettings):
    """Unsafe settings that production refuses unless they are allowed explicitly."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_ALLOW_", extra="ignore", frozen=True)

    unsafe_durability: bool = Field(
        default=False, description="start although NATS may lose acknowledged writes in a power cut"
    )
    plain_nats: bool = Field(default=False, description="start without TLS to NATS on another machine")
    plain_ehr: bool = Field(default=False, description="start without TLS to an EHR on another machine")
    plain_hl7: bool = Field(
        default=False, description="start although HL7v2 is exchanged with other machines without TLS"
    )
    static_tokens: bool = Field(
        default=False, description="start without an identity provider although other machines can reach the API"
    )


class ServiceSettings(BaseSettings):
    """Settings of every service, `COUNTERSIGN_<NAME>`; secrets may come from files."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_", extra="ignore", frozen=True)

    mode: Literal["production", "demo"] = Field(
        default="production", description="demo switches off the checks that production makes at start"
    )
    allowed: ProductionOverrides = Field(default_factory=ProductionOverrides)
    nats_url: str = Field(
        default="nats://127.0.0.1:4222", description="NATS servers, comma-separated; use tls:// between machines"
    )
    nats_ca_file: Path | None = Field(
        default=None, description="CA certificates to trust for NATS; default: the system's"
    )
    nats_monitor_url: str = Field(
        default="",
        description="HTTP monitoring endpoint of NATS; in a cluster with a host that resolves to all servers",
    )
    nats_seed: SecretStr = Field(default=SecretStr(""), description="nkey seed of the NATS user to connect as")
    nats_seed_file: Path | None = Field(default=None, description="file with the nkey seed")
    master_key_file: Path | None = Field(
        default=None,
        description="file with 32 base64 bytes a line: the first encrypts case keys, every line decrypts them",
    )
    tokens_file: Path = Field(
        default=Path("/run/secrets/countersign-tokens.json"),
        description="file with static API tokens (SHA-256) and their roles",
    )
    oidc: OidcSettings = Field(default_factory=OidcSettings)
    zones: TimeZones = Field(default_factory=TimeZones)
    organization: str = Field(
        default="countersign", description="part of every case id; never change it after the first case"
    )
    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8080, description="port to listen on")

    @model_validator(mode="after")
    def _has_seed(self) -> Self:
        if not self.nats_seed.get_secret_value() and self.nats_seed_file is None:
            raise ValueError("set COUNTERSIGN_NATS_SEED or COUNTERSIGN_NATS_SEED_FILE")
        return self

    @property
    def master_keys(self) -> tuple[bytes, ...]:
        """Return the keys of the file, one per line: the first encrypts, each decrypts.

        Raises PermanentError for any other line.
        """
        if self.master_key_file is None:
            return ()
        lines = self.master_key_file.read_text().split()
        try:
            keys = tuple(base64.b64decode(line, validate=True) for line in lines)
        except ValueError:
            keys = ()
        if not keys or any(len(key) != MASTER_KEY_BYTES for key in keys):
            raise PermanentError(f"{self.master_key_file}: each line must be a key of 32 bytes in base64")
        return keys

    @property
    def seed(self) -> str:
        """Return the nkey seed, from the variable or the file."""
        if self.nats_seed_file is not None:
            return self.nats_seed_file.read_text().strip()
        return self.nats_seed.get_secret_value()


class EhrSettings(BaseSettings):
    """Settings of the EHR's FHIR R4 API."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_EHR_", extra="ignore", frozen=True)

    url: str = Field(default="http://127.0.0.1:8080/fhir", description="FHIR R4 base URL of the EHR")
    token: SecretStr | None = Field(default=None, description="static bearer token for the EHR")
    token_file: Path | None = Field(
        default=None, description="file with the bearer token; read again when the EHR answers 401"
    )
    connections: int = Field(
        default=32,
        ge=1,
        description="concurrent connections and requests to the EHR; interactive requests get a quarter more",
    )
    page_hosts: NameList = Field(
        default=(),
        description="other hosts that may serve further pages of a search, comma-separated; they never get the token",
    )
    client_id: str = Field(
        default="", description="client registered with the EHR (SMART Backend Services); empty: no access tokens"
    )
    client_key_file: Path | None = Field(
        default=None,
        description="JWK Set with the client's private keys (private_key_jwt); made by `countersign secrets init`",
    )
    client_secret: SecretStr | None = Field(default=None, description="client secret, for an EHR that uses no keys")
    client_secret_file: Path | None = Field(default=None, description="file with the client secret")
    client_secret_method: SecretMethod = Field(
        default="client_secret_basic", description="how the client secret is sent to the token endpoint"
    )
    client_jwks_url: str = Field(
        default="", description="URL of our key set, named in assertions (jku) where the EHR has it registered so"
    )
    token_url: str = Field(
        default="", description="token endpoint; empty: as in the EHR's .well-known/smart-configuration"
    )
    scope: str = Field(default="", description="scopes to request, separated by spaces; empty: all that are needed")

    @model_validator(mode="after")
    def _has_one_credential(self) -> Self:
        """Check that a client has exactly one credential, and that nothing else provides tokens beside it."""
        given = [self.client_key_file, self.client_secret, self.client_secret_file]
        credentials = sum(item is not None for item in given)
        if not self.client_id:
            return self
        if credentials != 1:
            raise ValueError(
                "set one of COUNTERSIGN_EHR_CLIENT_KEY_FILE, COUNTERSIGN_EHR_CLIENT_SECRET and "
                "COUNTERSIGN_EHR_CLIENT_SECRET_FILE with COUNTERSIGN_EHR_CLIENT_ID"
            )
        if self.token is not None or self.token_file is not None:
            raise ValueError("set either COUNTERSIGN_EHR_CLIENT_ID or a fixed token, not both")
        return self

    @cached_property
    def authorization(self) -> Authorization | None:
        """Return the authorization of requests; None where the EHR needs no token.

        All clients made from these settings share it, so that each EHR has one token for each process.
        """
        if not self.client_id:
            return build_authorization(self.token, self.token_file)
        return build_backend_token(
            self.url, self._authentication(), token_url=self.token_url or None, scope=self.scope or None
        )

    def _authentication(self) -> ClientAuthentication:
        if self.client_key_file is not None:
            return PrivateKeyJwt(
                self.client_id, self.client_key_file, lambda: str(uuid4()), self.client_jwks_url or None
            )
        return ClientSecret(self.client_id, self._read_client_secret, self.client_secret_method)

    def _read_client_secret(self) -> str:
        if self.client_secret_file is not None:
            return self.client_secret_file.read_text()
        return self.client_secret.get_secret_value() if self.client_secret else ""

    def connect(self) -> FhirClient:
        """Return a client for background work."""
        return connect_ehr(self.url, self.authorization, self.connections, page_hosts=self.page_hosts)

    def connect_interactive(self) -> FhirClient:
        """Return a client for requests that a person waits for.

        It has connections of its own, a quarter more, which background work cannot use up.
        """
        return connect_ehr(
            self.url,
            self.authorization,
            max(1, self.connections // 4),
            page_hosts=self.page_hosts,
            timeout=INTERACTIVE_TIMEOUT,
        )


class Hl7Settings(BaseSettings):
    """Settings of the listener for HL7v2 over MLLP."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_HL7_", extra="ignore", frozen=True)

    port: int = Field(default=0, ge=0, le=65535, description="port of the MLLP listener; 0: none")
    host: str = Field(default="127.0.0.1", description="address that the MLLP listener listens on")
    senders: Path | None = Field(default=None, description="file that declares the senders; read at start")
    certificate_file: Path | None = Field(default=None, description="TLS certificate of the listener, with its chain")
    key_file: Path | None = Field(default=None, description="private key of the certificate")
    client_ca_file: Path | None = Field(
        default=None, description="CA certificates of the senders; set, no sender connects without a certificate"
    )
    connections: int = Field(default=32, ge=1, description="connections at a time; each may buffer 16 MiB")

    @model_validator(mode="after")
    def _is_complete(self) -> Self:
        if self.port and self.senders is None:
            raise ValueError("COUNTERSIGN_HL7_PORT needs COUNTERSIGN_HL7_SENDERS")
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("set both COUNTERSIGN_HL7_CERTIFICATE_FILE and COUNTERSIGN_HL7_KEY_FILE")
        if self.client_ca_file is not None and self.certificate_file is None:
            raise ValueError("COUNTERSIGN_HL7_CLIENT_CA_FILE needs COUNTERSIGN_HL7_CERTIFICATE_FILE")
        return self


class TritonSettings(BaseSettings):
    """Settings of the model server and the models in use."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_TRITON_", extra="ignore", frozen=True)

    url: str = Field(default="127.0.0.1:8001", description="gRPC host and port of Triton")
    drafter_model: str = Field(default="drafter", description="Triton model that writes drafts")
    embedder_model: str = Field(
        default="embedder", description="embedding model that /readyz checks; the knowledge file selects the one in use"
    )


class QdrantSettings(BaseSettings):
    """Settings of the vector store: a server, or a directory for the engine in this process."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_QDRANT_", extra="ignore", frozen=True)

    url: str | None = Field(default=None, description="URL of the Qdrant server")
    api_key: SecretStr | None = Field(default=None, description="API key of the Qdrant server")
    api_key_file: Path | None = Field(default=None, description="file with the API key")
    directory: Path | None = Field(
        default=None, description="directory of the embedded engine; only when all services share one process"
    )

    def connect(self) -> "VectorStore":
        """Return the vector store.

        Raises PermanentError when neither is set.
        """
        from shared.knowledge.connect import connect_vector_store  # numpy: not every service has a vector store

        key = self.api_key_file.read_text().strip() if self.api_key_file else None
        return connect_vector_store(self.url, self.api_key.get_secret_value() if self.api_key else key, self.directory)


class KnowledgeSettings(BaseSettings):
    """Settings of the knowledge base."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_KNOWLEDGE_", extra="ignore", frozen=True)

    file: Path | None = Field(
        default=None, description="file that declares the sources (knowledge.yaml); read again at every refresh"
    )
    tokenizer: Path = Field(
        default=Path("/models/embedder/tokenizer.json"),
        description="tokenizer of the embedding model; chunk sizes are counted with it",
    )
    uploads: Path | None = Field(
        default=None, description="folder for uploaded documents; it must be a declared source"
    )
