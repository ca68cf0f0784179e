"""The settings page: one row for each environment variable, from the settings classes."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin
from zoneinfo import ZoneInfo

from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined
from pydantic_settings import BaseSettings

from docs._generate.examples import EXAMPLES
from docs._generate.markdown import cell, code, page, table

SERVICES = ("ingest", "drafter", "approval", "embedder", "evaluator")
COMMANDS = "commands"
GROUPS = (
    ("COUNTERSIGN_ALLOW_", "Overrides of the production checks"),
    ("COUNTERSIGN_NATS_", "NATS"),
    ("COUNTERSIGN_EHR_", "EHR"),
    ("COUNTERSIGN_FHIR_", "FHIR notifications and the poll"),
    ("COUNTERSIGN_HL7_", "HL7v2 over MLLP"),
    ("COUNTERSIGN_MDM_", "Documents by HL7v2 (MDM)"),
    ("COUNTERSIGN_CENSUS_", "Nightly census"),
    ("COUNTERSIGN_APPOINTMENT_", "Planned discharges by Appointment"),
    ("COUNTERSIGN_OIDC_", "Sign-on (OpenID Connect)"),
    ("COUNTERSIGN_LAUNCH_", "SMART App Launch"),
    ("COUNTERSIGN_TRITON_", "Model server"),
    ("COUNTERSIGN_GENERATION_", "Drafting"),
    ("COUNTERSIGN_QDRANT_", "Vector store"),
    ("COUNTERSIGN_KNOWLEDGE_", "Knowledge base"),
    ("COUNTERSIGN_RETAIN_", "Retention"),
    ("COUNTERSIGN_CHECKPOINT_", "Checkpoints of the audit trail"),
    ("COUNTERSIGN_PROMETHEUS_", "Alerts"),
    ("", "General"),
)


@dataclass
class Setting:
    """One environment variable and everything that reads it."""

    name: str
    type: str
    default: str
    description: str
    aliases: tuple[str, ...] = ()
    readers: set[str] = field(default_factory=set)

    @property
    def example(self) -> str:
        """Raises KeyError naming the variable when no example is recorded for it."""
        for name in (self.name, *self.aliases):
            if name in EXAMPLES:
                return EXAMPLES[name]
        raise KeyError(f"{self.name} has no example: add one to docs/_generate/examples.py")


def render() -> str:
    """Return the page. Raises KeyError for a variable without a description or an example."""
    settings = collect()
    parts = [
        "Every service reads its settings from the environment when it starts; a changed variable needs a restart. "
        "Variables that end in `_FILE` name a file that holds the value, for secrets that are mounted. Durations are "
        "seconds or ISO 8601 (`PT15M`, `P90D`). *commands* are the `countersign` command. Telemetry uses "
        "OpenTelemetry's own variables: see [Telemetry](../../how-to/telemetry.md).\n"
    ]
    for prefix, title in GROUPS:
        own = [name for name in settings if name.startswith(prefix or "COUNTERSIGN_")]
        rows = [_row(settings.pop(name)) for name in sorted(own)]
        if rows:
            heads = ("Variable", "Meaning", "Type", "Default", "Read by", "Example")
            parts.append(f"## {title}\n\n{table(heads, rows)}")
    if settings:
        raise KeyError(f"no group for {sorted(settings)}")
    return page("Settings", "operators who configure a service", "the settings classes", *parts)


def collect() -> dict[str, Setting]:
    """Return every `COUNTERSIGN_…` variable of the services and the command."""
    found: dict[str, Setting] = {}
    for service in SERVICES:
        module = importlib.import_module(f"services.{service}.settings")
        for kind in _classes(module):
            if kind.__module__ == module.__name__ and kind.__name__.lower().startswith(service):
                _add(kind, service, found)
    for kind in _command_classes():
        _add(kind, COMMANDS, found)
    return found


def _classes(module: Any) -> list[type[BaseSettings]]:
    return [item for item in vars(module).values() if isinstance(item, type) and issubclass(item, BaseSettings)]


def _command_classes() -> Iterator[type[BaseSettings]]:
    import cli

    for info in pkgutil.walk_packages(cli.__path__, "cli."):
        if info.name.endswith("__main__"):
            continue
        module = importlib.import_module(info.name)
        yield from (kind for kind in _classes(module) if kind.__module__ == module.__name__)


def _add(kind: type[BaseSettings], reader: str, found: dict[str, Setting]) -> None:
    for name, info in kind.model_fields.items():
        nested = _settings_class(info.annotation)
        if nested is not None:
            _add(nested, reader, found)
            continue
        names = _names(kind, name, info)
        if not names[0].startswith("COUNTERSIGN_"):
            continue
        known = found.setdefault(names[0], Setting(names[0], _type(info), _default(info), "", names[1:]))
        known.description = known.description or (info.description or "")
        known.readers.add(reader)


def _settings_class(annotation: Any) -> type[BaseSettings] | None:
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseSettings) else None


def _names(kind: type[BaseSettings], name: str, info: FieldInfo) -> tuple[str, ...]:
    alias = info.validation_alias
    if isinstance(alias, AliasChoices):
        return tuple(str(choice) for choice in alias.choices)
    if isinstance(alias, str):
        return (alias,)
    return (f"{kind.model_config.get('env_prefix', '')}{name}".upper(),)


def _type(info: FieldInfo) -> str:
    return _type_of(info.annotation)


NAMES: dict[Any, str] = {
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "text",
    Path: "path",
    timedelta: "duration",
    SecretStr: "secret",
    ZoneInfo: "time zone",
}


def _type_of(annotation: Any) -> str:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_of(args[0])
    if origin in (Union, UnionType):
        return " or ".join(dict.fromkeys(_type_of(item) for item in args if item is not NoneType))
    if origin is Literal:
        return " or ".join(f"`{item}`" for item in args)
    if origin in (dict, Mapping) or annotation is dict:
        return "JSON object"
    if origin in (tuple, list):
        return f"{_type_of(args[0])}, comma-separated" if args else "list"
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return " or ".join(f"`{item.value}`" for item in annotation)
    return NAMES.get(annotation, "text")


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "required"
    value = info.default
    if value is PydanticUndefined or value is None:
        return ""
    return code(_as_text(value))


def _as_text(value: Any) -> str:
    match value:
        case SecretStr() | {} | ():
            return ""
        case bool():
            return str(value).lower()
        case timedelta():
            return _duration(value)
        case tuple() | list():
            # A list of durations is written with units, as its variable is parsed: 24h,72h,168h.
            items = (f"{item / timedelta(hours=1):g}h" if isinstance(item, timedelta) else str(item) for item in value)
            return ",".join(items)
        case _:
            return str(value)


def _duration(value: timedelta) -> str:
    seconds = value.total_seconds()
    for unit, size in (("D", 86_400), ("H", 3_600), ("M", 60)):
        if seconds >= size and seconds % size == 0:
            return f"P{int(seconds // size)}D" if unit == "D" else f"PT{int(seconds // size)}{unit}"
    return f"PT{seconds:g}S"


def _row(setting: Setting) -> tuple[str, ...]:
    if not setting.description:
        raise KeyError(f"{setting.name} has no description: give its field one")
    former = f" Formerly {', '.join(map(code, setting.aliases))}." if setting.aliases else ""
    readers = "all services" if set(SERVICES) <= setting.readers else ", ".join(sorted(setting.readers))
    if "all services" in readers and COMMANDS in setting.readers:
        readers += ", commands"
    text = cell(setting.description)
    text = text[0].upper() + text[1:] + ("" if text.endswith(".") else ".") + former
    return (code(setting.name), text, setting.type, setting.default, readers, code(setting.example))
