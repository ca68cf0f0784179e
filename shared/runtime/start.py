"""Start a service as a process: read settings, run the preflight checks, build it, serve it.

Errors are printed as one sentence each on stderr with exit code 2, never as a stack trace.
"""

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError

from shared.contracts.errors import CountersignError, TransientError
from shared.messaging.server_status import ServerStatus, read_durability
from shared.messaging.tls import client_context
from shared.runtime.authentication import read_api_tokens
from shared.runtime.generation_endpoints import Endpoints, EndpointSettings
from shared.runtime.launch_settings import LaunchSettings
from shared.runtime.mdm_settings import MdmSettings
from shared.runtime.oidc import OidcSettings
from shared.runtime.preflight import DeploymentFacts, EndpointFacts, SecretFile, preflight_errors
from shared.runtime.prometheus_settings import PrometheusSettings
from shared.runtime.service import Service, serve
from shared.runtime.settings import (
    EhrSettings,
    Hl7Settings,
    KnowledgeSettings,
    ProductionOverrides,
    QdrantSettings,
    ServiceSettings,
    TritonSettings,
)

SettingsT = TypeVar("SettingsT", bound=ServiceSettings)
SETTINGS_GROUPS: tuple[type[BaseSettings], ...] = (
    OidcSettings,
    LaunchSettings,
    EhrSettings,
    Hl7Settings,
    MdmSettings,
    TritonSettings,
    EndpointSettings,
    QdrantSettings,
    KnowledgeSettings,
    ProductionOverrides,
    PrometheusSettings,
)
NATS_STARTUP_TIMEOUT_S = 60.0  # NATS may start at the same time


def start(kind: type[SettingsT], build: Callable[[SettingsT], Service]) -> None:
    """Run the service until it is stopped."""
    try:
        settings = kind()
        client_context(settings.nats_url, settings.nats_ca_file)  # reports an invalid CA file
        refused = preflight_errors(asyncio.run(deployment_facts(settings))) if settings.mode == "production" else []
        service = build(settings) if not refused else None
    except (ValidationError, SettingsError) as error:
        refused, service = [describe_settings_error(error)], None
    except CountersignError as failure:
        refused, service = [failure.reason], None
    except OSError as error:  # a file that a setting names
        refused, service = [f"{error.filename} cannot be read ({error.strerror})"], None
    if service is None:
        for sentence in refused:
            print(f"countersign does not start: {sentence}.", file=sys.stderr)
        sys.exit(2)
    serve(service, settings.host, settings.port)


async def deployment_facts(settings: ServiceSettings) -> DeploymentFacts:
    """Return the input of `preflight_errors`.

    Raises PermanentError when the tokens file cannot be read.
    """
    ehr, hl7 = getattr(settings, "ehr", None), getattr(settings, "hl7", None)
    mdm = getattr(settings, "mdm", None)
    launch = getattr(settings, "launch", None)
    generation = getattr(settings, "generation", None)
    endpoints = generation.read() if isinstance(generation, EndpointSettings) else {}
    plain_hl7 = isinstance(hl7, Hl7Settings) and hl7.port > 0 and hl7.certificate_file is None
    return DeploymentFacts(
        host=settings.host,
        nats_url=settings.nats_url,
        allowed=settings.allowed,
        durability=None if settings.allowed.unsafe_durability else await _durability(settings.nats_monitor_url),
        issuer=settings.oidc.issuer,
        public_url=getattr(settings, "public_url", None),
        ehr_url=ehr.url if isinstance(ehr, EhrSettings) else None,
        ehr_token_url=ehr.token_url if isinstance(ehr, EhrSettings) else "",
        launch_issuer=launch.issuer if isinstance(launch, LaunchSettings) else "",
        plain_hl7_host=hl7.host if plain_hl7 and hl7 is not None else None,
        plain_mdm_host=mdm.host if isinstance(mdm, MdmSettings) and mdm.configured and mdm.ca_file is None else None,
        grants=read_api_tokens(settings.tokens_file).tokens if settings.tokens_file.exists() else (),
        files=(*_files(settings), *_key_files(endpoints)),
        endpoints=tuple(
            EndpointFacts(item.name, item.host, item.remote, item.encrypted, item.region, item.agreement)
            for item in endpoints.values()
        ),
    )


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


def _files(settings: ServiceSettings) -> list[SecretFile]:
    named: dict[str, Path | None] = {
        "COUNTERSIGN_TOKENS_FILE": settings.tokens_file,
        "COUNTERSIGN_NATS_SEED_FILE": settings.nats_seed_file,
        "COUNTERSIGN_MASTER_KEY_FILE": settings.master_key_file,
        "COUNTERSIGN_OIDC_CLIENT_SECRET_FILE": settings.oidc.client_secret_file,
        "COUNTERSIGN_MDM_KEY_FILE": getattr(getattr(settings, "mdm", None), "key_file", None),
        "COUNTERSIGN_OIDC_CLIENT_KEY_FILE": settings.oidc.client_key_file,
        "COUNTERSIGN_HL7_KEY_FILE": getattr(getattr(settings, "hl7", None), "key_file", None),
    }
    ehr = getattr(settings, "ehr", None)
    if isinstance(ehr, EhrSettings) and ehr.client_id:
        named["COUNTERSIGN_EHR_CLIENT_KEY_FILE"] = ehr.client_key_file
        named["COUNTERSIGN_EHR_CLIENT_SECRET_FILE"] = ehr.client_secret_file
    launch = getattr(settings, "launch", None)
    if isinstance(launch, LaunchSettings) and launch.issuer:
        named["COUNTERSIGN_LAUNCH_CLIENT_KEY_FILE"] = launch.client_key_file
        named["COUNTERSIGN_LAUNCH_CLIENT_SECRET_FILE"] = launch.client_secret_file
    return _secret_files(named)


def _key_files(endpoints: Endpoints) -> list[SecretFile]:
    return _secret_files({f"key_file of the endpoint {name}": item.key_file for name, item in endpoints.items()})


def _secret_files(named: Mapping[str, Path | None]) -> list[SecretFile]:
    return [
        SecretFile(setting, str(path), path.stat().st_mode)
        for setting, path in named.items()
        if path is not None and path.exists()
    ]


def describe_settings_error(error: ValidationError | SettingsError) -> str:
    """Return which variables are invalid and why. Their values are left out, as they may be secrets."""
    if isinstance(error, SettingsError):  # error parsing value for field "supervisors" from source "EnvSettingsSource"
        field = str(error).split('"')[1]
        prefix = _variable_prefix(lambda kind: field in kind.model_fields)
        return f"{prefix}{field.upper()} is not valid JSON"
    prefix = _variable_prefix(lambda kind: kind.__name__ == error.title)
    messages = []
    for item in error.errors(include_input=False, include_url=False):
        words = item["msg"].removeprefix("Value error, ")
        name = "_".join(str(part) for part in item["loc"]).upper()
        messages.append(f"{prefix}{name}: {words}" if name else words)
    return "; ".join(messages)


def _variable_prefix(wanted: Callable[[type[BaseSettings]], bool]) -> str:
    """Return the variable prefix of the settings group that `wanted` accepts; the services' own without one."""
    return next((kind.model_config["env_prefix"] for kind in SETTINGS_GROUPS if wanted(kind)), "COUNTERSIGN_")
