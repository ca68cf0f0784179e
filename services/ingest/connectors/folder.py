"""A folder of documents: size and time of change first, the content's digest only where those differ."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

from services.ingest.connectors.sighting import Fingerprint, Sighting
from services.ingest.documents import formats
from services.ingest.documents.blocks import UnreadableError
from shared.contracts.envelope import digest
from shared.contracts.failures import PermanentError


class FolderConnector:
    """Documents are named by their path below the folder. Hidden files and unknown formats are left alone."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def look(self, known: Mapping[str, Fingerprint]) -> AsyncIterator[Sighting]:
        if not self._folder.is_dir():
            raise PermanentError(f"the folder {self._folder} is not there")
        for name, stat in await asyncio.to_thread(lambda: sorted(_files(self._folder))):
            before = known.get(name)
            cheap = Fingerprint(digest=before.digest if before else "", size=stat[0], mtime_ns=stat[1])
            if before == cheap:
                yield Sighting(name, cheap)
            else:
                yield await asyncio.to_thread(self._read, name, cheap, before)

    def _read(self, name: str, cheap: Fingerprint, before: Fingerprint | None) -> Sighting:
        try:
            data = (self._folder / name).read_bytes()
        except OSError as error:
            return Sighting(name, cheap, problem=f"it cannot be opened ({error.strerror})")
        seen = cheap.model_copy(update={"digest": digest(data)})
        if before is not None and before.digest == seen.digest:
            return Sighting(name, seen)
        try:
            return Sighting(name, seen, text=formats.read(name, data))
        except UnreadableError as error:
            return Sighting(name, seen, problem=str(error))


def _files(folder: Path) -> Iterator[tuple[str, tuple[int, int]]]:
    """Name and (size, time of change) of every document; a file that vanishes while we look is not there."""
    stack = [(folder, "")]
    while stack:
        directory, prefix = stack.pop()
        with os.scandir(directory) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                try:
                    if entry.is_dir():
                        stack.append((Path(entry.path), f"{prefix}{entry.name}/"))
                    elif formats.is_readable(entry.name):
                        stat = entry.stat()
                        yield f"{prefix}{entry.name}", (stat.st_size, stat.st_mtime_ns)
                except FileNotFoundError:
                    continue
