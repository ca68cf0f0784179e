"""Scan a folder of documents: by size and modification time first, by digest only where those differ."""

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from services.ingest.connectors.scanned_document import Fingerprint, ScannedDocument
from services.ingest.documents import formats
from services.ingest.documents.blocks import UnreadableDocumentError
from services.ingest.documents.reader import DocumentReader
from shared.contracts.envelope import sha256_hex
from shared.contracts.errors import PermanentError

# A link must not give whoever can write to the folder access to other files, such as ingest's keys.
OUTSIDE_FOLDER = "it leads out of the folder"


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """A document, or a directory that cannot be read (`problem`)."""

    name: str
    size: int = 0
    mtime_ns: int = 0
    problem: str | None = None


class FolderConnector:
    """Scan a folder. Documents are named by their path below it.

    Hidden files and unknown formats are ignored. Links are followed within the folder.
    """

    def __init__(self, folder: Path, reader: DocumentReader) -> None:
        self._folder = folder
        self._reader = reader

    async def scan(self, known: Mapping[str, Fingerprint]) -> AsyncIterator[ScannedDocument]:
        if not self._folder.is_dir():
            raise PermanentError(f"the folder {self._folder} is not there")
        for item in await asyncio.to_thread(lambda: sorted(_files(self._folder), key=lambda found: found.name)):
            before = known.get(item.name)
            cheap = Fingerprint(digest=before.digest if before else "", size=item.size, mtime_ns=item.mtime_ns)
            if item.problem is not None:
                yield ScannedDocument(item.name, before or Fingerprint(), problem=item.problem)
                for name, print_ in known.items():  # documents below it may still exist
                    if name.startswith(f"{item.name}/"):
                        yield ScannedDocument(name, print_, problem=f"its folder {item.name}: {item.problem}")
            elif before == cheap:
                yield ScannedDocument(item.name, cheap)
            else:
                yield await self._read(item.name, cheap, before)

    async def _read(self, name: str, cheap: Fingerprint, before: Fingerprint | None) -> ScannedDocument:
        if (cheap.size or 0) > formats.MAX_DOCUMENT_BYTES:
            return ScannedDocument(name, cheap, problem=f"it is larger than {formats.MAX_DOCUMENT_BYTES // 2**20} MB")
        try:
            data = await asyncio.to_thread(read_bounded, self._folder / name, formats.MAX_DOCUMENT_BYTES, self._folder)
        except OSError as error:
            return ScannedDocument(name, cheap, problem=_describe_error(error))
        seen = cheap.model_copy(update={"digest": sha256_hex(data)})
        if before is not None and before.digest == seen.digest:
            return ScannedDocument(name, seen)
        try:
            return ScannedDocument(name, seen, text=await self._reader.read(name, data))
        except UnreadableDocumentError as error:
            return ScannedDocument(name, seen, problem=str(error))


def files_of(folder: Path) -> list[str]:
    """Return the names of the documents of a folder that can be opened.

    Raises PermanentError when the folder cannot be read.
    """
    return sorted(item.name for item in _files(folder) if item.problem is None)


def read_bounded(path: Path, largest: int, within: Path | None = None) -> bytes:
    """Return the content of a regular file, up to one byte more than `largest`: it may have grown.

    `within` is a folder that links must not lead out of. Raises OSError.
    """
    # Non-blocking: the file may have been replaced by a pipe without a writer.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:  # noqa: PTH123
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is not a file")
        # Checked on the open file, as the path may have changed.
        if within is not None and not _open_below(Path(f"/proc/self/fd/{file.fileno()}"), within):
            raise OSError(errno.EPERM, OUTSIDE_FOLDER)
        return file.read(largest + 1)


def _open_below(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def _describe_error(error: OSError) -> str:
    return f"it cannot be opened ({error.strerror})"


def _files(folder: Path) -> Iterator[FolderEntry]:
    """Yield every document; files that vanish during the scan are left out.

    A directory that links lead to several times is read once.
    """
    stack, seen = [(folder, "")], set[tuple[int, int]]()
    while stack:
        directory, prefix = stack.pop()
        try:
            status = directory.stat()
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            if not _open_below(directory, folder):
                yield FolderEntry(prefix.rstrip("/"), problem=f"it cannot be opened ({OUTSIDE_FOLDER})")
                continue
            with os.scandir(directory) as entries:
                listed = sorted(entries, key=lambda entry: entry.name)
        except FileNotFoundError:
            continue
        except OSError as error:
            if not prefix:
                raise PermanentError(f"the folder {folder} cannot be read ({error.strerror})") from None
            yield FolderEntry(prefix.rstrip("/"), problem=_describe_error(error))
            continue
        for entry in listed:
            if not entry.name.startswith("."):
                yield from _folder_entry(entry, prefix, stack)


def _folder_entry(entry: os.DirEntry[str], prefix: str, stack: list[tuple[Path, str]]) -> Iterator[FolderEntry]:
    name = f"{prefix}{entry.name}"
    try:
        if entry.is_dir():
            stack.append((Path(entry.path), f"{name}/"))
        elif formats.is_readable(entry.name):
            status = entry.stat()
            if stat.S_ISREG(status.st_mode):  # a pipe or a device is no document
                yield FolderEntry(name, status.st_size, status.st_mtime_ns)
    except FileNotFoundError:
        return
    except OSError as error:
        yield FolderEntry(name, problem=_describe_error(error))
