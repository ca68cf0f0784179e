"""The stack to examine: a data directory that one runs on, or the addresses in the environment."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from cli.backup.places import Spread
from cli.errors import CommandError
from cli.stack.access import default_data_dir, read_access
from cli.stack.secrets import load_or_make
from shared.clinical.authorization import Authorization
from shared.messaging.provision import Keeping
from shared.runtime.oidc import OidcSettings
from shared.runtime.settings import EhrSettings, QdrantSettings, TritonSettings


class Around(BaseSettings):
    """What else the environment names. Variables are the services' own, and OpenTelemetry's."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_", extra="ignore", frozen=True, populate_by_name=True)

    nats_monitor_url: str = ""
    seeds_file: Path | None = Field(default=None, description="JSON: NATS user → nkey seed, of those to be tried")
    otlp: str = Field(default="", validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")


@dataclass(frozen=True, slots=True)
class Place:
    """Where everything is. An empty address: there is no such part, or nobody said."""

    nats_url: str
    nats_ca_file: Path | None
    admin_seed: str
    seeds: Mapping[str, str]  # users that can be tried
    monitor_url: str
    keeping: Keeping
    ehr_url: str
    ehr_authorization: Authorization | None
    triton: TritonSettings
    qdrant: QdrantSettings
    oidc: OidcSettings
    otlp: str
    data_dir: Path | None  # of an embedded stack
    base_url: str  # its API
    operator_token: str
    provision: str  # what makes streams and consumers as they should be


def find_place(data_dir: Path | None) -> Place:
    """Raises CommandError when no stack is named or runs."""
    around, spread = Around(), Spread()
    common = {"qdrant": QdrantSettings(), "oidc": OidcSettings(), "otlp": around.otlp, "keeping": spread.keeping}
    ehr = EhrSettings()
    if spread.nats_url and data_dir is None:
        return Place(
            **common,  # type: ignore[arg-type]
            nats_url=spread.nats_url,
            nats_ca_file=spread.nats_ca_file,
            admin_seed=spread.seed,
            seeds=_seeds(around.seeds_file),
            monitor_url=around.nats_monitor_url,
            ehr_url=ehr.url,
            ehr_authorization=ehr.authorization,
            triton=TritonSettings(),
            data_dir=None,
            base_url="",
            operator_token="",
            provision="countersign provision, as admin: it changes what differs and deletes nothing",
        )
    directory = (data_dir or default_data_dir()).absolute()
    access, secrets = read_access(directory), load_or_make(directory)
    return Place(
        **common,  # type: ignore[arg-type]
        nats_url=access.nats_url,
        nats_ca_file=None,
        admin_seed=secrets.seeds["admin"],
        seeds={user: seed for user, seed in secrets.seeds.items() if user not in ("admin", "system")},
        monitor_url=access.nats_monitor_url,
        ehr_url=access.ehr_url,
        ehr_authorization=ehr.authorization,
        triton=TritonSettings(url=access.triton_url, drafter_model=access.drafter_model),
        data_dir=directory,
        base_url=access.base_url,
        operator_token=access.tokens["operator"],
        provision="start the stack again: every start provisions it",
    )


def _seeds(file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    try:
        found = json.loads(file.read_text())
        return {str(user): str(seed) for user, seed in found.items()}
    except (OSError, ValueError, AttributeError, ValidationError):
        raise CommandError(f"COUNTERSIGN_SEEDS_FILE: {file} is not a JSON object of users and seeds.") from None
