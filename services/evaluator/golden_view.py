"""Golden queries beside what versions have found: expected documents, ranks, and documents that do not exist."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.evaluator import golden
from services.evaluator.content import KnowledgeContent
from services.evaluator.golden import GoldenQuery
from shared.contracts.errors import PermanentError
from shared.contracts.knowledge import QueryResult
from shared.contracts.refresh import Evaluated, fold_refresh
from shared.knowledge import knowledge_file
from shared.knowledge.document_index import DocumentIndex
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

    query: GoldenQuery
    file: str
    unknown: tuple[str, ...]
    outcomes: tuple[Outcome | None, ...]

    @property
    def missed(self) -> bool:
        return any(item is not None and item.rank is None for item in self.outcomes)


@dataclass(frozen=True, slots=True)
class GoldenQueries:
    """The rows, the files they are in, and what is wrong with these."""

    files: tuple[Path, ...]
    rows: tuple[GoldenRow, ...]
    problems: tuple[str, ...]
    evaluated: tuple[bool, ...]  # of each version: whether its results are still stored


class GoldenView:
    """Read the golden files and the results of evaluations, which the log of refreshes keeps for 90 days."""

    def __init__(self, bus: NatsConnection, file: Path | None, content: KnowledgeContent, log: RefreshLog) -> None:
        self._file = file
        self._content = content
        self._log = log
        self._index = DocumentIndex(bus)
        self._live = LiveBucket(bus)

    async def files(self) -> list[Path]:
        """Return the golden files. Raises PermanentError for an invalid knowledge file."""
        if self._file is None:
            return []
        return golden.golden_files(knowledge_file.read_knowledge_file(self._file), await self._index.sources())

    async def rows(self, versions: Sequence[int]) -> GoldenQueries:
        """Return every query with its outcome in each of `versions`."""
        evaluated = [await self._evaluated(version) for version in versions]
        try:
            files, problems = await self.files(), []
        except PermanentError as error:
            files, problems = [], [error.reason]
        documents = [(item.source, item.document) for item in await self._content.entries()]
        rows: list[GoldenRow] = []
        for path in files:
            try:
                queries = golden.read_golden_queries(path)
            except PermanentError as error:
                problems.append(error.reason)
                continue
            rows += _rows(path, queries, documents, evaluated)
        return GoldenQueries(tuple(files), tuple(rows), tuple(problems), tuple(item is not None for item in evaluated))

    async def _evaluated(self, version: int) -> Evaluated | None:
        record: VersionRecord | None = await self._live.version(version)
        if record is None:
            return None
        return fold_refresh(await self._log.history(record.refresh)).evaluated


def _rows(
    path: Path,
    queries: Sequence[GoldenQuery],
    documents: Collection[tuple[str, str]],
    evaluated: Sequence[Evaluated | None],
) -> list[GoldenRow]:
    unknown: dict[str, list[str]] = {}
    for query, name in golden.unknown_documents(queries, documents):
        unknown.setdefault(query.id, []).append(name)
    results = [{item.id: item for item in found.queries} if found is not None else {} for found in evaluated]
    return [
        GoldenRow(
            query,
            path.name,
            tuple(unknown.get(query.id, ())),
            tuple(_outcome(found.get(query.id)) for found in results),
        )
        for query in queries
    ]


def _outcome(result: QueryResult | None) -> Outcome | None:
    if result is None:
        return None
    rank = round(1 / result.reciprocal_rank) if result.reciprocal_rank > 0 else None
    return Outcome(rank, result.found, result.recall_at_10)


def golden_line(id: str, query: str, documents: Sequence[str]) -> str:
    """Return the line of a golden file for a query and the documents that answer it."""
    relevant = [{"doc_id": name, "grade": 1} for name in documents]
    return json.dumps({"id": id, "query": query, "relevant": relevant}, ensure_ascii=False)
