"""Settings of the Prometheus whose alerts are shown."""

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def check_url(value: str) -> str:
    """Return `value` where it is empty, or an http or https URL. Raises ValueError."""
    parts = urlsplit(value)
    if value and (parts.scheme not in ("http", "https") or not parts.hostname or parts.username):
        raise ValueError("give an http or https URL without a user name")
    return value


class PrometheusSettings(BaseSettings):
    """The Prometheus that evaluates the alert rules."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_PROMETHEUS_", extra="ignore", frozen=True)

    url: Annotated[str, AfterValidator(check_url)] = Field(
        default="", description="base URL of the Prometheus that has the alert rules; the page *Alerts* asks it"
    )
    token_file: Path | None = Field(
        default=None, description="file with a bearer token for Prometheus; read for each request"
    )
