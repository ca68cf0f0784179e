"""Settings of services, of which a test states only what matters to it."""

import os
from functools import lru_cache
from typing import Any, TypeVar

from pydantic_settings import BaseSettings

SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def make_settings(settings: type[SettingsT], **values: Any) -> SettingsT:
    """Return settings with `values`.

    Groups of settings that are not given are read from the environment once, as long as it stays the same: reading
    them takes 0.1 s for each service.
    """
    environment = tuple(item for item in sorted(os.environ.items()) if item[0].startswith("COUNTERSIGN_"))
    return settings(**_groups(settings, environment) | values)


@lru_cache(maxsize=64)
def _groups(settings: type[BaseSettings], _environment: tuple[tuple[str, str], ...]) -> dict[str, BaseSettings]:
    """Return the groups of settings that are read from the environment by default."""
    defaults = ((name, field.default_factory) for name, field in settings.model_fields.items())
    return {name: made() for name, made in defaults if isinstance(made, type) and issubclass(made, BaseSettings)}
