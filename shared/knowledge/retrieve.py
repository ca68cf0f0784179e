"""The one way to ask the knowledge base: drafts, golden queries and people ask through here."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from shared.contracts.failures import PermanentError
from shared.contracts.knowledge import Relevance, Search
from shared.inference.embed import Embedder
from shared.inference.generate import INTERACTIVE
from shared.knowledge.base import Hit, KnowledgeBase, Question
from shared.knowledge.live import LiveBucket
from shared.messaging.connection import Bus

QUERY_DEADLINE = 10.0
CONSIDERED = 5  # passages that a draft looks at for each question
CITED = 2  # of which it cites at most so many


@dataclass(frozen=True, slots=True)
class At:
    """A version and where it is."""

    version: int
    collection: str
    embedder: str
    search: Search
    relevance: Relevance = field(default_factory=Relevance)


@dataclass(frozen=True, slots=True)
class Asked:
    """A question. `about`: what similarity is measured to, where it is not the whole question."""

    text: str
    about: str | None = None


class NoKnowledge(PermanentError):
    """There is nothing to ask: no version is live, or there is no such version."""


class Retriever:
    def __init__(self, bus: Bus, embedder: Embedder, base: KnowledgeBase) -> None:
        self._embedder = embedder
        self._base = base
        self._live = LiveBucket(bus)

    async def at(self, version: int | None = None) -> At:
        """Where `version` is, or what is live. Raises NoKnowledge."""
        if version is not None:
            record = await self._live.version(version)
            if record is None:
                raise NoKnowledge(f"there is no version {version}")
            return At(version, record.collection, record.embedder, record.search, record.relevance)
        live, _ = await self._live.live()
        if live is None:
            raise NoKnowledge("no version of the knowledge base is live yet")
        return At(live.version, live.collection, live.embedder, live.search, live.relevance)

    async def search(self, text: str, at: At, *, limit: int, priority: int = INTERACTIVE) -> list[Hit]:
        """The best chunks for `text` of what `at` shows, best first, each with its similarity."""
        (found,) = await self.ask([Asked(text)], at, limit=limit, priority=priority)
        return found

    async def ask(self, asked: Sequence[Asked], at: At, *, limit: int, priority: int = INTERACTIVE) -> list[list[Hit]]:
        """What `search` finds for each question; they are embedded together."""
        texts = list(dict.fromkeys(text for item in asked for text in (item.text, item.about or item.text)))
        if not texts:
            return []
        made = await self._embedder.embed(at.embedder, texts, priority=priority, deadline=QUERY_DEADLINE)
        vectors = dict(zip(texts, (vector.tolist() for vector in made), strict=True))
        questions = [
            Question(item.text, vectors[item.text], None if item.about is None else vectors[item.about])
            for item in asked
        ]
        return list(
            await asyncio.gather(
                *(self._base.search(at.collection, question, at.version, limit, at.search) for question in questions)
            )
        )


def nearest(hits: Sequence[Hit]) -> list[Hit]:
    """Of the hits that a draft looks at, those that it would cite if they were near enough: the most similar first."""
    return sorted(hits[:CONSIDERED], key=lambda hit: -hit.similarity)[:CITED]
