"""Settings of services, of which a test states only what matters to it."""

from functools import cache
from typing import Any, TypeVar

from pydantic_settings import BaseSettings

SettingsT = TypeVar("SettingsT", bound=BaseSettings)


def make_settings(settings: type[SettingsT], **values: Any) -> SettingsT:
    """Return settings with `values`. Groups of settings that are not given are read once: 0.1 s for each service."""
    return settings(**_groups(settings) | values)


@cache
def _groups(settings: type[BaseSettings]) -> dict[str, BaseSettings]:
    """Return the groups of settings that are read from the environment by default."""
    defaults = {name: field.default_factory for name, field in settings.model_fields.items()}
    return {
        name: factory()
        for name, factory in defaults.items()
        if isinstance(factory, type) and issubclass(factory, BaseSettings)
    }
