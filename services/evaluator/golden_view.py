"""Golden queries beside what versions have found: expected documents, ranks, and documents that do not exist."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from services.evaluator import golden
from services.evaluator.golden import GoldenQuery
from services.evaluator.golden_edits import GoldenEdits
from services.evaluator.golden_set import Decision, GoldenItem, GoldenSet, added, changed, check_documents, removed
from services.evaluator.version_content import KnowledgeContent
from shared.contracts.knowledge import QueryResult
from shared.contracts.refresh import Evaluated
from shared.contracts.refresh_state import fold_refresh
from shared.knowledge.live import LiveBucket, VersionRecord
from shared.messaging.connection import NatsConnection
from shared.messaging.refreshes import RefreshLog


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one version found for a query. `rank` is that of the first expected document, None below rank 10."""

    rank: int | None
    found: tuple[str, ...]
    recall_at_10: float


@dataclass(frozen=True, slots=True)
class GoldenRow:
    """A query with its outcome in each version, None where it was not asked there; `unknown`: missing documents."""

    item: GoldenItem
    unknown: tuple[str, ...]
    outcomes: tuple[Outcome | None, ...]

    @property
    def missed(self) -> bool:
        return any(item is not None and item.rank is None for item in self.outcomes)


@dataclass(frozen=True, slots=True)
class GoldenQueries:
    """The set and its rows."""

    set: GoldenSet
    rows: tuple[GoldenRow, ...]
    evaluated: tuple[bool, ...]  # of each version: whether its results are still stored


class GoldenView:
    """Show golden queries with the results of evaluations, which the log of refreshes keeps for 90 days; edit them."""

    def __init__(self, bus: NatsConnection, edits: GoldenEdits, content: KnowledgeContent, log: RefreshLog) -> None:
        self.edits = edits
        self._content = content
        self._log = log
        self._live = LiveBucket(bus)

    async def rows(self, versions: Sequence[int]) -> GoldenQueries:
        """Return every query with its outcome in each of `versions`."""
        evaluated = [await self._evaluated(version) for version in versions]
        current = await self.edits.current()
        documents = [(item.source, item.document) for item in await self._content.entries()]
        rows = _rows(current.items, documents, evaluated)
        return GoldenQueries(current, tuple(rows), tuple(item is not None for item in evaluated))

    async def add(self, query: GoldenQuery, by: str, reason: str) -> GoldenSet:
        """Return the set with a query more. Raises ProblemError."""
        return await self._edit(added(query), query, by, reason)

    async def change(self, query: GoldenQuery, seen: str, by: str, reason: str) -> GoldenSet:
        """Return the set with `query` in the place of that of its id, whose digest was `seen`. Raises ProblemError."""
        return await self._edit(changed(query, seen), query, by, reason)

    async def remove(self, id: str, seen: str, by: str, reason: str) -> GoldenSet:
        """Return the set without a query. Raises ProblemError."""
        return await self.edits.edit(removed(id, seen), by, reason)

    async def _edit(self, decide: Decision, query: GoldenQuery, by: str, reason: str) -> GoldenSet:
        await self._check_documents(query)
        return await self.edits.edit(decide, by, reason)

    async def _check_documents(self, query: GoldenQuery) -> None:
        """Raise ProblemError unless the newest or the live version has every expected document."""
        documents = [(item.source, item.document) for item in await self._content.entries() if item.chunks]
        live, _ = await self._live.live()
        queue, _ = await self._live.queue()
        if live is not None and live.version != queue.head and golden.unknown_documents([query], documents):
            documents += [(item.source, item.document) for item in await self._content.documents(live.version)]
        check_documents(query, documents)

    async def _evaluated(self, version: int) -> Evaluated | None:
        record: VersionRecord | None = await self._live.version(version)
        if record is None:
            return None
        return fold_refresh(await self._log.history(record.refresh)).evaluated


def _rows(
    items: Sequence[GoldenItem], documents: Collection[tuple[str, str]], evaluated: Sequence[Evaluated | None]
) -> list[GoldenRow]:
    unknown: dict[str, list[str]] = {}
    for query, name in golden.unknown_documents([item.query for item in items], documents):
        unknown.setdefault(query.id, []).append(name)
    results = [{item.id: item for item in found.queries} if found is not None else {} for found in evaluated]
    return [
        GoldenRow(
            item,
            tuple(unknown.get(item.query.id, ())),
            tuple(_outcome(found.get(item.query.id)) for found in results),
        )
        for item in items
    ]


def _outcome(result: QueryResult | None) -> Outcome | None:
    if result is None:
        return None
    rank = round(1 / result.reciprocal_rank) if result.reciprocal_rank > 0 else None
    return Outcome(rank, result.found, result.recall_at_10)
