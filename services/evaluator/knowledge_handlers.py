"""Evaluate a new version with the golden queries, then promote it or hold it back."""

from collections.abc import Callable
from pathlib import Path

from nats.aio.msg import Msg

from services.evaluator import calibration, domain, golden, retrieval_metrics
from services.evaluator.calibration import Example
from services.evaluator.golden import GoldenQuery
from services.evaluator.golden_edits import GoldenEdits
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.knowledge import DocumentCounts, QueryResult, RelevanceThreshold
from shared.contracts.refresh import Evaluated, HeldBack, Indexed, Promoted, RefreshRef
from shared.contracts.refresh_state import Refresh, fold_refresh
from shared.inference.triton import BATCH_PRIORITY
from shared.knowledge import knowledge_file
from shared.knowledge.knowledge_file import KnowledgeFile
from shared.knowledge.live import LiveBucket, LivePointer, VersionRecord
from shared.knowledge.refresh_attempts import RefreshAttempts
from shared.knowledge.retriever import Retriever, VersionRef, most_similar
from shared.knowledge.vector_store import CANDIDATES_PER_METHOD, SearchHit, VectorStore
from shared.knowledge.version_documents import VersionDocuments
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.messaging.dead_letter_queue import FailedMessage, publish_alert
from shared.messaging.event_metrics import initialize_refresh_counters
from shared.messaging.refreshes import RefreshLog, read_refresh
from shared.messaging.steps import Clock

MAX_QUERIES_LISTED = 2000  # listed in an event


