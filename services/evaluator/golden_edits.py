"""Golden queries that people add, change and remove: numbered revisions in the bucket `golden`.

A revision is written once, under its number, so that of two at the same time one is decided again. The queries of the
files are stored beside them whenever they have changed, so that every version can be read again.
"""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from services.evaluator import golden
from services.evaluator.golden_set import FILES_CHANGED, Decision, FileQuery, GoldenRevision, GoldenSet, file_queries
from shared.contracts.errors import PermanentError, TransientError
from shared.knowledge import knowledge_file
from shared.knowledge.document_index import DocumentIndex
from shared.knowledge.knowledge_file import KnowledgeFile
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.runtime.problems import ProblemError

BUCKET = "golden"
PIECE = 500  # queries of files in one entry


class GoldenEdits:
    """Read the set of golden queries, number it, and edit it. `file` is the knowledge file."""

    def __init__(self, bus: NatsConnection, file: Path | None, clock: Callable[[], datetime]) -> None:
        self._bucket = Bucket(bus, BUCKET)
        self._index = DocumentIndex(bus)
        self._file = file
        self._clock = clock

    async def current(self) -> GoldenSet:
        """Return the set as it is now."""
        file, problems = KnowledgeFile(), []
        try:
            if self._file is not None:
                file = knowledge_file.read_knowledge_file(self._file)
        except PermanentError as error:
            problems.append(error.reason)
        read = []
        for path in golden.golden_files(file, await self._index.sources()):
            try:
                read.append((path.name, golden.read_golden_queries(path)))
            except PermanentError as error:
                problems.append(error.reason)
        return GoldenSet(file_queries(read), await self.revisions(), file.golden_managed_in, tuple(problems))

    async def revisions(self) -> tuple[GoldenRevision, ...]:
        """Return every revision, oldest first."""
        found = [GoldenRevision.read(entry.value) async for entry in self._bucket.scan("revision")]
        return tuple(sorted(found, key=lambda item: item.number))

    async def numbered(self) -> GoldenSet:
        """Return the set as it is now, numbered. Raises PermanentError where a file cannot be read."""
        while True:
            current = await self.current()
            if current.problems:
                raise PermanentError(current.problems[0])
            if current.version is not None:
                return current
            await self._append(current.revised(FILES_CHANGED, "", "", self._clock()))

    async def edit(self, decide: Decision, by: str, reason: str) -> GoldenSet:
        """Return the set after an edit. It is decided again where another one was faster. Raises ProblemError."""
        while True:
            current = await self.current()
            change = decide(current)
            if current.version is None:  # the files have changed: that is a revision of its own
                await self.numbered()
                continue
            if change is None:
                return current
            after = current.revised(change, by, reason, self._clock())
            if await self._append(after):
                return after

    async def at(self, version: int) -> GoldenSet:
        """Return a version of the set. Raises ProblemError 404 where there is none."""
        revisions = (await self.revisions())[:version]
        if not revisions or revisions[-1].number != version:
            raise ProblemError(404, "There is no such version of the golden queries")
        last = revisions[-1]
        return GoldenSet(await self._stored_files(last.files), revisions, last.managed_in)

    async def _append(self, after: GoldenSet) -> bool:
        """Store the last revision of a set; return False where its number was given to another one."""
        revision = after.revisions[-1]
        await self._store_files(revision.files, after.files)
        return await self._store(f"revision.{revision.number}", revision.model_dump_json(exclude_none=True).encode())

    async def _store_files(self, digest: str, files: Sequence[FileQuery]) -> None:
        for start in range(0, max(len(files), 1), PIECE):
            piece = [item.model_dump(mode="json") for item in files[start : start + PIECE]]
            await self._store(f"files.{digest}.{start}", json.dumps(piece).encode())

    async def _stored_files(self, digest: str) -> tuple[FileQuery, ...]:
        pieces = {entry.key: json.loads(entry.value) async for entry in self._bucket.scan(f"files.{digest}")}
        ordered = sorted(pieces, key=lambda key: int(key.rpartition(".")[2]))
        return tuple(FileQuery.model_validate(item, extra="ignore") for key in ordered for item in pieces[key])

    async def _store(self, key: str, value: bytes) -> bool:
        """Store an entry once; return False where there is one already."""
        if await self._bucket.get(key) is not None:
            return False
        try:
            await self._bucket.put(key, value, revision=0)
        except (TransientError, WrongSequenceError):
            if await self._bucket.get(key) is None:
                raise TransientError(f"the golden queries could not be stored ({BUCKET})") from None
            return False
        return True
