"""`python -m bench.passages`: how many of the passages that drafts cite are about the problem, before and now.

Two bases. The demo's, whose golden queries choose the threshold; every second page of the development set, on whose
titles it is chosen (half of them; on the other half it is measured). The problems are those of the stays in
tests/stays, and, for the pages, the titles. A page that is not in the base is a problem that it does not know.

Whether a passage is about a problem is judged by words, not by vectors: `is_about`. What was cited is kept, to be read.
"""

import asyncio
import json
import re
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

from rich.console import Console
from rich.table import Table

from bench.documents import DEVELOPMENT
from bench.relevance import is_about, is_titled, share
from bench.result_files import keep
from bench.retrieval_quality import fill
from cli.stack import triton
from cli.stack.knowledge import DEMO
from services.drafter import problem_names
from services.drafter.passages import MAX_PROBLEMS, build_queries, select_passages
from services.evaluator import calibration, golden
from services.evaluator.calibration import Example
from services.ingest.connectors import connect
from services.ingest.documents import formats
from services.ingest.documents.chunking import chunk
from services.ingest.documents.reader import DocumentReader
from services.ingest.refresh.prepare import token_counter
from shared.contracts.context import EncounterContext
from shared.contracts.draft import CitedKnowledge, CitedPassage
from shared.contracts.errors import PermanentError
from shared.contracts.knowledge import Chunk, RelevanceThreshold
from shared.inference.embeddings import TritonEmbedder
from shared.knowledge import knowledge_file
from shared.knowledge.embedded_qdrant import EmbeddedQdrant
from shared.knowledge.knowledge_file import RelevanceRule
from shared.knowledge.retriever import HITS_PER_QUERY, Query, Retriever, VersionRef, most_similar
from shared.messaging.connection import NatsConnection
from tests.stays.corpus import all_stays
from tests.stays.draft import composed
from tests.support.memory import MemoryBus
from tests.support.triton import triton_server

MODEL = "embedder"
ALL = RelevanceThreshold(threshold=-1.0)
BEFORE = 3, 5  # problems asked about and passages cited, before there was a threshold


async def contexts() -> list[EncounterContext]:
    """The stays of the corpus, those that are refused left out."""
    found = []
    for stay in all_stays(print):
        try:
            found.append((await composed(stay))[0])
        except PermanentError:
            continue
    return found


async def demo_chunks() -> list[Chunk]:
    """The demo's sources, cut as a refresh cuts them."""
    file = knowledge_file.read_knowledge_file(DEMO / "knowledge.yaml")
    count = token_counter(str(triton.EMBEDDER / "tokenizer.json"))
    made: list[Chunk] = []
    reader = DocumentReader()
    for source in file.sources:
        tokens = 100_000 if source.kind == "formulary" else file.chunk_tokens
        async for item in connect(source, reader).scan({}):
            if item.text is not None:
                made += chunk(source.name, item.document, item.text, tokens=tokens, count=count)
    await reader.close()
    return made


def development_chunks(pages: Sequence[dict[str, Any]]) -> list[Chunk]:
    count = token_counter(str(triton.EMBEDDER / "tokenizer.json"))
    read = {
        page["id"]: formats.parse_document("page.md", f"# {page['title']}\n\n{page['text']}".encode()) for page in pages
    }
    return [item for id, text in read.items() for item in chunk("nih", id, text, tokens=160, count=count)]


@asynccontextmanager
async def retriever(embedder: TritonEmbedder, chunks: list[Chunk]) -> AsyncIterator[Retriever]:
    with tempfile.TemporaryDirectory() as directory:
        base = EmbeddedQdrant(Path(directory))
        await fill(base, embedder, MODEL, chunks)
        yield Retriever(cast("NatsConnection", MemoryBus()), embedder, base)  # nothing is looked up on it
        await base.close()


def at(relevance: RelevanceThreshold) -> VersionRef:
    return VersionRef(1, "c", MODEL, "dense", relevance)


async def cited(
    asker: Retriever, context: EncounterContext, relevance: RelevanceThreshold
) -> tuple[list[str], CitedKnowledge]:
    """The problems of a stay, and what a draft of it cites."""
    names = problem_names.problem_names(context)[:MAX_PROBLEMS]
    asked = build_queries(names, instructs=context.needs_instructions)
    return names, select_passages(
        at(relevance), asked, await asker.search_batch(asked, at(relevance), limit=HITS_PER_QUERY)
    )


async def before(asker: Retriever, context: EncounterContext) -> tuple[list[str], tuple[CitedPassage, ...]]:
    """What was cited when the five nearest were, of three problems."""
    count, most = BEFORE
    names = problem_names.problem_names(context)[:count]
    asked = build_queries(names, instructs=True)
    return names, select_passages(
        at(ALL), asked, await asker.search_batch(asked, at(ALL), limit=HITS_PER_QUERY)
    ).passages[:most]


