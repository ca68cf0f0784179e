"""What the knowledge base says about a stay's problems: a few passages, each near enough to the problem it is about."""

import logging
from collections.abc import Sequence

from services.drafter import problems
from shared.contracts.context import EncounterContext
from shared.contracts.draft import Knowledge, Passage
from shared.contracts.failures import Failure
from shared.knowledge.base import Hit
from shared.knowledge.retrieve import CITED, CONSIDERED, Asked, At, NoKnowledge, Retriever, nearest

logger = logging.getLogger(__name__)

PROBLEMS = 10  # asked about, the principal one first
# Asked first: a model that reads what treatment is recommended writes that it was given.
INSTRUCTIONS = "what the patient and the family are told at home, when to call, when to come back"
MOST = 12  # passages of a draft: at least one for each problem that has one


async def cite(retriever: Retriever, context: EncounterContext) -> Knowledge | None:
    """The passages for a draft; None where no knowledge base answers: no draft waits for one."""
    found = problems.named(context)
    about, beyond = found[:PROBLEMS], found[PROBLEMS:]
    asked = questions(about, instructs=context.instructs)
    try:
        at = await retriever.at()
        answers = await retriever.ask(asked, at, limit=CONSIDERED)
    except NoKnowledge:
        return None
    except Failure as failure:
        logger.warning("drafting without passages: %s", failure.reason)
        return None
    return chosen(at, asked, answers, not_asked=beyond)


def questions(about: Sequence[str], *, instructs: bool) -> list[Asked]:
    """What the patient is told about the first problem, where somebody is told; then every problem by its name.

    How near a passage is, is measured to the name alone: words on instructions are near to instructions on anything.
    """
    first = [Asked(f"{about[0]}: {INSTRUCTIONS}", about=about[0])] if about and instructs else []
    return [*first, *map(Asked, about)]


def chosen(
    at: At, asked: Sequence[Asked], answers: Sequence[Sequence[Hit]], *, not_asked: Sequence[str] = ()
) -> Knowledge:
    """The best of each question first, then the second best; each passage once, with every problem it is about."""
    about = [item.about or item.text for item in asked]
    cited = [
        [hit for hit in (hits if item.about else nearest(hits)) if hit.similarity >= at.relevance.threshold][:CITED]
        for item, hits in zip(asked, answers, strict=True)
    ]
    order = [
        (name, hits[rank]) for rank in range(CITED) for name, hits in zip(about, cited, strict=True) if rank < len(hits)
    ]
    passages: dict[str, Passage] = {}
    for name, hit in order:
        if hit.chunk.id in passages or len(passages) < MOST:
            passages[hit.chunk.id] = _passage(hit, name, passages.get(hit.chunk.id))
    return Knowledge(
        version=at.version,
        passages=tuple(passages.values()),
        threshold=at.relevance.threshold,
        calibrated=at.relevance.origin != "default",
        uncovered=tuple(name for name in dict.fromkeys(about) if not any(name == one for one, _ in order)),
        not_asked=tuple(not_asked),
    )


def _passage(hit: Hit, about: str, before: Passage | None) -> Passage:
    """The passage; where it is about another problem already, about both."""
    similarity = round(hit.similarity, 4)
    if before is not None:
        names = tuple(dict.fromkeys((*before.about, about)))
        return before.model_copy(
            update={"about": names, "similarity": max(similarity, before.similarity or similarity)}
        )
    chunk = hit.chunk
    return Passage(
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
