"""The manifest of a backup, `manifest.json`, which is written last. A folder without one is not a backup."""

from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from cli.errors import CommandError
from cli.stack.access import write_private
from shared.contracts.model import Model

MANIFEST = "manifest.json"
UNFINISHED = "unfinished"  # exists while a backup is in progress


class FilePart(Model):
    """One file; size and digest are those of its bytes on disk, encrypted or not."""

    name: str  # path below the folder
    bytes: int
    sha256: str


class StreamPart(Model):
    """Snapshot of a stream, with its configuration and state when the snapshot began."""

    file: str
    config: dict[str, Any]
    state: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.config["name"])


class Rewind(Model):
    """A consumer that moved during the backup: messages after `floor` are delivered to it again."""

    stream: str
    consumer: str
    floor: int


class VectorPart(Model):
    """A collection of the knowledge base."""

    file: str
    collection: str
    dimensions: int
    points: int


class ChainHeads(Model):
    """The chains of all cases; `file` lists case, sequence and digest of each last event."""

    file: str
    cases: int
    events: int
    broken: tuple[int, ...] = ()  # sequences of events with a wrong previous digest at the time of the backup


class Manifest(Model):
    """The whole backup. No patient data."""

    format: Literal[1] = 1
    id: str
    made_at: datetime
    countersign: str  # version of the software
    nats: str  # version of the server
    sealed: str | None = None  # key of the files, encrypted to the recipient; None: not encrypted
    streams: tuple[StreamPart, ...]
    rewinds: tuple[Rewind, ...]
    vectors: tuple[VectorPart, ...]
    declared: str | None = None  # archive of the folder that declares the knowledge base
    trail: ChainHeads
    files: tuple[FilePart, ...]


def write(folder: Path, manifest: Manifest) -> None:
    write_private(folder / MANIFEST, manifest.model_dump_json(indent=1, exclude_none=True))


def read(folder: Path) -> Manifest:
    """Read the manifest. Raises CommandError when `folder` holds no complete backup."""
    try:
        return Manifest.model_validate_json((folder / MANIFEST).read_bytes())
    except OSError:
        unfinished = " The backup that was started there was never finished." if (folder / UNFINISHED).exists() else ""
        raise CommandError(f"There is no backup in {folder}: it has no {MANIFEST}.{unfinished}") from None
    except ValidationError:
        raise CommandError(f"The backup is damaged: {folder / MANIFEST} cannot be read.") from None
