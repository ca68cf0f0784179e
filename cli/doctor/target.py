"""The stack to check: the one on a data directory, or the one that the environment names."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from cli.connections import read_seed
from cli.contexts import ensure_no_context
from cli.errors import CommandError
from cli.settings import RemoteStackSettings
from cli.stack.access import default_data_dir, read_access
from cli.stack.ehr_settings import stack_ehr
from cli.stack.secrets import load_or_create
from services.approval.filing.profile_choice import Setting as WriteBackSetting
from services.ingest.settings import AppointmentSettings, CensusSettings
from shared.clinical.authorization import Authorization
from shared.messaging.provision import StreamStorage
from shared.runtime.generation_endpoints import EndpointSettings
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


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorTarget:
    """Addresses and credentials of a stack. An empty address means that the part is absent or not known."""

    nats_url: str
    nats_ca_file: Path | None
    admin_seed: str
    seeds: Mapping[str, str]  # users whose permissions can be checked
    monitor_url: str
    storage: StreamStorage
    ehr_url: str
    ehr_authorization: Authorization | None
    triton: TritonSettings
    data_dir: Path | None  # of an embedded stack
    base_url: str  # its API
    operator_token: str
    provision: str  # how to repair streams and consumers
    write_back: WriteBackSetting
    public_url: str = ""
    otlp: str
    mdm: MdmSettings = field(default_factory=MdmSettings)
    generation: EndpointSettings = field(default_factory=EndpointSettings)
    qdrant: QdrantSettings = field(default_factory=QdrantSettings)
    oidc: OidcSettings = field(default_factory=OidcSettings)
    launch: LaunchSettings = field(default_factory=LaunchSettings)
    census: CensusSettings = field(default_factory=CensusSettings)
    appointments: AppointmentSettings = field(default_factory=AppointmentSettings)


def find_target(data_dir: Path | None) -> DoctorTarget:
    """Return the stack to check. Raises CommandError when none is named or running."""
    remote = RemoteStackSettings()
    if remote.nats_url and data_dir is None:
        return _remote_target(remote, DoctorSettings())
    ensure_no_context(data_dir)
    return _embedded_target((data_dir or default_data_dir()).absolute(), remote, DoctorSettings())


def _remote_target(remote: RemoteStackSettings, settings: DoctorSettings) -> DoctorTarget:
    """Return the stack that the environment names."""
    ehr = EhrSettings()
    return DoctorTarget(
        nats_url=remote.nats_url,
        nats_ca_file=remote.nats_ca_file,
        admin_seed=read_seed(remote),
        seeds=_seeds(settings.seeds_file),
        monitor_url=settings.nats_monitor_url,
        storage=StreamStorage(remote.nats_replicas, remote.nats_placement),
        ehr_url=ehr.url,
        ehr_authorization=ehr.authorization,
        triton=TritonSettings(),
        data_dir=None,
        base_url="",
        operator_token="",
        provision="run countersign provision as admin: it updates what differs and deletes nothing",
        write_back=settings.write_back,
        public_url=settings.public_url,
        otlp=settings.otlp,
    )


def _embedded_target(directory: Path, remote: RemoteStackSettings, settings: DoctorSettings) -> DoctorTarget:
    """Return the stack that runs on a data directory. Raises CommandError when none runs there."""
    access, secrets = read_access(directory), load_or_create(directory)
    return DoctorTarget(
        nats_url=access.nats_url,
        nats_ca_file=None,
        admin_seed=secrets.seeds["admin"],
        seeds={user: seed for user, seed in secrets.seeds.items() if user not in ("admin", "system")},
        monitor_url=access.nats_monitor_url,
        storage=StreamStorage(remote.nats_replicas, remote.nats_placement),
        ehr_url=access.ehr_url,
        ehr_authorization=stack_ehr(access, directory).authorization,
        triton=TritonSettings(url=access.triton_url, drafter_model=access.drafter_model),
        data_dir=directory,
        base_url=access.base_url,
        operator_token=access.tokens["operator"],
        provision="restart the stack: every start provisions it",
        write_back=settings.write_back,
        public_url=settings.public_url,
        otlp=settings.otlp,
    )


def _seeds(file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    try:
        found = json.loads(file.read_text())
        return {str(user): str(seed) for user, seed in found.items()}
    except (OSError, ValueError, AttributeError, ValidationError):
        raise CommandError(f"COUNTERSIGN_SEEDS_FILE: {file} is not a JSON object of users and seeds.") from None
