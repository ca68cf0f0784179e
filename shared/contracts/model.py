"""Base class of everything that is stored or sent, and how two versions that run side by side read it."""

from typing import Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.contracts.errors import PermanentError, TransientError


class Model(BaseModel):
    """A frozen model that rejects unknown fields when it is created."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Parse what another process has stored or sent. Unknown fields of a newer version are ignored.

        Raises ValidationError.
        """
        return cls.model_validate_json(data, extra="ignore")


ModelT = TypeVar("ModelT", bound=Model)


def read_strictly(kind: type[ModelT], data: bytes) -> ModelT:
    """Parse a record or a draft, rejecting unknown fields: a physician must not be shown less than was stored.

    Raises TransientError where a newer version has stored it, as a process of that version will read it. Raises
    PermanentError where it is invalid.
    """
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        if all(item["type"] in ("extra_forbidden", "literal_error") for item in error.errors(include_url=False)):
            raise TransientError(f"{kind.__name__}: stored by a newer version than this process") from None
        raise PermanentError(f"{kind.__name__}: the stored content is invalid") from None
