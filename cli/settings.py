"""Settings of commands that reach a stack by address. The variables are those of the services."""

from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator, Field, SecretStr
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from shared.messaging.placement import Tags, read_placement


class RemoteStackSettings(BaseSettings):
    """A stack whose parts run on several machines."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_", extra="ignore", frozen=True)

    nats_url: str = ""
    nats_ca_file: Path | None = None
    nats_seed: SecretStr = Field(default=SecretStr(""), description="nkey seed of the NATS user to connect as")
    nats_seed_file: Path | None = Field(default=None, description="file with that seed")
    nats_replicas: int = Field(default=1, description="replicas of restored streams")
    nats_placement: Annotated[Tags, NoDecode, BeforeValidator(read_placement)] = Field(
        default={}, validate_default=False, description="server tags by stream"
    )
    erasure_dir: Path | None = Field(default=None, description="folder with the list of erasures")


def remote_stack(data_dir: Path | None) -> RemoteStackSettings | None:
    """Return the settings if the environment names a NATS server and the command names no data directory."""
    settings = RemoteStackSettings()
    return settings if settings.nats_url and data_dir is None else None
