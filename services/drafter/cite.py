"""What the knowledge base says about an encounter's problems: a few passages, with the version they are from."""

import asyncio
import logging

from shared.contracts.context import EncounterContext
from shared.contracts.draft import Knowledge, Passage
from shared.contracts.failures import Failure
from shared.knowledge.base import Hit
from shared.knowledge.retrieve import NoKnowledge, Retriever

logger = logging.getLogger(__name__)

PROBLEMS = 3  # asked about, the principal one first
# Asked first: a model that reads what treatment is recommended writes that it was given.
INSTRUCTIONS = "what the patient and the family are told at home, when to call, when to come back"
EACH = 2  # passages a question
MOST = 5
UNHELPFUL = (", unspecified", " unspecified")  # ICD-10's words for what is not known find nothing


async def cite(retriever: Retriever, context: EncounterContext) -> Knowledge | None:
    """The passages for a draft; None where no knowledge base answers: no draft waits for one."""
    try:
        at = await retriever.at()
        named = problems(context)
        asked = [f"{named[0]}: {INSTRUCTIONS}", *named] if named else []
        # At once: beside a refresh each of them waits for its turn in the model server.
        found = await asyncio.gather(*(retriever.search(question, at, limit=EACH) for question in asked))
    except NoKnowledge:
        return None
    except Failure as failure:
        logger.warning("drafting without passages: %s", failure.reason)
        return None
    return Knowledge(version=at.version, passages=chosen(found))


def problems(context: EncounterContext) -> list[str]:
    """What is asked about: why the patient came, the principal diagnosis, then the others."""
    confirmed = [item for item in context.diagnoses if item.certainty == "confirmed"]
    principal = [item.text for item in confirmed if item.role == "principal"]
    others = [item.text for item in confirmed if item.role in ("comorbidity", "problem")]
    named = [*principal, *(item.text for item in context.reasons), *others]
    for words in UNHELPFUL:
        named = [text.replace(words, "") for text in named]
    return list(dict.fromkeys(text for text in named if text.strip()))[:PROBLEMS]


def chosen(found: list[list[Hit]]) -> tuple[Passage, ...]:
    """The best of each problem first, then the second best; each passage once."""
    ranked = [hits[rank] for rank in range(EACH) for hits in found if len(hits) > rank]
    chunks = {hit.chunk.id: hit.chunk for hit in ranked}
    return tuple(
        Passage(
            id=chunk.id,
            source=chunk.source,
            document=chunk.document,
            title=chunk.title,
            path=chunk.path,
            text=chunk.text,
            url=chunk.url,
        )
        for chunk in list(chunks.values())[:MOST]
    )
