"""Commands and queries of people about refreshes: start one, show its state, upload a document."""

import asyncio
import re
from collections.abc import Callable
from datetime import datetime
from pathlib import Path, PurePosixPath
from typing import Any

from services.ingest.documents import formats
from services.ingest.documents.blocks import UnreadableDocumentError
from services.ingest.documents.reader import DocumentReader
from services.ingest.refresh.handlers import Refreshing
from shared.contracts.errors import PermanentError
from shared.contracts.refresh import BatchIndexed, Evaluated, RefreshRef, Requested
from shared.contracts.refresh_state import Refresh, fold_refresh
from shared.knowledge.live import LiveBucket
from shared.messaging.connection import NatsConnection
from shared.messaging.refreshes import RefreshLog
from shared.runtime.problems import ProblemError

FILE_NAME = re.compile(r"^[\w][\w .()+-]{0,150}$")
MAX_FILE_NAME_BYTES = 240  # file systems allow 255, and a temporary file has six more
END_EVENTS = ("promoted", "held-back", "skipped", "failed")


class RefreshService:
    """Answer the refresh API."""

    def __init__(
        self,
        bus: NatsConnection,
        refreshing: Refreshing,
        uploads: Path | None,
        reader: DocumentReader,
        clock: Callable[[], datetime],
    ) -> None:
        self._refreshing = refreshing
        self._uploads = uploads
        self._reader = reader
        self._clock = clock
        self._log = RefreshLog(bus, "ingest", self._clock)
        self._live = LiveBucket(bus)

    async def request(self, source: str | None, by: str, *, full: bool, judge: bool) -> RefreshRef:
        """Request a refresh of one source or of all.

        Raises ProblemError.
        """
        try:
            file = self._refreshing.read_knowledge_file()
        except PermanentError as error:
            raise ProblemError(422, "The declaration of the knowledge base is invalid", error.reason) from None
        if source is not None and file.source(source) is None:
            known = ", ".join(item.name for item in file.sources) or "none"
            raise ProblemError(404, "There is no such source", f"Declared are: {known}.")
        if judge and (await self._live.queue())[0].head == 0:
            raise ProblemError(409, "There is nothing to evaluate", "No version has been made yet.")
        sources = (source,) if source is not None else ()
        return await self._refreshing.request(Requested(sources=sources, by=by, full=full, judge=judge))

    async def show(self, id: str) -> dict[str, Any]:
        """Return the state of a refresh.

        Raises ProblemError.
        """
        history = await self._log.history(id) if re.fullmatch(r"[A-Za-z0-9-]{1,64}", id) else []
        if not history:
            raise ProblemError(404, "There is no such refresh", "It was never asked for, or it is older than 90 days.")
        refresh = fold_refresh(history)
        done = 0
        if refresh.ref is not None and refresh.planned is not None and refresh.planned.batches:
            last = await self._log.last_batch(refresh.ref, "batch-indexed")
            done = last.body.done if last is not None and isinstance(last.body, BatchIndexed) else 0
        live, _ = await self._live.live()
        return to_view(id, refresh, done) | {"live_version": live.version if live else None}

    async def upload(self, name: str, data: bytes, by: str) -> tuple[RefreshRef, str]:
        """Store one document and request a refresh of its source.

        Raises ProblemError.
        """
        name = PurePosixPath(name.replace("\\", "/")).name
        if not FILE_NAME.match(name) or not formats.is_readable(name):
            raise ProblemError(
                422, "The document's name is not allowed", "It must end in .html, .pdf, .docx, .md or .txt."
            )
        if len(name.encode()) > MAX_FILE_NAME_BYTES:
            raise ProblemError(422, "The document's name is too long", f"At most {MAX_FILE_NAME_BYTES} bytes as UTF-8.")
        source = self._upload_source()
        try:
            await self._reader.read(name, data)
        except UnreadableDocumentError as error:
            raise ProblemError(422, "The document cannot be read", f"{error}."[0].upper() + f"{error}."[1:]) from None
        folder = self._uploads
        assert folder is not None  # noqa: S101 - _upload_source has looked
        try:
            await asyncio.to_thread(_store_file, folder, name, data)
        except OSError as error:
            raise ProblemError(
                503, "The document cannot be stored", f"The folder of uploads: {error.strerror}."
            ) from None
        return await self._refreshing.request(Requested(sources=(source,), by=by)), name

    def _upload_source(self) -> str:
        try:
            file = self._refreshing.read_knowledge_file()
        except PermanentError as error:
            raise ProblemError(422, "The declaration of the knowledge base is invalid", error.reason) from None
        for source in file.sources:
            folder = getattr(source, "folder", None)
            if self._uploads is not None and folder is not None and folder.resolve() == self._uploads.resolve():
                return source.name
        raise ProblemError(409, "Uploads are not enabled", "No source is declared for the folder of uploads.")


def _store_file(folder: Path, name: str, data: bytes) -> None:
    """Write the file atomically: a refresh may be scanning the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{name}.part"
    try:
        part.write_bytes(data)
        part.replace(folder / name)
    finally:
        part.unlink(missing_ok=True)


def to_view(id: str, refresh: Refresh, done: int) -> dict[str, Any]:
    """Return a refresh as the API and the command show it."""
    planned, evaluated = refresh.planned, refresh.evaluated
    skipped = refresh.skipped
    documents = planned.documents if planned else (skipped.documents if skipped else None)
    unreadable = planned.unreadable if planned else (skipped.unreadable if skipped else ())
    return {
        "refresh": id,
        "sources": list(refresh.started.sources) if refresh.started else [],
        "state": _state(refresh),
        "ended": refresh.outcome is not None,
        "reason": refresh.reason,
        "attempt": refresh.attempt,
        "again_at": refresh.failure.again_at.isoformat() if refresh.failure and refresh.failure.again_at else None,
        "documents": documents.model_dump() if documents else None,
        "unreadable": [item.model_dump() for item in unreadable],
        "chunks": (
            {"embedded": planned.chunks_new, "kept": planned.chunks_kept, "removed": planned.chunks_removed}
            if planned
            else ({"embedded": 0, "kept": 0, "removed": 0} if skipped else None)
        ),
        "batches": planned.batches if planned else 0,
        "batches_done": done,
        "version": refresh.started.target if refresh.started and skipped is None else None,
        "passages": refresh.indexed.points if refresh.indexed else None,
        "repaired": refresh.indexed.repaired if refresh.indexed else 0,
        "metrics": evaluated.metrics.model_dump() if evaluated and evaluated.metrics else None,
        "live_metrics": evaluated.live.model_dump() if evaluated and evaluated.live else None,
        "worst": _worst_queries(evaluated),
        "seconds": _seconds(refresh),
    }


def _state(refresh: Refresh) -> str:
    if refresh.outcome is not None:
        return refresh.outcome
    if refresh.started is None:
        return "waiting"
    return {"prepare": "preparing", "embed": "embedding", "settle": "settling", "judge": "judging", None: "waiting"}[
        refresh.awaits
    ]


def _worst_queries(evaluated: Evaluated | None) -> list[dict[str, Any]]:
    """Return the golden queries with the worst results, and what was found instead."""
    if evaluated is None:
        return []
    flawed = [item for item in evaluated.queries if item.reciprocal_rank < 1]
    return [item.model_dump(mode="json") for item in sorted(flawed, key=lambda item: item.reciprocal_rank)[:10]]


def _seconds(refresh: Refresh) -> float | None:
    times = refresh.times
    end = max((times[name] for name in END_EVENTS if name in times), default=None)
    return round((end - times["requested"]).total_seconds(), 2) if end and "requested" in times else None