class KnowledgeEvaluation:
    def __init__(
        self, bus: NatsConnection, file: Path | None, retriever: Retriever, base: VectorStore, clock: Clock
    ) -> None:
        self._file = file
        self._retriever = retriever
        self._base = base
        self._clock = clock
        self._bus = bus
        self._log = RefreshLog(bus, "evaluator", self._clock)
        self._live = LiveBucket(bus)
        self._documents = VersionDocuments(bus)
        self._golden = GoldenEdits(bus, file, clock)
        self._attempts = RefreshAttempts(bus, self._log, self._clock, lambda: self._declared().attempts_apart)

    async def start(self) -> None:
        initialize_refresh_counters()

    def _declared(self) -> KnowledgeFile:
        return knowledge_file.read_knowledge_file(self._file) if self._file is not None else KnowledgeFile()

    async def evaluate(self, message: Msg) -> None:
        """Evaluate the golden queries, append `evaluated`, and promote the version or hold it back."""
        record = read_refresh(message)
        refresh = fold_refresh(await self._log.history(record.ref.id, after=record))
        if refresh.awaits != "judge" or refresh.indexed is None:
            return
        evaluated = refresh.evaluated or await self._evaluate(refresh.indexed)
        if refresh.evaluated is None:
            await self._log.append(record.ref, evaluated)
        await self._decide(record.ref, refresh, refresh.indexed, evaluated)

    async def _evaluate(self, indexed: Indexed) -> Evaluated:
        live, _ = await self._live.live()
        problem: str | None = None
        queries: list[GoldenQuery] = []
        number: int | None = None
        file = KnowledgeFile()
        try:
            file = self._declared()
            current = await self._golden.numbered()
            queries, number = current.queries, current.version
        except PermanentError as error:
            problem = error.reason  # an invalid golden file needs no retry: the live version stays
        results, examples = await self._ask(
            queries, VersionRef(indexed.target, indexed.collection, indexed.embedder, file.search)
        )
        before: list[QueryResult] = []
        if live is not None and live.version != indexed.target:
            before, _ = await self._ask(queries, VersionRef(live.version, live.collection, live.embedder, live.search))
        found = retrieval_metrics.mean_metrics(results) if results else None
        compared = retrieval_metrics.mean_metrics(before) if before else None
        verdict = (
            domain.PromotionDecision(False, problem)
            if problem
            else domain.decide_promotion(found, compared, file.promotion)
        )
        return Evaluated(
            target=indexed.target,
            metrics=found,
            live=compared,
            live_version=live.version if live else None,
            threshold=file.promotion.mrr,
            margin=file.promotion.margin,
            search=file.search,
            relevance=calibration.choose(examples, sum(map(_calibrates(queries), queries)), file.relevance),
            queries=tuple(results[:MAX_QUERIES_LISTED]),
            golden=number,
            promote=verdict.promote,
            reason=verdict.reason,
        )

    async def _ask(self, queries: list[GoldenQuery], at: VersionRef) -> tuple[list[QueryResult], list[Example]]:
        """Return the results of the queries, and the examples for choosing the threshold."""
        results, examples = [], []
        calibrates = _calibrates(queries)
        for query in queries:
            hits = await self._hits(query, at)
            if query.relevant:
                results.append(_measure(query, hits))
            if calibrates(query):
                examples += [_calibration_example(query, hit) for hit in most_similar(hits)]
        return results, examples

    async def _hits(self, query: GoldenQuery, at: VersionRef) -> list[SearchHit]:
        """Search as drafts do, for as many chunks as ten documents may need."""
        return await self._retriever.search(query.text, at, limit=CANDIDATES_PER_METHOD, priority=BATCH_PRIORITY)

    async def _decide(self, ref: RefreshRef, refresh: Refresh, indexed: Indexed, evaluated: Evaluated) -> None:
        live, revision = await self._live.live()
        verdict = domain.apply_pin(
            domain.PromotionDecision(evaluated.promote, evaluated.reason),
            live.pin if live else None,
            live.version if live else None,
            indexed.target,
        )
        await self._documents.put(indexed.target)
        await self._live.put_version(
            VersionRecord(
                version=indexed.target,
                collection=indexed.collection,
                embedder=indexed.embedder,
                search=evaluated.search,
                refresh=ref.id,
                time=self._clock(),
                decision="promoted" if verdict.promote else "held-back",
                reason=verdict.reason,
                metrics=evaluated.metrics,
                relevance=evaluated.relevance or RelevanceThreshold(),
                documents=refresh.planned.documents if refresh.planned else DocumentCounts(),
                worst=domain.worst(evaluated.queries),
                golden=evaluated.golden,
            )
        )
        if not verdict.promote:
            await self._hold_back(ref, indexed.target, verdict.reason)
            return
        if live is None or live.version != indexed.target:
            if (live.version if live else None) != evaluated.live_version:
                raise TransientError("the live version changed during the evaluation")
            await self._promote(indexed, evaluated, live, revision)
        elif evaluated.relevance is not None and live.relevance != evaluated.relevance:
            # The live version was evaluated again: it stays, with the threshold of its golden queries.
            await self._point(live.model_copy(update={"relevance": evaluated.relevance}), revision)
        await self._log.append(ref, Promoted(target=indexed.target, previous=evaluated.live_version))

    async def _promote(self, indexed: Indexed, evaluated: Evaluated, live: LivePointer | None, revision: int) -> None:
        pointer = LivePointer(
            version=indexed.target,
            collection=indexed.collection,
            embedder=indexed.embedder,
            search=evaluated.search,
            relevance=evaluated.relevance or RelevanceThreshold(),
            since=self._clock(),
            by="evaluation",
            move=live.move if live else None,
        )
        await self._point(pointer, revision)
        await self._base.point_alias(indexed.collection)

    async def _point(self, pointer: LivePointer, revision: int) -> None:
        try:
            await self._live.compare_and_set(pointer, revision)
        except WrongSequenceError:
            raise TransientError("the live version changed during the promotion") from None

    async def _hold_back(self, ref: RefreshRef, target: int, reason: str) -> None:
        await publish_alert(
            self._bus,
            "warning",
            "knowledge-held-back",
            id=ref.id,
            refresh=ref.id,
            version=target,
            reason=reason,
        )
        await self._log.append(ref, HeldBack(target=target, reason=reason))

    async def on_retries_exhausted(self, original: FailedMessage, reason: str) -> None:
        await self._attempts.on_retries_exhausted(original, reason, "judge")


def _calibrates(queries: list[GoldenQuery]) -> Callable[[GoldenQuery], bool]:
    """Return the queries that a threshold is chosen on: problems; all where the file has none."""
    problems = any(query.problem for query in queries)
    return lambda query: bool(query.problem) or not problems


def _measure(query: GoldenQuery, hits: list[SearchHit]) -> QueryResult:
    ranking = dict.fromkeys(
        golden.match_document_id(hit.chunk.document, hit.chunk.source, query.grades) for hit in hits
    )
    return retrieval_metrics.measure(query.id, list(ranking), query.grades)


def _calibration_example(query: GoldenQuery, hit: SearchHit) -> Example:
    named = golden.match_document_id(hit.chunk.document, hit.chunk.source, query.grades)
    return Example(hit.similarity, named in query.grades)
