"""Queries of people about the knowledge base: status, history, search."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from nats.js.errors import APIError

from services.evaluator.golden_edits import GoldenEdits
from services.evaluator.golden_view import GoldenView
from services.evaluator.live_version import LiveVersion
from services.evaluator.overview import Refreshes
from services.evaluator.version_content import KnowledgeContent
from shared.contracts.errors import PermanentError
from shared.contracts.knowledge import RetrievalMetrics, SearchMode
from shared.knowledge import knowledge_file
from shared.knowledge.backup_point import BackupPoint
from shared.knowledge.knowledge_file import KnowledgeFile
from shared.knowledge.live import LiveBucket, LivePointer, VersionRecord, oldest_retained
from shared.knowledge.retriever import NoSuchVersionError, Retriever, VersionRef
from shared.knowledge.vector_store import SearchHit, VectorStore
from shared.knowledge.version_documents import ListedDocument, VersionDocuments
from shared.messaging.connection import NatsConnection
from shared.messaging.refreshes import RefreshLog
from shared.messaging.topology import EMBED
from shared.runtime.problems import ProblemError
from shared.telemetry import instruments
from shared.telemetry.metric_definitions import ROLE, VERSION


class KnowledgeService:
    """Answer the knowledge base API."""

    def __init__(
        self,
        bus: NatsConnection,
        file: Path | None,
        retriever: Retriever,
        base: VectorStore,
        clock: Callable[[], datetime],
    ) -> None:
        self._file = file
        self._retriever = retriever
        self._base = base
        self._clock = clock
        self._bus = bus
        self._live = LiveBucket(bus)
        log = RefreshLog(bus, "evaluator", clock)
        self._documents = VersionDocuments(bus)
        self.live_version = LiveVersion(self._live, base, clock, self._check_retained)
        self.content = KnowledgeContent(bus, base)
        self.golden = GoldenView(bus, GoldenEdits(bus, file, clock), self.content, log)
        self.refreshes = Refreshes(log)

    async def status(self) -> dict[str, Any]:
        """Return the live and newest versions, refreshes in progress, and whether batches are paused."""
        live, _ = await self._live.live()
        queue, _ = await self._live.queue()
        newest = await self._live.version(queue.head)
        return {
            "live": live.model_dump(mode="json") if live else None,
            "passages": await self._base.count(live.collection, live.version) if live else 0,
            "newest": newest.model_dump(mode="json", exclude_none=True) if newest else None,
            "refreshing": queue.active.refresh if queue.active else None,
            "waiting": [turn.refresh for turn in queue.waiting],
            "paused_until": await self._paused_until(),
            "file": str(self._file) if self._file else None,
            "problem": self._problem(),
        }

    async def collect_gauges(self) -> None:
        """Set the gauges of retrieval quality for the live version and the one evaluated last."""
        live, _ = await self._live.live()
        queue, _ = await self._live.queue()
        records = {"newest": await self._live.version(queue.head)}
        if live is not None:
            instruments.set_gauge("countersign.knowledge.live.version", live.version)
            records["live"] = await self._live.version(live.version)
        judged: list[tuple[str, int, RetrievalMetrics]] = [
            (role, item.version, item.metrics) for role, item in records.items() if item and item.metrics
        ]
        for name, figure in (("mrr", "mrr_at_10"), ("recall", "recall_at_10")):
            instruments.replace_gauge(
                f"countersign.knowledge.{name}",
                [({VERSION: version, ROLE: role}, getattr(found, figure)) for role, version, found in judged],
            )

    def _problem(self) -> str | None:
        try:
            self.read_knowledge_file()
        except PermanentError as error:
            return error.reason
        return None

    def read_knowledge_file(self) -> KnowledgeFile:
        """Return the current declaration of the knowledge base.

        Raises PermanentError saying what is wrong with the file.
        """
        return knowledge_file.read_knowledge_file(self._file) if self._file is not None else KnowledgeFile()

    async def _paused_until(self) -> str | None:
        """Return when the peak hours end; None while batches run."""
        try:
            info = await self._bus.jetstream.consumer_info("KNOWLEDGE", EMBED)
        except APIError:
            return None
        remaining = getattr(info, "pause_remaining", None)
        if not getattr(info, "paused", False) or remaining is None:
            return None
        seconds = remaining.total_seconds() if hasattr(remaining, "total_seconds") else float(remaining)
        return datetime.fromtimestamp(self._clock().timestamp() + seconds, UTC).isoformat(timespec="seconds")

    async def live(self) -> tuple[LivePointer | None, VersionRecord | None]:
        """Return what is live, and how it was evaluated."""
        live, _ = await self._live.live()
        return live, await self._live.version(live.version) if live is not None else None

    async def history(self) -> list[VersionRecord]:
        """Return every version that was evaluated, newest first."""
        return list(reversed(await self._live.versions()))

    async def version(self, number: int) -> tuple[VersionRecord, list[ListedDocument] | None]:
        """Return a version and its documents, also when its passages are purged; None: they were not listed yet.

        Raises ProblemError.
        """
        record = await self._live.version(number)
        if record is None:
            raise ProblemError(404, "There is no such version", f"No version {number} was evaluated.")
        return record, await self._documents.of(number)

    async def search(
        self, text: str, version: int | None, limit: int, mode: SearchMode | None
    ) -> tuple[VersionRef, list[SearchHit]]:
        """Search the live version, or another one.

        Raises ProblemError.
        """
        try:
            at = await self._retriever.resolve(version)
        except NoSuchVersionError as error:
            raise ProblemError(404, "No version to search", f"{error.reason[0].upper()}{error.reason[1:]}.") from None
        if version is not None:
            await self._check_retained(version)
        at = at if mode is None else replace(at, search=mode)
        return at, await self._retriever.search(text, at, limit=limit)

    async def oldest_retained_version(self) -> int:
        """Return the oldest version that can be searched and gone back to."""
        live, _ = await self._live.live()
        queue, _ = await self._live.queue()
        try:
            keep = self.read_knowledge_file().promotion.keep_versions
        except PermanentError:  # a broken file must not prevent a rollback
            keep = KnowledgeFile().promotion.keep_versions
        return oldest_retained(queue.head, live.version if live else None, keep)

    async def _check_retained(self, version: int) -> None:
        oldest = await self.oldest_retained_version()
        if version < oldest:
            raise ProblemError(410, "That version is no longer available", f"The oldest that is kept is {oldest}.")

    async def collections(self) -> list[str]:
        return await self._base.collections()

    async def points(self, collection: str, after: str | None, limit: int) -> tuple[list[BackupPoint], str | None]:
        """Return a page of a collection, and the cursor of the next.

        Raises ProblemError.
        """
        if collection not in await self._base.collections():
            raise ProblemError(404, "There is no such collection")
        found, following = await self._base.page(collection, after, limit)
        return [BackupPoint.of(kept) for kept in found], following
