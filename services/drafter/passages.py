"""Retrieve knowledge base passages about a stay's problems, each similar enough to its problem."""

import logging
from collections.abc import Sequence

from services.drafter import problem_names
from shared.contracts.context import EncounterContext
from shared.contracts.draft import CitedKnowledge, CitedPassage
from shared.contracts.errors import CountersignError
from shared.inference.triton import INTERACTIVE_PRIORITY
from shared.knowledge.retriever import (
    CITATIONS_PER_QUERY,
    HITS_PER_QUERY,
    NoSuchVersionError,
    Query,
    Retriever,
    VersionRef,
    most_similar,
)
from shared.knowledge.vector_store import SearchHit

logger = logging.getLogger(__name__)

MAX_PROBLEMS = 10  # queried, the principal one first
# Asked first: a model that reads what treatment is recommended writes that it was given.
INSTRUCTIONS_QUERY = "what the patient and the family are told at home, when to call, when to come back"
MAX_PASSAGES = 12  # of a draft: at least one for each problem that has one


async def retrieve_passages(
    retriever: Retriever, context: EncounterContext, priority: int = INTERACTIVE_PRIORITY
) -> CitedKnowledge | None:
    """Return the passages for a draft; None where the knowledge base does not answer: drafts do not wait for it."""
    found = problem_names.problem_names(context)
    about, beyond = found[:MAX_PROBLEMS], found[MAX_PROBLEMS:]
    queries = build_queries(about, instructs=context.needs_instructions)
    try:
        at = await retriever.resolve()
        answers = await retriever.search_batch(queries, at, limit=HITS_PER_QUERY, priority=priority)
    except NoSuchVersionError:
        return None
    except CountersignError as failure:
        logger.warning("drafting without passages: %s", failure.reason)
        return None
    return select_passages(at, queries, answers, not_asked=beyond)


def build_queries(about: Sequence[str], *, instructs: bool) -> list[Query]:
    """Return the queries: instructions on the first problem, where a patient is instructed, then each problem.

    Similarity is measured to the problem's name alone, as words on instructions are near to instructions on anything.
    """
    first = [Query(f"{about[0]}: {INSTRUCTIONS_QUERY}", about=about[0])] if about and instructs else []
    return [*first, *map(Query, about)]


def select_passages(
    at: VersionRef, queries: Sequence[Query], answers: Sequence[Sequence[SearchHit]], *, not_asked: Sequence[str] = ()
) -> CitedKnowledge:
    """Return the best passage of each query, then the second best; each passage once, with all of its problems."""
    about = [item.about or item.text for item in queries]
    cited = [
        [hit for hit in (hits if item.about else most_similar(hits)) if hit.similarity >= at.relevance.threshold][
            :CITATIONS_PER_QUERY
        ]
        for item, hits in zip(queries, answers, strict=True)
    ]
    order = [
        (name, hits[rank])
        for rank in range(CITATIONS_PER_QUERY)
        for name, hits in zip(about, cited, strict=True)
        if rank < len(hits)
    ]
    passages: dict[str, CitedPassage] = {}
    for name, hit in order:
        if hit.chunk.id in passages or len(passages) < MAX_PASSAGES:
            passages[hit.chunk.id] = _to_cited_passage(hit, name, passages.get(hit.chunk.id))
    return CitedKnowledge(
        version=at.version,
        passages=tuple(passages.values()),
        threshold=at.relevance.threshold,
        calibrated=at.relevance.origin != "default",
        uncovered=tuple(name for name in dict.fromkeys(about) if not any(name == one for one, _ in order)),
        not_asked=tuple(not_asked),
    )


def _to_cited_passage(hit: SearchHit, about: str, before: CitedPassage | None) -> CitedPassage:
    """Return the passage; where it is about another problem already, about both."""
    similarity = round(hit.similarity, 4)
    if before is not None:
        names = tuple(dict.fromkeys((*before.about, about)))
        return before.model_copy(
            update={"about": names, "similarity": max(similarity, before.similarity or similarity)}
        )
    chunk = hit.chunk
    return CitedPassage(
        id=chunk.id,
        source=chunk.source,
        document=chunk.document,
        title=chunk.title,
        path=chunk.path,
        text=chunk.text,
        url=chunk.url,
        about=(about,),
        similarity=similarity,
    )
