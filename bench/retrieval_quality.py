"""How well each way of searching answers the queries of the development set."""

import asyncio
import json
import tempfile
from pathlib import Path
from typing import Any, get_args

from bench.documents import DEVELOPMENT
from cli.stack import triton
from services.evaluator import golden, retrieval_metrics
from services.ingest.documents import formats
from services.ingest.documents.chunking import chunk
from services.ingest.refresh.prepare import token_counter
from shared.contracts.knowledge import BATCH_SIZE, Chunk, SearchMode
from shared.inference.embeddings import TritonEmbedder
from shared.inference.triton import BATCH_PRIORITY, INTERACTIVE_PRIORITY
from shared.knowledge.embedded_qdrant import EmbeddedQdrant
from shared.knowledge.vector_store import CANDIDATES_PER_METHOD, EmbeddedChunk, VectorQuery


async def search_quality(url: str, sizes: list[int], models: list[str]) -> list[dict[str, Any]]:
    queries = golden.read_golden_queries(DEVELOPMENT / "queries.jsonl")
    pages = [json.loads(line) for line in (DEVELOPMENT / "documents.jsonl").read_text().splitlines()]
    texts = {
        f"{page['id']}.md": formats.parse_document("page.md", f"# {page['title']}\n\n{page['text']}".encode())
        for page in pages
    }
    count = token_counter(str(triton.EMBEDDER / "tokenizer.json"))
    rows: list[dict[str, Any]] = []
    embedder = TritonEmbedder(url, models[0])
    for model in models:
        for size in sizes if model == models[0] else sizes[1:2]:
            chunks = [item for id, text in texts.items() for item in chunk("nih", id, text, tokens=size, count=count)]
            with tempfile.TemporaryDirectory() as directory:
                base = EmbeddedQdrant(Path(directory))
                await fill(base, embedder, model, chunks)
                for mode in get_args(SearchMode):
                    row = await _row(base, embedder, model, mode, queries)
                    rows.append({"model": model, "size": size, "chunks": len(chunks), "search": mode} | row)
                await base.close()
    await embedder.close()
    return rows


async def fill(base: EmbeddedQdrant, embedder: TritonEmbedder, model: str, chunks: list[Chunk]) -> None:
    await base.ensure_collection("c", 384)

    async def one(part: list[Chunk]) -> None:
        vectors = await embedder.embed(
            model, [item.text_to_embed for item in part], priority=BATCH_PRIORITY, deadline=300
        )
        await base.upsert(
            "c", [EmbeddedChunk(item, vector.tolist(), 1) for item, vector in zip(part, vectors, strict=True)]
        )

    parts = [chunks[at : at + BATCH_SIZE] for at in range(0, len(chunks), BATCH_SIZE)]
    for start in range(0, len(parts), 4):
        await asyncio.gather(*(one(part) for part in parts[start : start + 4]))


async def _row(
    base: EmbeddedQdrant, embedder: TritonEmbedder, model: str, mode: SearchMode, queries: list[golden.GoldenQuery]
) -> dict[str, float]:
    results = []
    for query in queries:
        (vector,) = await embedder.embed(model, [query.query], priority=INTERACTIVE_PRIORITY, deadline=60)
        hits = await base.search("c", VectorQuery(query.query, vector.tolist()), 1, CANDIDATES_PER_METHOD, mode)
        ranking = dict.fromkeys(golden.match_document_id(hit.chunk.document, "nih", query.grades) for hit in hits)
        results.append(retrieval_metrics.measure(query.id, list(ranking), query.grades))
    return retrieval_metrics.mean_metrics(results).model_dump(exclude={"queries"})
