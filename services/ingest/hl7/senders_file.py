"""Read the file of senders."""

from pathlib import Path

import yaml
from pydantic import ValidationError

from services.ingest.hl7.sender import Senders
from shared.contracts.errors import PermanentError


def read_senders(path: Path) -> Senders:
    """Return the senders that the file declares.

    Raises PermanentError naming what is wrong in it.
    """
    try:
        return Senders.model_validate(yaml.safe_load(path.read_text()))
    except OSError as error:
        raise PermanentError(f"{path} cannot be read ({error.strerror})") from None
    except (yaml.YAMLError, UnicodeDecodeError):
        raise PermanentError(f"{path} is not valid YAML") from None
    except ValidationError as error:
        places = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'the file'}: {item['msg'].removeprefix('Value error, ')}"
            for item in error.errors(include_url=False, include_input=False)
        )
        raise PermanentError(f"{path}: {places}") from None
