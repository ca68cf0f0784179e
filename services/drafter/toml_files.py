"""Read declarations in TOML and describe what is wrong with them."""

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from shared.contracts.errors import PermanentError
from shared.contracts.model import Model

ModelT = TypeVar("ModelT", bound=Model)
_MESSAGES = {"extra_forbidden": "is not known here", "missing": "is missing"}


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises PermanentError where it cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise PermanentError(f"{path} cannot be read ({error.strerror or type(error).__name__})") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PermanentError(f"{path} is not TOML ({error})") from None


def validate(model: type[ModelT], data: dict[str, Any], path: Path) -> ModelT:
    """Return `data` as a `model`.

    Raises PermanentError naming `path` and listing every problem with its location.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise PermanentError(f"{path}: " + "; ".join(_describe_error(item) for item in error.errors())) from None


def _describe_error(error: Any) -> str:
    place = ".".join(str(part) for part in error["loc"] if part != "[key]") or "file"
    return f"{place}: {_MESSAGES.get(error['type'], error['msg'].removeprefix('Value error, '))}"
