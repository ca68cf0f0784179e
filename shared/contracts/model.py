"""The base of everything that is stored or sent, and how it is read while two versions run side by side."""

from typing import Self, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from shared.contracts.failures import PermanentError, TransientError


class Model(BaseModel):
    """Frozen, and closed where it is made: an unknown field is a mistake, not something to drop silently."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @classmethod
    def read(cls, data: bytes) -> Self:
        """What another process has stored or sent. One of a newer version may say more: that is passed over.

        Raises ValidationError.
        """
        return cls.model_validate_json(data, extra="ignore")


M = TypeVar("M", bound=Model)


def read_whole(kind: type[M], data: bytes) -> M:
    """A record or a draft, of which nothing may be passed over: what a physician is shown would silently be less.

    Raises TransientError where a newer version has stored it, which this process cannot tell whole: one of that version
    will. Raises PermanentError where it is not what it should be.
    """
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        if all(item["type"] in ("extra_forbidden", "literal_error") for item in error.errors(include_url=False)):
            raise TransientError(f"{kind.__name__}: stored by a newer version than this process is") from None
        raise PermanentError(f"{kind.__name__}: what is stored is not as it must be") from None
