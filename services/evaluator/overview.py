"""The state of the sources and of refreshes, as the first page of the knowledge base shows it."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from shared.contracts.knowledge import ALL_SOURCES, SOURCE_PATTERN, DocumentEntry
from shared.contracts.refresh import AttemptFailed, BatchIndexed, RefreshRef, Requested
from shared.contracts.refresh_state import Refresh, RefreshOutcome, fold_refresh
from shared.contracts.subjects import derived_id
from shared.knowledge.knowledge_file import KnowledgeFile, Source
from shared.messaging.refreshes import RefreshLog
from shared.runtime.problems import ProblemError

STEP_LABELS = {
    "prepare": "scanning the sources",
    "embed": "embedding passages",
    "settle": "completing the version",
    "judge": "evaluating the golden queries",
}


@dataclass(frozen=True, slots=True)
class SourceState:
    """A source with its documents. `declared` is False for one that only earlier versions of the file name."""

    name: str
    kind: str
    place: str
    schedule: str
    documents: int
    unreadable: int
    declared: bool = True


@dataclass(frozen=True, slots=True)
class RefreshProgress:
    """A refresh that runs or has ended. `batches` is 0 while the sources are scanned."""

    id: str
    by: str
    asked_at: datetime | None
    sources: tuple[str, ...]
    step: str
    batches: int
    done: int
    attempt: int
    problem: str | None
    again_at: datetime | None


@dataclass(frozen=True, slots=True)
class EndedRefresh:
    """The refresh that ended last. `source` is `all` where it covered several."""

    source: str
    outcome: str
    reason: str
    time: datetime


def source_states(file: KnowledgeFile, entries: Sequence[DocumentEntry]) -> list[SourceState]:
    """Return every declared source, then those that still have documents and are no longer declared."""
    documents = Counter(entry.source for entry in entries if entry.chunks)
    unreadable = Counter(entry.source for entry in entries if entry.unreadable is not None)
    found = [
        SourceState(
            source.name, source.kind, _describe_location(source), str(source.schedule),
            documents[source.name], unreadable[source.name],
        )
        for source in file.sources
    ]  # fmt: skip
    gone = sorted({entry.source for entry in entries} - {source.name for source in file.sources})
    return found + [SourceState(name, "", "", "", documents[name], unreadable[name], declared=False) for name in gone]


def _describe_location(source: Source) -> str:
    if source.kind == "formulary":
        return source.file.name
    if source.folder is not None:
        return f"folder {source.folder.name}"
    return f"{len(source.urls)} address{'es' if len(source.urls) != 1 else ''}"


class Refreshes:
    """Request refreshes and follow them."""

    def __init__(self, log: RefreshLog) -> None:
        self._log = log

    async def progress(self, id: str) -> RefreshProgress | None:
        """Return how a refresh goes; None where it is not known any more."""
        refresh = fold_refresh(await self._log.history(id))
        if refresh.ref is None:
            return None
        return _progress(id, refresh, await self._done(refresh))

    async def last_ended(self) -> EndedRefresh | None:
        """Return how the latest refresh ended; None where none has, or after 90 days."""
        found = [await self._log.latest(event) for event in get_args(RefreshOutcome)]
        ended = [
            item
            for item in found
            if item is not None and not (isinstance(item.body, AttemptFailed) and item.body.again_at is not None)
        ]
        if not ended:
            return None
        last = max(ended, key=lambda item: item.sequence)
        return EndedRefresh(last.ref.source, last.body.event, getattr(last.body, "reason", ""), last.time)

    async def _done(self, refresh: Refresh) -> int:
        if refresh.ref is None or refresh.planned is None or not refresh.planned.batches:
            return 0
        last = await self._log.last_batch(refresh.ref, "batch-indexed")
        return last.body.done if last is not None and isinstance(last.body, BatchIndexed) else 0

    async def request(self, file: KnowledgeFile, source: str, by: str, key: str, *, judge: bool) -> str:
        """Request a refresh of one source, or of all where `source` is empty; return its id.

        `key` makes it one: a request with the same key is the same refresh. Raises ProblemError.
        """
        if source and (not re.fullmatch(SOURCE_PATTERN, source) or file.source(source) is None):
            known = ", ".join(item.name for item in file.sources) or "none"
            raise ProblemError(404, "There is no such source", f"Declared are: {known}.")
        ref = RefreshRef(source or ALL_SOURCES, derived_id(key, "refresh-by-page"))
        await self._log.append(ref, Requested(sources=(source,) if source else (), by=by, judge=judge))
        return ref.id


def _progress(id: str, refresh: Refresh, done: int) -> RefreshProgress:
    failure = refresh.failure
    step = STEP_LABELS[refresh.awaits] if refresh.awaits is not None else "waiting"
    return RefreshProgress(
        id=id,
        by=refresh.requested.by if refresh.requested else "",
        asked_at=refresh.times.get("requested"),
        sources=refresh.started.sources if refresh.started else (),
        step=refresh.outcome or step,
        batches=refresh.planned.batches if refresh.planned else 0,
        done=done,
        attempt=refresh.attempt,
        problem=failure.reason if failure is not None and failure.again_at is not None else None,
        again_at=failure.again_at if failure is not None else None,
    )
