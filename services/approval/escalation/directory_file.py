"""The directory file: whom a department's escalations reach, when and by which channels. Read at start.

    departments:
      cardiology:
        supervisor: Practitioner/dr-7
        deputies: [Practitioner/dr-8]
        escalate_after: 12h,24h,3d
        channels:
          - mailto://mail.example.org?from=countersign@example.org&to=cardiology-lead@example.org
          - {url_env: CARDIOLOGY_PAGER, levels: [2, 3]}
          - {url_file: /run/secrets/teams-url, name: teams}
      "*":
        supervisor: Practitioner/dr-1

What a department leaves out is taken from `*`.
"""

import os
import re
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    TypeAdapter,
    ValidationError,
    model_validator,
)

from services.approval.notifications.channels import is_supported, kind_of
from services.approval.settings import parse_durations
from shared import declarations
from shared.contracts.ehr import PractitionerReference
from shared.contracts.envelope import sha256_hex
from shared.contracts.errors import PermanentError
from shared.contracts.model import Model
from shared.contracts.subjects import DEPARTMENT

EVERYBODY = "*"
KEY_LENGTH = 16

Level = Literal[1, 2, 3]


def _only_text(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("give three durations such as 24h,72h,7d")
    return parse_durations(value)


def _each_once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    if len(set(values)) != len(values):
        raise ValueError("names something twice")
    return values


def _reference(value: str) -> str:
    try:
        return _practitioner.validate_python(value)
    except ValidationError:
        raise ValueError("is not a FHIR reference such as Practitioner/dr-1") from None


def _token(value: str) -> str:
    if value != EVERYBODY and not re.fullmatch(DEPARTMENT, value):
        raise ValueError("is neither the token of a department, such as internal-medicine, nor *")
    return value


_practitioner: TypeAdapter[str] = TypeAdapter(PractitionerReference)
Times = Annotated[tuple[timedelta, ...], BeforeValidator(_only_text)]
Reference = Annotated[str, AfterValidator(_reference)]
Token = Annotated[str, AfterValidator(_token)]
Deputies = Annotated[tuple[Reference, ...], AfterValidator(_each_once)]


class NotificationChannel(Model):
    """Where messages go: an address, or the file or the environment variable that holds it."""

    url: SecretStr | None = None
    url_file: Path | None = None
    url_env: str | None = Field(default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    name: str | None = Field(default=None, pattern=r"^[a-z0-9][a-z0-9-]{0,39}$")
    levels: Annotated[tuple[Level, ...], Field(min_length=1)] = (1, 2, 3)

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        return {"url": value} if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if sum(place is not None for place in (self.url, self.url_file, self.url_env)) != 1:
            raise ValueError("give one of url, url_file and url_env")
        return self

    @property
    def key(self) -> str:
        """Return the id of the channel on NATS: a digest of its name, or of the variable or file with its address.

        It is a digest of the address itself if there is nothing else: then a new address is a new channel.
        """
        secret = self.url.get_secret_value() if self.url else ""
        return sha256_hex((self.name or self.url_env or str(self.url_file or "") or secret).encode())[:KEY_LENGTH]

    def address(self, environment: Mapping[str, str] = os.environ) -> str:
        """Return the address, read each time: a changed secret needs no restart.

        Raises PermanentError when the variable or file is missing.
        """
        if self.url is not None:
            return self.url.get_secret_value()
        if self.url_env is not None:
            if not environment.get(self.url_env):
                raise PermanentError(f"the environment variable {self.url_env} of a channel is not set")
            return environment[self.url_env].strip()
        try:
            return Path(str(self.url_file)).read_text().strip()
        except OSError as error:
            reason = error.strerror or type(error).__name__
            raise PermanentError(f"the file {self.url_file} of a channel cannot be read ({reason})") from None


def _distinct(channels: tuple[NotificationChannel, ...]) -> tuple[NotificationChannel, ...]:
    if len({channel.key for channel in channels}) != len(channels):
        raise ValueError("names a channel twice")
    return channels


class DepartmentPolicy(Model):
    """What is said about one department."""

    supervisor: Reference | None = None
    deputies: Deputies | None = None
    channels: Annotated[tuple[NotificationChannel, ...], AfterValidator(_distinct)] | None = None
    escalate_after: Times | None = None


class DirectoryFile(Model):
    """The whole file."""

    departments: dict[Token, DepartmentPolicy] = Field(default={})

    def entry(self, department: str) -> DepartmentPolicy:
        """Return the settings of the department."""
        own = self.departments.get(department, DepartmentPolicy())
        general = self.departments.get(EVERYBODY, DepartmentPolicy())
        return general.model_copy(
            update={name: value for name in DepartmentPolicy.model_fields if (value := getattr(own, name)) is not None}
        )


def read(path: Path) -> DirectoryFile:
    """Read the file at `path`, make its paths absolute, and check each of its channels.

    Raises PermanentError that lists everything that is wrong with it, and quotes no address.
    """
    found = declarations.validate(DirectoryFile, declarations.read_yaml(path), path, _without_address)
    file = _absolute(found, path.resolve().parent)
    if wrong := _unusable(file):
        raise PermanentError(f"{path}: " + "; ".join(wrong))
    return file


def _without_address(part: str) -> str:
    """Keep an address, which may stand where a name belongs and hold a password, out of locations."""
    return "(an address)" if "://" in part else part


def _absolute(file: DirectoryFile, base: Path) -> DirectoryFile:
    def moved(entry: DepartmentPolicy) -> DepartmentPolicy:
        if entry.channels is None:
            return entry
        channels = tuple(
            channel.model_copy(update={"url_file": base / channel.url_file}) if channel.url_file else channel
            for channel in entry.channels
        )
        return entry.model_copy(update={"channels": channels})

    return DirectoryFile.model_construct(departments={name: moved(entry) for name, entry in file.departments.items()})


def _unusable(file: DirectoryFile) -> list[str]:
    """Return what is wrong with channels whose address is well-formed but not usable."""
    wrong: list[str] = []
    for name, entry in file.departments.items():
        for index, channel in enumerate(entry.channels or ()):
            place = f"departments.{name}.channels.{index}"
            try:
                url = channel.address()
            except PermanentError as error:
                wrong.append(f"{place}: {error.reason}")
                continue
            if not is_supported(url):
                wrong.append(f"{place}: this {kind_of(url)} address is not understood")
    return wrong
