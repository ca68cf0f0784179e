"""Read the file of senders."""

from pathlib import Path

from services.ingest.hl7.sender import Senders
from shared.declarations import read_yaml, validate


def read_senders(path: Path) -> Senders:
    """Return the senders that the file declares.

    Raises PermanentError naming what is wrong in it.
    """
    return validate(Senders, read_yaml(path), path)
