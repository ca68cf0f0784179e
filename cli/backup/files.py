"""The files of a backup: readable by the owner only, synced, each with its digest."""

import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol

from cli.backup.encryption import BackupKey
from cli.backup.manifest import MANIFEST, UNFINISHED, FilePart, Manifest
from cli.errors import CommandError

BLOCK = 65_536


class Sink(Protocol):
    def write(self, data: bytes, /) -> object: ...


class BackupFolder:
    """A backup being made. What was written is in `parts`."""

    def __init__(self, path: Path, seal: BackupKey | None) -> None:
        self.path = path
        self._seal = seal
        self.parts: list[FilePart] = []

    @contextmanager
    def file(self, name: str) -> Iterator[Sink]:
        """A new file; it counts when the block is left without an error."""
        path = self.path / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            if self._seal is None:
                yield file
            else:
                sealing = self._seal.writer(file, name)
                yield sealing
                sealing.close()
            file.flush()
            os.fsync(file.fileno())
        self.parts.append(_measured(path, name))


def _measured(path: Path, name: str) -> FilePart:
    with path.open("rb") as file:
        return FilePart(name=name, bytes=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def start_backup(path: Path) -> None:
    """Make `path` ready for a new backup; what an unfinished one left there goes.

    Raises CommandError when something else is there.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.chmod(0o700)
        left = list(path.iterdir())
        if (path / MANIFEST).exists():
            raise CommandError(f"{path} holds a backup already: name another folder with --to.")
        if left and not (path / UNFINISHED).exists():
            raise CommandError(f"{path} is not empty: name another folder with --to.")
        (path / UNFINISHED).touch(mode=0o600)
        for item in left:
            if item.is_dir():
                for file in item.iterdir():
                    file.unlink()
    except OSError as error:
        raise CommandError(f"The folder {path} cannot be used: {error.strerror}.") from None


def finish_backup(path: Path) -> None:
    """The manifest stands: the backup is complete."""
    (path / UNFINISHED).unlink(missing_ok=True)


def verify_files(path: Path, manifest: Manifest, tell: "ProgressCallback") -> None:
    """Every file is there as it was written.

    Raises CommandError when one is not.
    """
    for number, part in enumerate(manifest.files):
        tell("checking the backup", number, len(manifest.files))
        try:
            found = _measured(path / part.name, part.name)
        except OSError:
            raise CommandError(f"The backup is incomplete: {part.name} is missing or cannot be read.") from None
        if found != part:
            raise CommandError(f"The backup is damaged: {part.name} is not as it was written.")


class ProgressCallback(Protocol):
    """Progress: what is being done, how much of it is done, and of how much (None: not known)."""

    def __call__(self, what: str, done: int, total: int | None, /) -> None: ...


def read_blocks(path: Path, name: str, seal: BackupKey | None) -> Iterator[bytes]:
    """What was written into the file `name`, in blocks."""
    with (path / name).open("rb") as file:
        yield from seal.read(file, name) if seal is not None else _blocks(file)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block


def split_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines of what comes in blocks, without their ends."""
    rest = b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
    if rest:
        yield rest
