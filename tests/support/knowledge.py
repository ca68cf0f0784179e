"""The knowledge base's three services in this process on a real nats-server, with Qdrant's own engine."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import yaml
from fastapi import FastAPI
from pydantic import SecretStr

from cli.stack.secrets import write_tokens
from cli.stack.triton import EMBEDDER
from services.embedder.main import build as build_embedder
from services.embedder.settings import EmbedderSettings
from services.evaluator.main import build as build_evaluator
from services.evaluator.settings import EvaluatorSettings
from services.ingest.main import build as build_ingest
from services.ingest.settings import IngestSettings
from shared.knowledge.embedded_qdrant import EmbeddedQdrant
from shared.knowledge.vector_store import VectorStore
from shared.messaging.connection import NatsConnection
from shared.runtime.service import Service, create_app
from shared.runtime.settings import KnowledgeSettings
from tests.support.embedder import HashEmbedder
from tests.support.server import NatsServer
from tests.support.service_settings import make_settings
from tests.support.stack import until

TOPICS = (
    "stroke", "asthma", "influenza", "sepsis", "anaemia", "gout", "migraine", "eczema", "malaria", "scurvy", "rickets",
    "cholera", "measles", "mumps", "tetanus", "leprosy", "typhoid", "scabies", "botulism", "tularaemia",
)  # fmt: skip


class Library:
    """A folder of documents with its file and golden queries, as a hospital would have them."""

    def __init__(self, folder: Path, topics: tuple[str, ...] = TOPICS) -> None:
        self.folder = folder
        self.documents = folder / "documents"
        self.documents.mkdir(parents=True)
        self.file = folder / "knowledge.yaml"
        self.declaration: dict[str, Any] = {
            "sources": [{"name": "library", "kind": "guideline", "folder": "documents"}],
            "golden": "golden.jsonl",
            "attempts_apart": 1,
        }
        for topic in topics:
            self.write(topic)
        self.ask(topics)
        self.declare()

    def declare(self, **changes: Any) -> None:
        self.declaration |= changes
        self.file.write_text(yaml.safe_dump(self.declaration))

    def write(self, topic: str, words: str = "rest and water") -> None:
        text = f"# {topic}\n\n## Signs\nHow {topic} shows.\n\n## Care\nThe care of {topic} is {words}.\n"
        (self.documents / f"{topic}.md").write_text(text)

    def ask(self, topics: tuple[str, ...], problems: tuple[str, ...] = (), unknown: tuple[str, ...] = ()) -> None:
        """Golden queries on the `topics`; on `problems` by their names, and on those that the library does not know."""
        lines: list[dict[str, Any]] = [
            {"id": topic, "query": f"care of {topic}", "relevant": [topic]} for topic in topics
        ]
        lines += [{"id": f"p-{name}", "problem": name, "relevant": [name]} for name in problems]
        lines += [{"id": f"u-{name}", "problem": name, "relevant": []} for name in unknown]
        (self.folder / "golden.jsonl").write_text("\n".join(map(json.dumps, lines)))


class KnowledgeStack:
    """The running services as tests see them."""

    def __init__(self, server: NatsServer, app: FastAPI, base: VectorStore, embedder: HashEmbedder) -> None:
        self.server = server
        self.base = base
        self.embedder = embedder
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://countersign.test")

    async def call(self, role: str, method: str, path: str, **sent: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.server.secrets.tokens[role]}"}
        return await self.http.request(method, f"/v1/knowledge{path}", headers=headers, **sent)

    async def begin(self, **wanted: Any) -> str:
        response = await self.call("operator", "POST", "/refreshes", json=wanted or None)
        assert response.status_code == 202, response.text
        return str(response.json()["refresh"])

    async def ended(self, refresh: str) -> dict[str, Any]:
        async def there() -> dict[str, Any] | None:
            found: dict[str, Any] = (await self.call("operator", "GET", f"/refreshes/{refresh}")).json()
            return found if found.get("ended") else None

        found: dict[str, Any] = await until(there, f"refresh {refresh} to end")
        return found

    async def refresh(self, **wanted: Any) -> dict[str, Any]:
        return await self.ended(await self.begin(**wanted))

    async def search(self, text: str, at: int | None = None, k: int = 3) -> list[dict[str, Any]]:
        params = {"q": text, "k": k} | ({"at": at} if at is not None else {})
        response = await self.call("physician", "GET", "/search", params=params)
        assert response.status_code == 200, response.text
        items: list[dict[str, Any]] = response.json()["items"]
        return items

    async def status(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self.call("auditor", "GET", "")).json()
        return found

    async def live(self) -> int | None:
        live = (await self.status())["live"]
        return live["version"] if live else None

    async def bus(self) -> NatsConnection:
        return await self.server.connect("admin")


def build_services(
    server: NatsServer, file: Path, base: VectorStore, embedder: HashEmbedder, embedders: int = 1
) -> list[Service]:
    tokens = server.directory / "tokens.json"
    write_tokens(tokens, server.secrets.tokens)
    knowledge = KnowledgeSettings(file=file, tokenizer=EMBEDDER / "tokenizer.json", uploads=file.parent / "uploads")

    def common(service: str) -> dict[str, Any]:
        return {
            "nats_url": server.url,
            "nats_seed": SecretStr(server.secrets.seeds[service]),
            "tokens_file": tokens,
            "knowledge": knowledge,
        }

    return [
        build_ingest(make_settings(IngestSettings, **common("ingest"))),
        *(
            build_embedder(make_settings(EmbedderSettings, **common("embedder")), embedder=embedder, base=base)
            for _ in range(embedders)
        ),
        build_evaluator(make_settings(EvaluatorSettings, **common("evaluator")), embedder=embedder, base=base),
    ]


@asynccontextmanager
async def running(
    server: NatsServer, file: Path, embedder: HashEmbedder | None = None, embedders: int = 1
) -> AsyncIterator[KnowledgeStack]:
    """The services on a server that is provisioned already; vectors beside the server's data."""
    embedder = embedder or HashEmbedder()
    base = EmbeddedQdrant(server.directory / "qdrant")
    app = create_app(build_services(server, file, base, embedder, embedders))
    async with AsyncExitStack() as stack:
        stack.push_async_callback(base.close)
        await stack.enter_async_context(app.router.lifespan_context(app))
        found = KnowledgeStack(server, app, base, embedder)
        stack.push_async_callback(found.http.aclose)
        yield found
