"""Files of a backup: readable for the owner only, synced to disk, each with its digest."""

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
    """The folder of a backup in progress. `parts` lists the files that are complete."""

    def __init__(self, path: Path, key: BackupKey | None) -> None:
        self.path = path
        self._key = key
        self.parts: list[FilePart] = []

    @contextmanager
    def file(self, name: str) -> Iterator[Sink]:
        """Open a new file; it is part of the backup once the block ends without an error."""
        path = self.path / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            if self._key is None:
                yield file
            else:
                writer = self._key.writer(file, name)
                yield writer
                writer.close()
            file.flush()
            os.fsync(file.fileno())
        self.parts.append(_measured(path, name))


def _measured(path: Path, name: str) -> FilePart:
    with path.open("rb") as file:
        return FilePart(name=name, bytes=path.stat().st_size, sha256=hashlib.file_digest(file, "sha256").hexdigest())


def start_backup(path: Path) -> None:
    """Prepare `path` for a new backup, and delete what an unfinished one left there.

    Raises CommandError when it holds anything else.
    """
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.chmod(0o700)
        left = list(path.iterdir())
        if (path / MANIFEST).exists():
            raise CommandError(f"{path} holds a backup already: choose another folder with --to.")
        if left and not (path / UNFINISHED).exists():
            raise CommandError(f"{path} is not empty: choose another folder with --to.")
        (path / UNFINISHED).touch(mode=0o600)
        for item in left:
            if item.is_dir():
                for file in item.iterdir():
                    file.unlink()
    except OSError as error:
        raise CommandError(f"The folder {path} cannot be used: {error.strerror}.") from None


def finish_backup(path: Path) -> None:
    """Mark the backup as complete, once its manifest is written."""
    (path / UNFINISHED).unlink(missing_ok=True)


def verify_files(path: Path, manifest: Manifest, report_progress: "ProgressCallback") -> None:
    """Verify that every file exists and is unchanged. Raises CommandError."""
    for number, part in enumerate(manifest.files):
        report_progress("checking the backup", number, len(manifest.files))
        try:
            found = _measured(path / part.name, part.name)
        except OSError:
            raise CommandError(f"The backup is incomplete: {part.name} is missing or cannot be read.") from None
        if found != part:
            raise CommandError(f"The backup is damaged: {part.name} is not as it was written.")


class ProgressCallback(Protocol):
    """Called with the current task, how much of it is done, and the total (None: unknown)."""

    def __call__(self, what: str, done: int, total: int | None, /) -> None: ...


def read_blocks(path: Path, name: str, key: BackupKey | None) -> Iterator[bytes]:
    """Yield the plain content of the file `name`, in blocks."""
    with (path / name).open("rb") as file:
        yield from key.read(file, name) if key is not None else _blocks(file)


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    while block := file.read(BLOCK):
        yield block


def split_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Split blocks into lines, without line ends."""
    rest = b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        yield from whole
    if rest:
        yield rest
