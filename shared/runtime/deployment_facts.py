"""Gather what the preflight checks need: settings, the modes of secret files, and what NATS says of its durability."""

import asyncio
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from shared.contracts.errors import TransientError
from shared.messaging.server_status import ServerStatus, read_durability
from shared.runtime.authentication import read_api_tokens
from shared.runtime.generation_endpoints import Endpoints, EndpointSettings
from shared.runtime.launch_settings import LaunchSettings
from shared.runtime.mdm_settings import MdmSettings
from shared.runtime.page_settings import PageSettings
from shared.runtime.preflight import DeploymentFacts, EndpointFacts, SecretFile
from shared.runtime.prometheus_settings import PrometheusSettings
from shared.runtime.settings import EhrSettings, Hl7Settings, ServiceSettings

GroupT = TypeVar("GroupT")
NATS_STARTUP_TIMEOUT_S = 60.0  # NATS may start at the same time


async def deployment_facts(settings: ServiceSettings) -> DeploymentFacts:
    """Return the input of `preflight_errors`.

    Raises PermanentError when the tokens file cannot be read.
    """
    durability = None if settings.allowed.unsafe_durability else await _durability(settings.nats_monitor_url)
    return configured_facts(settings, durability)


def configured_facts(settings: ServiceSettings, durability: ServerStatus | None) -> DeploymentFacts:
    """Return what settings and files say, and what NATS said of its durability. Raises as `deployment_facts` does."""
    ehr, hl7, mdm = _group(settings, EhrSettings), _group(settings, Hl7Settings), _group(settings, MdmSettings)
    launch, prometheus = _group(settings, LaunchSettings), _group(settings, PrometheusSettings)
    generation = _group(settings, EndpointSettings)
    endpoints = generation.read() if generation else {}
    return DeploymentFacts(
        host=settings.host,
        nats_url=settings.nats_url,
        allowed=settings.allowed,
        durability=durability,
        issuer=settings.oidc.issuer,
        public_url=settings.public_url if isinstance(settings, PageSettings) else None,
        ehr_url=ehr.url if ehr else None,
        ehr_token_url=ehr.token_url if ehr else "",
        launch_issuer=launch.issuer if launch else "",
        plain_hl7_host=hl7.host if hl7 and hl7.port > 0 and hl7.certificate_file is None else None,
        plain_mdm_host=mdm.host if mdm and mdm.configured and mdm.ca_file is None else None,
        prometheus_url=prometheus.url if prometheus and prometheus.token_file else "",
        grants=read_api_tokens(settings.tokens_file).tokens if settings.tokens_file.exists() else (),
        files=(*_secret_files(_named_files(settings)), *_secret_files(_key_files(endpoints))),
        endpoints=tuple(
            EndpointFacts(item.name, item.host, item.remote, item.encrypted, item.region, item.agreement)
            for item in endpoints.values()
        ),
    )


def _group(settings: ServiceSettings, kind: type[GroupT]) -> GroupT | None:
    """Return the group of settings of this kind. None: the service has no such group."""
    return next((value for _, value in settings if isinstance(value, kind)), None)


async def _durability(url: str) -> ServerStatus | None:
    if not url:
        return None
    deadline = time.monotonic() + NATS_STARTUP_TIMEOUT_S
    while True:
        try:
            return await read_durability(url)
        except TransientError:
            if time.monotonic() > deadline:
                return None
            await asyncio.sleep(0.5)


def _named_files(settings: ServiceSettings) -> dict[str, Path | None]:
    named = {
        "COUNTERSIGN_TOKENS_FILE": settings.tokens_file,
        "COUNTERSIGN_NATS_SEED_FILE": settings.nats_seed_file,
        "COUNTERSIGN_MASTER_KEY_FILE": settings.master_key_file,
        "COUNTERSIGN_OIDC_CLIENT_SECRET_FILE": settings.oidc.client_secret_file,
        "COUNTERSIGN_OIDC_CLIENT_KEY_FILE": settings.oidc.client_key_file,
    }
    if mdm := _group(settings, MdmSettings):
        named["COUNTERSIGN_MDM_KEY_FILE"] = mdm.key_file
    if hl7 := _group(settings, Hl7Settings):
        named["COUNTERSIGN_HL7_KEY_FILE"] = hl7.key_file
    if prometheus := _group(settings, PrometheusSettings):
        named["COUNTERSIGN_PROMETHEUS_TOKEN_FILE"] = prometheus.token_file
    if (ehr := _group(settings, EhrSettings)) and ehr.client_id:
        named["COUNTERSIGN_EHR_CLIENT_KEY_FILE"] = ehr.client_key_file
        named["COUNTERSIGN_EHR_CLIENT_SECRET_FILE"] = ehr.client_secret_file
    if (launch := _group(settings, LaunchSettings)) and launch.issuer:
        named["COUNTERSIGN_LAUNCH_CLIENT_KEY_FILE"] = launch.client_key_file
        named["COUNTERSIGN_LAUNCH_CLIENT_SECRET_FILE"] = launch.client_secret_file
    return named


def _key_files(endpoints: Endpoints) -> dict[str, Path | None]:
    return {f"key_file of the endpoint {name}": item.key_file for name, item in endpoints.items()}


def _secret_files(named: Mapping[str, Path | None]) -> list[SecretFile]:
    return [
        SecretFile(setting, str(path), path.stat().st_mode)
        for setting, path in named.items()
        if path is not None and path.exists()
    ]
