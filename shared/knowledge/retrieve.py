"""The one way to ask the knowledge base: drafts, golden queries and people ask through here."""

from dataclasses import dataclass

from shared.contracts.failures import PermanentError
from shared.contracts.knowledge import Search
from shared.inference.embed import Embedder
from shared.inference.generate import INTERACTIVE
from shared.knowledge.base import Hit, KnowledgeBase, Question
from shared.knowledge.live import LiveBucket
from shared.messaging.connection import Bus

QUERY_DEADLINE = 10.0


@dataclass(frozen=True, slots=True)
class At:
    """A version and where it is."""

    version: int
    collection: str
    embedder: str
    search: Search


class NoKnowledge(PermanentError):
    """There is nothing to ask: no version is live, or there is no such version."""


class Retriever:
    def __init__(self, embedder: Embedder, base: KnowledgeBase) -> None:
        self._embedder = embedder
        self._base = base

    def attach(self, bus: Bus) -> None:
        self._live = LiveBucket(bus)

    async def at(self, version: int | None = None) -> At:
        """Where `version` is, or what is live. Raises NoKnowledge."""
        if version is not None:
            record = await self._live.version(version)
            if record is None:
                raise NoKnowledge(f"there is no version {version}")
            return At(version, record.collection, record.embedder, record.search)
        live, _ = await self._live.live()
        if live is None:
            raise NoKnowledge("no version of the knowledge base is live yet")
        return At(live.version, live.collection, live.embedder, live.search)

    async def search(self, text: str, at: At, *, limit: int, priority: int = INTERACTIVE) -> list[Hit]:
        """The best chunks for `text` of what `at` shows, best first."""
        (vector,) = await self._embedder.embed(at.embedder, [text], priority=priority, deadline=QUERY_DEADLINE)
        question = Question(text, vector.tolist())
        return await self._base.search(at.collection, question, at.version, limit, at.search)
