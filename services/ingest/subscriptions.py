"""The file of Subscriptions: who notifies, how it proves itself, and what its Subscription can do.

subscriptions:
  - name: ehr
    secret_files: [/run/secrets/ehr-hmac, /run/secrets/ehr-hmac-old]
    subscription: "1234"
    heartbeat: 600
departments: {cardiology: cardiology}
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from shared.contracts.ehr import Department, FhirId
from shared.contracts.errors import PermanentError
from shared.contracts.visits import SenderName
from shared.declarations import read_yaml, validate

MIN_SECRET_BYTES = 16
MAX_SECRET_FILES = 2  # the one in use, and the one before or after it


class Subscription(BaseModel):
    """A Subscription of the EHR. A bearer token belongs to it where `name` is the token's subject."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: SenderName
    secret_files: tuple[Path, ...] = Field(
        default=(), max_length=MAX_SECRET_FILES, description="files with the secrets that sign bodies; none: bearer"
    )
    subscription: FhirId | None = Field(
        default=None, description="id of the Subscription; with it missed events are asked for, and it is reactivated"
    )
    heartbeat: int | None = Field(
        default=None, ge=10, description="seconds after which the server sends something in any case"
    )
    numbered: bool = Field(default=True, description="false: event numbers restart, so that gaps tell nothing")


class Subscriptions(BaseModel):
    """The file of Subscriptions."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    subscriptions: tuple[Subscription, ...] = ()
    departments: dict[str, Department] = Field(
        default={}, description="code of serviceType, id of serviceProvider or of a location → department"
    )

    @model_validator(mode="after")
    def _each_name_once(self) -> Self:
        if len({item.name for item in self.subscriptions}) != len(self.subscriptions):
            raise ValueError("a name is there twice")
        return self

    def named(self, name: str) -> Subscription | None:
        """Return the Subscription of a sender."""
        return next((item for item in self.subscriptions if item.name == name), None)

    @property
    def signs(self) -> bool:
        """Return whether any sender proves itself by a signature."""
        return any(item.secret_files for item in self.subscriptions)

    def secrets(self) -> Iterator[tuple[str, bytes]]:
        """Yield name and secret, read now: a secret that was replaced is valid at once.

        Raises PermanentError for a file that cannot be read or holds no secret.
        """
        for item in self.subscriptions:
            for file in item.secret_files:
                yield item.name, _read_secret(file)


def read_subscriptions(path: Path | None) -> Subscriptions:
    """Return what the file declares; nothing without a file.

    Raises PermanentError naming what is wrong in it.
    """
    if path is None:
        return Subscriptions()
    found = validate(Subscriptions, read_yaml(path), path)
    list(found.secrets())  # reports a secret that cannot be used
    return found


def _read_secret(file: Path) -> bytes:
    try:
        secret = file.read_bytes().strip()
    except OSError as error:
        raise PermanentError(f"{file} cannot be read ({error.strerror})") from None
    if len(secret) < MIN_SECRET_BYTES:
        raise PermanentError(f"{file} holds no secret of at least {MIN_SECRET_BYTES} bytes")
    return secret
