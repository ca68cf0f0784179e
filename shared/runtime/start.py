"""Start a service as a process: read settings, run the preflight checks, build it, serve it.

Errors are printed as one sentence each on stderr with exit code 2, never as a stack trace.
"""

import asyncio
import sys
from collections.abc import Callable
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError

from shared.contracts.errors import CountersignError
from shared.messaging.tls import client_context
from shared.runtime.deployment_facts import deployment_facts
from shared.runtime.generation_endpoints import EndpointSettings
from shared.runtime.launch_settings import LaunchSettings
from shared.runtime.mdm_settings import MdmSettings
from shared.runtime.oidc import OidcSettings
from shared.runtime.preflight import preflight_errors
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
