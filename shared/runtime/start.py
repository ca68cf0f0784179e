"""How a service starts as a process: settings, what production refuses, everything built, then served.

What cannot be done is a sentence on stderr and exit code 2, never a stack trace.
"""

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsError

from shared.contracts.failures import Failure, TransientError
from shared.messaging.monitor import Durability, read_durability
from shared.messaging.tls import trust
from shared.runtime.access import read_grants
from shared.runtime.oidc import OidcSettings
from shared.runtime.production import Facts, SecretFile, refusals
from shared.runtime.service import Service, serve
from shared.runtime.settings import (
    Allowed,
    EhrSettings,
    KnowledgeSettings,
    QdrantSettings,
    ServiceSettings,
    TritonSettings,
)

S = TypeVar("S", bound=ServiceSettings)
GROUPS: tuple[type[BaseSettings], ...] = (
    OidcSettings,
    EhrSettings,
    TritonSettings,
    QdrantSettings,
    KnowledgeSettings,
    Allowed,
)
PATIENCE = 60.0  # seconds that NATS may need to come up beside us


def start(kind: type[S], build: Callable[[S], Service]) -> None:
    """Run the service until it is told to stop."""
    try:
        settings = kind()
        trust(settings.nats_url, settings.nats_ca_file)  # what is wrong with the file is said here
        refused = refusals(asyncio.run(facts(settings))) if settings.mode == "production" else []
        service = build(settings) if not refused else None
    except (ValidationError, SettingsError) as error:
        refused, service = [in_words(error)], None
    except Failure as failure:
        refused, service = [failure.reason], None
    except OSError as error:  # a file that a setting names
        refused, service = [f"{error.filename} cannot be read ({error.strerror})"], None
    if service is None:
        for sentence in refused:
            print(f"countersign does not start: {sentence}.", file=sys.stderr)
        sys.exit(2)
    serve(service, settings.host, settings.port)


async def facts(settings: ServiceSettings) -> Facts:
    """What `refusals` wants to know. Raises PermanentError when the tokens file cannot be read."""
    ehr = getattr(settings, "ehr", None)
    return Facts(
        host=settings.host,
        nats_url=settings.nats_url,
        allowed=settings.allowed,
        durability=None if settings.allowed.unsafe_durability else await _durability(settings.nats_monitor_url),
        issuer=settings.oidc.issuer,
        public_url=getattr(settings, "public_url", None),
        ehr_url=ehr.url if isinstance(ehr, EhrSettings) else None,
        grants=read_grants(settings.tokens_file).tokens if settings.tokens_file.exists() else (),
        files=tuple(_files(settings)),
    )


async def _durability(url: str) -> Durability | None:
    if not url:
        return None
    deadline = time.monotonic() + PATIENCE
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
    }
    return [
        SecretFile(setting, str(path), path.stat().st_mode)
        for setting, path in named.items()
        if path is not None and path.exists()
    ]


def in_words(error: ValidationError | SettingsError) -> str:
    """Which variables are wrong, and how. What they hold is not said: it may be a secret."""
    if isinstance(error, SettingsError):  # error parsing value for field "supervisors" from source "EnvSettingsSource"
        field = str(error).split('"')[1]
        return f"{_prefix(lambda kind: field in kind.model_fields)}{field.upper()} is not the JSON that it must be"
    prefix = _prefix(lambda kind: kind.__name__ == error.title)
    said = []
    for item in error.errors(include_input=False, include_url=False):
        words = item["msg"].removeprefix("Value error, ")
        name = "_".join(str(part) for part in item["loc"]).upper()
        said.append(f"{prefix}{name}: {words}" if name else words)
    return "; ".join(said)


def _prefix(wanted: Callable[[type[BaseSettings]], bool]) -> str:
    """Of the variables of the group that is `wanted`; the services' own where none is."""
    return next((kind.model_config["env_prefix"] for kind in GROUPS if wanted(kind)), "COUNTERSIGN_")