async def of_stays(
    asker: Retriever, stays: Sequence[EncounterContext], relevance: RelevanceThreshold
) -> dict[str, Any]:
    """Before and with the threshold; what is cited with it, to be read."""
    old = [await before(asker, context) for context in stays]
    new = [await cited(asker, context, relevance) for context in stays]
    pairs = {(name, item.id): (name, item) for _, found in new for item in found.passages for name in item.about}
    return {
        "before": share(old),
        "with the threshold": share((names, found.passages) for names, found in new),
        "read": [
            {"problem": name, "similarity": item.similarity, "by rule": is_about(name, item), "title": item.title}
            | {"path": item.path, "text": item.text}
            for name, item in pairs.values()
        ],
    }


async def of_names(
    asker: Retriever, names: Sequence[str], relevance: RelevanceThreshold
) -> tuple[list[Example], list[tuple[list[str], tuple[CitedPassage, ...]]]]:
    """Each name asked alone: the examples that a threshold is chosen on, and what is cited with one."""
    answers = await asker.search_batch([Query(name) for name in names], at(relevance), limit=HITS_PER_QUERY)
    examples = [
        Example(hit.similarity, is_titled(name, hit))
        for name, hits in zip(names, answers, strict=True)
        for hit in most_similar(hits)
    ]
    drafts = [
        ([name], select_passages(at(relevance), [Query(name)], [hits]).passages)
        for name, hits in zip(names, answers, strict=True)
    ]
    return examples, drafts


async def demo(embedder: TritonEmbedder, stays: Sequence[EncounterContext]) -> dict[str, Any]:
    queries = [query for query in golden.read_golden_queries(DEMO / "golden.jsonl") if query.problem]
    async with retriever(embedder, await demo_chunks()) as asker:
        answers = await asker.search_batch([Query(query.problem) for query in queries], at(ALL), limit=HITS_PER_QUERY)
        examples = [
            Example(
                hit.similarity,
                golden.match_document_id(hit.chunk.document, hit.chunk.source, query.grades) in query.grades,
            )
            for query, hits in zip(queries, answers, strict=True)
            for hit in most_similar(hits)
        ]
        relevance = calibration.choose(examples, len(queries), RelevanceRule())
        return {"relevance": relevance.model_dump(), "stays": await of_stays(asker, stays, relevance)}


async def development(embedder: TritonEmbedder, stays: Sequence[EncounterContext]) -> dict[str, Any]:
    """Pages 0, 2, 4 … are in the base. It is chosen on the titles of 0, 1, 4, 5 …, measured on the others."""
    pages = [json.loads(line) for line in (DEVELOPMENT / "documents.jsonl").read_text().splitlines()]
    titles = [(number, _subject(page["title"])) for number, page in enumerate(pages)]
    choose = [title for number, title in titles if number % 4 < 2]
    known = [title for number, title in titles if number % 4 == 2]
    unknown = [title for number, title in titles if number % 4 == 3]
    async with retriever(embedder, development_chunks(pages[::2])) as asker:
        examples, _ = await of_names(asker, choose, ALL)
        relevance = calibration.choose(examples, len(choose), RelevanceRule())
        found: dict[str, Any] = {"relevance": relevance.model_dump()}
        for label, names in (("titles in the base", known), ("titles not in the base", unknown)):
            found[label] = {
                "before": share((await of_names(asker, names, ALL))[1]),
                "with the threshold": share((await of_names(asker, names, relevance))[1]),
            }
        return found | {"stays": await of_stays(asker, stays, relevance)}


def _subject(title: str) -> str:
    return re.sub(r"^What I need to know about ", "", title).strip()


async def measure(url: str) -> dict[str, Any]:
    embedder = TritonEmbedder(url, MODEL)
    stays = await contexts()
    found = {"demo": await demo(embedder, stays), "development": await development(embedder, stays)}
    await embedder.close()
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as directory, triton_server(Path(directory), (MODEL,)) as server:
        found = asyncio.run(measure(server.grpc))
    table = Table("base", "asked", "", "problems", "cited", "about it", "share", "problems with one")
    for base, results in found.items():
        for label, result in results.items():
            if label != "relevance":
                for way in ("before", "with the threshold"):
                    table.add_row(base, label, way, *result[way].row())
    console = Console(width=140)
    console.print(table)
    for base, results in found.items():
        console.print(base, results["relevance"], highlight=False)
    keep("passages", json.loads(json.dumps(found, default=vars_of)))


def vars_of(item: Any) -> Any:
    return {name: getattr(item, name) for name in item.__slots__}


if __name__ == "__main__":
    main()
