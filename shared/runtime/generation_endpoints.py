"""The file of endpoints for drafting: which servers may draft, with which key, and what each may cost. Read at start.

    endpoints:
      - name: drafter-cloud
        kind: anthropic
        url: https://api.anthropic.com
        model: claude-sonnet-4-5
        key_file: /run/secrets/anthropic.key
        region: us
        agreement: business associate agreement of 2026-03-01
        limits: {requests_per_case: 6, tokens_per_day: 2000000}

A kind of document, or COUNTERSIGN_TRITON_DRAFTER_MODEL, uses an endpoint by its name; other names are models of Triton.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, JsonValue, StringConstraints, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from shared import declarations
from shared.contracts.model import Model
from shared.inference.anthropic_api import AnthropicApi
from shared.inference.generation import GenerationRefusedError, Generator
from shared.inference.generation_api import GenerationApi
from shared.inference.http_generation import HttpGenerator
from shared.inference.openai_api import OpenAiApi
from shared.outbound import is_remote

_APIS: dict[str, type[GenerationApi]] = {"openai": OpenAiApi, "anthropic": AnthropicApi}
# Fields of requests that the adapters set themselves.
RESERVED = frozenset({"model", "messages", "system", "prompt", "stream", "stream_options"})
_HOST_AND_PORT = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[A-Za-z0-9._-]+):\d{1,5}")
Statement = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300, pattern=r"^[^\n]+$")]
Count = Annotated[int, Field(ge=1)]


class EndpointSettings(BaseSettings):
    """Settings of further servers for drafting."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_GENERATION_", extra="ignore", frozen=True)

    endpoints: Path | None = Field(
        default=None, description="file that declares further servers for drafting, by name; read at start"
    )

    def read(self) -> "Endpoints":
        """Return the declared endpoints. Raises PermanentError that says what is wrong with the file."""
        return read_endpoints(self.endpoints)


class Limits(Model):
    """What may be spent at an endpoint. A day is one of UTC; tokens are those of prompts and answers."""

    requests_per_case: Count | None = None
    tokens_per_case: Count | None = None
    requests_per_day: Count | None = None
    tokens_per_day: Count | None = None

    @property
    def any(self) -> bool:
        return self != Limits()

    @property
    def of_day(self) -> bool:
        return self.requests_per_day is not None or self.tokens_per_day is not None


class Price(Model):
    """What a server charges for a million tokens, in any one currency."""

    input_per_million: float = Field(ge=0)
    output_per_million: float = Field(ge=0)

    def of(self, input_tokens: int, output_tokens: int) -> float:
        """Return the price of a request."""
        return (input_tokens * self.input_per_million + output_tokens * self.output_per_million) / 1_000_000


class Endpoint(Model):
    """A server that may draft, and the model to use there."""

    name: str = Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")
    kind: Literal["triton", "openai", "anthropic"]
    url: str
    model: str = Field(min_length=1, max_length=200)
    revision: str = Field(default="", pattern=r"^\S{0,80}$")
    key_file: Path | None = None
    key_variable: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    region: Statement | None = None
    agreement: Statement | None = None
    narrative_policy: Literal["strict"] | None = None
    parameters: dict[str, JsonValue] = Field(default={})
    pseudonymise: bool = False  # what identifies people is replaced before a prompt leaves, and restored in the answer
    longest_wait: float = Field(default=120, ge=0, le=3600)  # seconds that a draft waits when the server asks for it
    limits: Limits = Limits()
    price: Price | None = None

    @model_validator(mode="after")
    def _check_consistency(self) -> Self:
        if self.kind == "triton":
            self._check_triton()
        else:
            self._check_http()
        return self

    def _check_triton(self) -> None:
        if not _HOST_AND_PORT.fullmatch(self.url):
            raise ValueError("url of a Triton server is its gRPC host and port, such as gpu-1:8001")
        # Its models state their version and policy in their configuration, and its queue has limits of its own.
        for name in ("key_file", "key_variable", "revision", "narrative_policy", "parameters", "limits", "price"):
            if getattr(self, name) != type(self).model_fields[name].default:
                raise ValueError(f"{name} is not for a Triton server")

    def _check_http(self) -> None:
        url = urlsplit(self.url)
        if url.scheme not in ("http", "https") or not url.hostname:
            raise ValueError("url must begin with https:// or http://")
        if url.username is not None or url.query or url.fragment:
            raise ValueError("url must have no user, query or fragment: a key belongs into key_file or key_variable")
        if self.key_file is not None and self.key_variable is not None:
            raise ValueError("give one of key_file and key_variable")
        if wrong := sorted(RESERVED & self.parameters.keys()):
            raise ValueError(f"parameters cannot set {', '.join(wrong)}")

    @property
    def host(self) -> str:
        found = _HOST_AND_PORT.fullmatch(self.url)
        return found["host"].strip("[]") if self.kind == "triton" and found else urlsplit(self.url).hostname or ""

    @property
    def remote(self) -> bool:
        return is_remote(self.host)

    @property
    def encrypted(self) -> bool:
        return urlsplit(self.url).scheme == "https"

    def key(self) -> str | None:
        """Return the API key, None where the endpoint needs none. Raises RefusedError where it cannot be read."""
        if self.key_file is not None:
            where, text = f"key_file {self.key_file}", _read(self.key_file)
        elif self.key_variable is not None:
            where, text = f"key_variable {self.key_variable}", os.environ.get(self.key_variable, "")
        else:
            return None
        key = text.strip()
        if not key or not key.isascii() or not key.isprintable():
            raise GenerationRefusedError(f"{where} of the endpoint {self.name} has no key")
        return key

    def connect(self, priority: int) -> Generator:
        """Return a client. `priority` is that of requests to Triton; other servers have none."""
        if self.kind == "triton":
            from shared.inference.triton_generation import TritonGenerator  # its libraries are large

            return TritonGenerator(self.url, self.model, priority)
        return self.connect_http()

    def connect_http(self) -> HttpGenerator:
        return HttpGenerator(
            _APIS[self.kind](),
            self.url,
            self.model,
            name=self.name,
            key=self.key,
            revision=self.revision,
            strict=self.narrative_policy == "strict",
            parameters=self.parameters,
        )


class _EndpointsFile(Model):
    endpoints: tuple[Endpoint, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_names(self) -> Self:
        names = [item.name for item in self.endpoints]
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"names {', '.join(repeated)} twice")
        return self


Endpoints = Mapping[str, Endpoint]


def read_endpoints(file: Path | None) -> Endpoints:
    """Return the declared endpoints by name. Raises PermanentError that says what is wrong with the file."""
    if file is None:
        return {}
    data: Any = declarations.read_yaml(file)
    return {item.name: item for item in declarations.validate(_EndpointsFile, data, file).endpoints}


def _read(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise GenerationRefusedError(f"key_file {file} cannot be read ({type(error).__name__})") from None


def check_keys(endpoints: Endpoints) -> None:
    """Raise PermanentError where the key of an endpoint cannot be read."""
    for item in endpoints.values():
        item.key()
