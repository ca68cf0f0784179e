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
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, get_args

import psutil
import typer
import yaml
from rich.console import Console
from rich.table import Table

from cli.client import Api
from cli.connections import open_embedded_bus
from cli.stack import triton
from cli.stack.access import read_access
from cli.stack.ports import free_port
from services.evaluator import golden, retrieval_metrics
from services.ingest.documents import formats
from services.ingest.documents.chunking import chunk
from services.ingest.refresh.prepare import token_counter
from shared.contracts.knowledge import BATCH_SIZE, Chunk, SearchMode, chunk_id
from shared.contracts.refresh import BatchReady
from shared.inference.embeddings import TritonEmbedder
from shared.inference.triton import BATCH_PRIORITY, INTERACTIVE_PRIORITY
from shared.knowledge.embedded_qdrant import EmbeddedQdrant
from shared.knowledge.vector_store import CANDIDATES_PER_METHOD, EmbeddedChunk, VectorQuery
from shared.messaging.refreshes import RefreshLog
from tests.support.triton import triton_server

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"
DEVELOPMENT = ROOT.parent / "shared" / "data" / "retrieval"
TRITON_PYTHON = triton.ENVIRONMENT / "bin" / "python"
WORDS = (
    "patient",
    "dose",
    "daily",
    "pain",
    "fever",
    "oral",
    "renal",
    "blood",
    "heart",
    "lung",
    "care",
    "visit",
    "week",
)

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__)
console = Console()


def write_pages(folder: Path, number: int, words: int) -> None:
    """`number` documents of `words` words each, no two alike; the same in every run."""
    chance = random.Random(7)
    folder.mkdir(parents=True)
    for index in range(number):
        body = " ".join(chance.choice(WORDS) for _ in range(words))
        (folder / f"page-{index:05}.md").write_text(f"# Page {index}\n\nNumber {index}: {body}.\n")


def development_pages(folder: Path) -> None:
    folder.mkdir(parents=True)
    for line in (DEVELOPMENT / "documents.jsonl").read_text().splitlines():
        page = json.loads(line)
        (folder / f"{page['id']}.md").write_text(f"# {page['title']}\n\n{page['text']}\n")


def declare(folder: Path) -> Path:
    file = folder / "knowledge.yaml"
    file.write_text(yaml.safe_dump({"sources": [{"name": "pages", "kind": "guideline", "folder": "pages"}]}))
    return file


class Running:
    """A stack with one refresh after the other."""

    def __init__(self, data_dir: Path, process: psutil.Process) -> None:
        access = read_access(data_dir)
        self.data_dir = data_dir
        self.process = process
        self.operator = Api(access.base_url, access.tokens["operator"])

    async def refresh(self) -> tuple[dict[str, Any], float]:
        """The refresh as it ended, and the seconds from the request to its end."""
        started = time.perf_counter()
        begun = await self.operator("POST", "/v1/knowledge/refreshes")
        while True:
            found: dict[str, Any] = await self.operator("GET", f"/v1/knowledge/refreshes/{begun['refresh']}")
            if found["ended"]:
                return found, time.perf_counter() - started
            await asyncio.sleep(0.05)

    def memory_mb(self, name: str) -> float:
        """A figure of /proc/…/status: VmHWM, the highest resident; RssAnon, what is the process's own by now.

        The rest is Qdrant's files, mapped: the kernel takes those pages back when it needs them.
        """
        return _status_mb(self.process.pid, name)


@asynccontextmanager
async def running(
    file: Path, *, model: str = "drafter-scripted", data_dir: Path | None = None
) -> AsyncIterator[Running]:
    """`countersign up`, in a directory of its own where none is named."""
    with tempfile.TemporaryDirectory(prefix="countersign-bench-") as directory:
        data_dir = data_dir or Path(directory)
        command = [str(ROOT / ".venv" / "bin" / "countersign"), "up", "--data-dir", str(data_dir)]
        command += ["--port", str(free_port()), "--drafter-model", model, "--knowledge", str(file)]
        process = await asyncio.create_subprocess_exec(
            *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
        )
        assert process.stdout is not None
        await process.stdout.readline()
        stack = Running(data_dir, psutil.Process(process.pid))
        try:
            yield stack
        finally:
            await stack.operator.close()
            process.terminate()
            await process.wait()


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


def _status_mb(process: int | str, name: str) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith(name))
    return round(int(line.split()[1]) / 1024, 1)


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
                before = before or _status_mb("self", "RssAnon")
            await base.flush("c")
            return _status_mb("self", "RssAnon") - before

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
        rows = asyncio.run(_quality(server.grpc, [int(size) for size in sizes.split(",")], wanted))
    for row in rows:
        table.add_row(*(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()))
    console.print(table)
    keep("knowledge-quality", rows)


async def _quality(url: str, sizes: list[int], models: list[str]) -> list[dict[str, Any]]:
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
                await _fill(base, embedder, model, chunks)
                for mode in get_args(SearchMode):
                    row = await _row(base, embedder, model, mode, queries)
                    rows.append({"model": model, "size": size, "chunks": len(chunks), "search": mode} | row)
                await base.close()
    await embedder.close()
    return rows


async def _fill(base: EmbeddedQdrant, embedder: TritonEmbedder, model: str, chunks: list[Chunk]) -> None:
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


def keep(name: str, found: object) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    app()
