"""Read files that people write, in YAML or TOML, and describe what is wrong with them."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from shared.contracts.errors import PermanentError

ModelT = TypeVar("ModelT", bound=BaseModel)
_MESSAGES = {
    "extra_forbidden": "is not known here",
    "missing": "is missing",
    "model_type": "must be a mapping",
    "dict_type": "must be a mapping",
}


def read_yaml(path: Path) -> Any:
    """Return the content of a YAML file; an empty one is a mapping without keys.

    Raises PermanentError where it cannot be read or is not YAML. Its content is not quoted, as it may hold secrets.
    """
    try:
        return yaml.safe_load(path.read_text()) or {}
    except OSError as error:
        raise _unreadable(path, error) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark else ""
        raise PermanentError(f"{path} is not YAML{where}") from None


def read_toml(path: Path) -> dict[str, Any]:
    """Return the content of a TOML file.

    Raises PermanentError where it cannot be read or is not TOML.
    """
    try:
        return tomllib.loads(path.read_text())
    except OSError as error:
        raise _unreadable(path, error) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PermanentError(f"{path} is not TOML ({error})") from None


def validate(model: type[ModelT], data: Any, path: Path, show: Callable[[str], str] = str) -> ModelT:
    """Return `data` as a `model`. `show` returns what a part of a location is shown as; an empty text leaves it out.

    Raises PermanentError naming `path` and listing every problem with its location.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        raise PermanentError(f"{path}: " + "; ".join(_describe(item, show) for item in error.errors())) from None


def _unreadable(path: Path, error: OSError) -> PermanentError:
    return PermanentError(f"{path} cannot be read ({error.strerror or type(error).__name__})")


def _describe(error: Any, show: Callable[[str], str]) -> str:
    place = [show(str(part)) for part in error["loc"] if part != "[key]"]
    words = _MESSAGES.get(error["type"], error["msg"].removeprefix("Value error, "))
    return f"{'.'.join(filter(None, place)) or 'file'}: {words}"
