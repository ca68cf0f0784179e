"""A list of erasures outside NATS, one file each, which a restore of an older backup has to repeat.

Ids, codes and digests; no text. The folder must not be part of a backup, as that of the checkpoints.
"""

import os
import secrets
from datetime import datetime
from pathlib import Path

from pydantic import ValidationError

from shared.contracts.case_values import Actor
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.model import Model
from shared.contracts.retention import ErasureGround, Reference, TextKind
from shared.contracts.subjects import CaseRef

SUFFIX = ".erased.json"


class ListedErasure(Model):
    """An order to erase, as the event has it."""

    id: str  # of the event
    time: datetime
    department: str
    case: str
    ground: ErasureGround
    kinds: tuple[TextKind, ...]
    reference: Reference | None = None
    by: Actor
    texts: tuple[str, ...]  # digests

    @property
    def ref(self) -> CaseRef:
        return CaseRef(self.department, self.case)


class ErasureList:
    """Files are added, whole or not at all, and never changed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, item: ListedErasure) -> None:
        """Add an erasure. Idempotent. Raises TransientError: nothing is erased before it is listed."""
        unfinished = self._path / f".{item.id}-{secrets.token_hex(8)}"
        try:
            self._path.mkdir(parents=True, exist_ok=True, mode=0o700)
            with unfinished.open("xb") as file:
                file.write(item.model_dump_json(exclude_none=True).encode())
                file.flush()
                os.fsync(file.fileno())
            os.replace(unfinished, self._path / f"{item.id}{SUFFIX}")  # noqa: PTH105 - beside its fsync
        except OSError as error:
            raise TransientError(f"the list of erasures cannot be written ({type(error).__name__})") from None

    def read(self) -> list[ListedErasure]:
        """Return all erasures, oldest first. Raises PermanentError if one cannot be read: none may be left out."""
        found = []
        try:
            for file in self._path.glob(f"*{SUFFIX}"):
                found.append(ListedErasure.model_validate_json(file.read_bytes()))
        except (OSError, ValidationError) as error:
            raise PermanentError(f"the list of erasures cannot be read ({type(error).__name__})") from None
        return sorted(found, key=lambda item: (item.time, item.id))
