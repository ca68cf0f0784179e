"""The stack to check: the one on a data directory, or the one that the environment names."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from cli.connections import read_seed
from cli.errors import CommandError
from cli.settings import RemoteStackSettings
from cli.stack.access import default_data_dir, read_access
from cli.stack.ehr_settings import stack_ehr
from cli.stack.secrets import load_or_create
from services.approval.filing.profile_choice import Setting as WriteBackSetting
from services.ingest.settings import AppointmentSettings, CensusSettings
from shared.clinical.authorization import Authorization
from shared.messaging.provision import StreamStorage
from shared.runtime.launch_settings import LaunchSettings
from shared.runtime.mdm_settings import MdmSettings
from shared.runtime.oidc import OidcSettings
from shared.runtime.settings import EhrSettings, QdrantSettings, TritonSettings


class DoctorSettings(BaseSettings):
    """Settings of the doctor alone. The variables are those of the services and of OpenTelemetry."""

    model_config = SettingsConfigDict(env_prefix="COUNTERSIGN_", extra="ignore", frozen=True, populate_by_name=True)

    nats_monitor_url: str = ""
    seeds_file: Path | None = Field(
        default=None, description="JSON object of NATS users and nkey seeds, to check their permissions"
    )
    write_back: WriteBackSetting = "fhir"
    public_url: str = ""
    otlp: str = Field(default="", validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")


@dataclass(frozen=True, slots=True)
class DoctorTarget:
    """Addresses and credentials of a stack. An empty address means that the part is absent or not known."""

    nats_url: str
    nats_ca_file: Path | None
    admin_seed: str
    seeds: Mapping[str, str]  # users whose permissions can be checked
    monitor_url: str
    keeping: StreamStorage
    ehr_url: str
    ehr_authorization: Authorization | None
    write_back: WriteBackSetting
    mdm: MdmSettings
    triton: TritonSettings
    qdrant: QdrantSettings
    oidc: OidcSettings
    otlp: str
    data_dir: Path | None  # of an embedded stack
    base_url: str  # its API
    operator_token: str
    provision: str  # how to repair streams and consumers
    launch: LaunchSettings = field(default_factory=LaunchSettings)
    public_url: str = ""
    census: CensusSettings = field(default_factory=CensusSettings)
    appointments: AppointmentSettings = field(default_factory=AppointmentSettings)


def find_target(data_dir: Path | None) -> DoctorTarget:
    """Return the stack to check. Raises CommandError when none is named or running."""
    settings, remote = DoctorSettings(), RemoteStackSettings()
    keeping = StreamStorage(remote.nats_replicas, remote.nats_placement)
    common = {
        "qdrant": QdrantSettings(),
        "oidc": OidcSettings(),
        "launch": LaunchSettings(),
        "census": CensusSettings(),
        "appointments": AppointmentSettings(),
        "public_url": settings.public_url,
        "otlp": settings.otlp,
        "keeping": keeping,
    }
    common |= {"write_back": settings.write_back, "mdm": MdmSettings()}
    if remote.nats_url and data_dir is None:
        ehr = EhrSettings()
        return DoctorTarget(
            **common,  # type: ignore[arg-type]
            nats_url=remote.nats_url,
            nats_ca_file=remote.nats_ca_file,
            admin_seed=read_seed(remote),
            seeds=_seeds(settings.seeds_file),
            monitor_url=settings.nats_monitor_url,
            ehr_url=ehr.url,
            ehr_authorization=ehr.authorization,
            triton=TritonSettings(),
            data_dir=None,
            base_url="",
            operator_token="",
            provision="run countersign provision as admin: it updates what differs and deletes nothing",
        )
    directory = (data_dir or default_data_dir()).absolute()
    access, secrets = read_access(directory), load_or_create(directory)
    ehr = stack_ehr(access, directory)
    return DoctorTarget(
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
        provision="restart the stack: every start provisions it",
    )


def _seeds(file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    try:
        found = json.loads(file.read_text())
        return {str(user): str(seed) for user, seed in found.items()}
    except (OSError, ValueError, AttributeError, ValidationError):
        raise CommandError(f"COUNTERSIGN_SEEDS_FILE: {file} is not a JSON object of users and seeds.") from None
