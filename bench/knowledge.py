"""`make bench-knowledge`: what a refresh costs, and how well each way of searching answers.

speed     embedding through queue + Triton + Qdrant as a ratio to a bare ONNX Runtime loop on the same texts; a refresh
          in which nothing changed; memory at 1,000 and 10,000 documents
quality   dense, sparse and hybrid search at several chunk sizes and two models, on the development set
"""

import asyncio
import json
import random
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from bench.documents import DEVELOPMENT, WORDS, declare, development_pages, write_pages
from bench.result_files import ROOT, keep
from bench.retrieval_quality import search_quality
from bench.stack import running, status_mb
from cli.connections import open_embedded_bus
from cli.stack import triton
from shared.contracts.knowledge import BATCH_SIZE, Chunk, chunk_id
from shared.contracts.refresh import BatchReady
from shared.knowledge.embedded_qdrant import EmbeddedQdrant
from shared.knowledge.vector_store import EmbeddedChunk
from shared.messaging.refreshes import RefreshLog
from tests.support.triton import triton_server

TRITON_PYTHON = triton.ENVIRONMENT / "bin" / "python"

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
console = Console()


async def embedding_ratio() -> dict[str, float]:
    """Chunks a second from the first batch in the queue to the last in Qdrant, and of the bare loop."""
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        development_pages(folder / "pages") if DEVELOPMENT.exists() else write_pages(folder / "pages", 1500, 90)
        async with running(declare(folder)) as stack:
            result, _ = await stack.refresh()
            async with open_embedded_bus(stack.data_dir, "admin") as connection:
                log = RefreshLog(connection, "bench", lambda: datetime.now(UTC))
                history = await log.history(result["refresh"])
                times = {record.body.event: record.time for record in history}
                ref = history[0].ref
                batches = await log.batches(ref)
                texts = [item.text_to_embed for record in batches for item in batch_chunks(record.body)]
                first = batches[0].time
        seconds = (times["embedded"] - first).total_seconds()
        file = folder / "texts.json"
        file.write_text(json.dumps(texts))
        command = [str(TRITON_PYTHON), str(ROOT / "bench" / "onnx_loop.py"), str(triton.EMBEDDER), str(file)]
        bare = await asyncio.to_thread(bare_loop, command)
    return {"chunks": len(texts), "pipeline": round(len(texts) / seconds, 1), "bare": round(bare, 1)}


def bare_loop(command: list[str]) -> float:
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def batch_chunks(body: object) -> tuple[Chunk, ...]:
    return body.chunks if isinstance(body, BatchReady) else ()


async def filled(documents: int) -> dict[str, float]:
    """A first refresh over short documents, then one in which nothing has changed."""
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        write_pages(folder / "pages", documents, 12)
        async with running(declare(folder)) as stack:
            rest = stack.memory_mb("RssAnon")
            first, seconds = await stack.refresh()
            own, peak = stack.memory_mb("RssAnon"), stack.memory_mb("VmHWM")
            second, unchanged = await stack.refresh()
            assert second["state"] == "skipped", second
            assert second["chunks"]["embedded"] == 0
    command = [sys.executable, "-m", "bench.knowledge", "engine", str(documents)]
    alone = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True, cwd=ROOT)
    return {
        "documents": documents,
        "first_seconds": round(seconds, 1),
        "unchanged_seconds": round(unchanged, 2),
        "own_memory_at_rest_mb": rest,
        "own_memory_after_mb": own,
        "of_it_engine_mb": float(alone.stdout),
        "resident_peak_mb": peak,
        "chunks": first["chunks"]["embedded"],
    }


@app.command(hidden=True)
def engine(documents: int) -> None:
    """Memory that Qdrant's engine takes for as many points as `filled` makes, with nothing else in the process."""

    async def measure() -> float:
        chance = random.Random(7)
        with tempfile.TemporaryDirectory() as directory:
            base = EmbeddedQdrant(Path(directory))
            await base.ensure_collection("c", 384)
            before = 0.0
            for start in range(0, documents, BATCH_SIZE):
                await base.upsert("c", [_point(index, chance) for index in range(start, start + BATCH_SIZE)])
                before = before or status_mb("self", "RssAnon")
            await base.flush("c")
            return status_mb("self", "RssAnon") - before

    print(round(asyncio.run(measure()), 1))


def _point(index: int, chance: random.Random) -> EmbeddedChunk:
    text = " ".join(chance.choice(WORDS) for _ in range(12))
    vector = [chance.gauss(0, 1) for _ in range(384)]
    chunk = Chunk(
        id=chunk_id("pages", str(index), "", (), text), source="pages", document=str(index), title="", text=text
    )
    return EmbeddedChunk(chunk, vector, 1)


@app.command()
def speed(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    """Throughput as a ratio, a refresh of nothing, memory."""

    async def measure() -> dict[str, Any]:
        ratio = await embedding_ratio()
        return {
            "embedding": ratio | {"ratio": round(ratio["pipeline"] / ratio["bare"], 3)},
            "documents_1000": await filled(1000),
            "documents_10000": await filled(10_000),
        }

    found = asyncio.run(measure())
    keep("knowledge-speed", found)
    console.print_json(json.dumps(found)) if not as_json else print(json.dumps(found))


@app.command()
def quality(
    sizes: Annotated[str, typer.Option(help="tokens of a chunk")] = "96,160,220",
    models: Annotated[str, typer.Option(help="Triton models")] = "embedder,embedder-fp32",
) -> None:
    """MRR@10, recall and nDCG of dense, sparse and hybrid search on the development set."""
    table = Table("model", "chunk tokens", "chunks", "search", "MRR@10", "recall@5", "recall@10", "nDCG@10")
    wanted = models.split(",")
    with tempfile.TemporaryDirectory() as directory, triton_server(Path(directory), tuple(wanted)) as server:
        rows = asyncio.run(search_quality(server.grpc, [int(size) for size in sizes.split(",")], wanted))
    for row in rows:
        table.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()))
    console.print(table)
    keep("knowledge-quality", rows)


if __name__ == "__main__":
    app()
