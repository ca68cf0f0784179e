"""Composition root of the evaluator."""

from datetime import UTC, datetime

from services.evaluator.api import make_router
from services.evaluator.handlers import Evaluation
from services.evaluator.service import KnowledgeService
from services.evaluator.settings import EvaluatorSettings
from shared.inference.embeddings import Embedder, TritonEmbedder
from shared.knowledge.retriever import Retriever
from shared.knowledge.vector_store import VectorStore
from shared.messaging.connection import Bus
from shared.messaging.steps import Clock, Steps
from shared.runtime.authentication import Authenticator, read_api_tokens
from shared.runtime.oidc import OidcProvider
from shared.runtime.service import Service
from shared.runtime.start import start


def build(
    settings: EvaluatorSettings,
    *,
    clock: Clock = lambda: datetime.now(UTC),
    embedder: Embedder | None = None,
    base: VectorStore | None = None,
) -> Service:
    """Everything the evaluator needs, built and not started. A `base` that is handed over stays the caller's."""
    steps = Steps("evaluator", clock)
    embedder = embedder or TritonEmbedder(settings.triton.url, settings.triton.embedder_model)
    closers = [embedder.close]
    if base is None:
        base = settings.qdrant.connect()
        closers.append(base.close)
    retriever = Retriever(embedder, base)
    evaluation = Evaluation(steps, settings.knowledge.file, retriever, base, clock)
    desk = KnowledgeService(settings.knowledge.file, retriever, base, clock)

    async def on_connect(bus: Bus) -> None:
        evaluation.attach(bus)
        desk.attach(bus)

    provider = OidcProvider(settings.oidc, clock) if settings.oidc.issuer else None
    if provider is not None:
        closers.append(provider.close)
    guard = Authenticator(read_api_tokens(settings.tokens_file), provider)
    return Service(
        "evaluator",
        settings.nats_url,
        settings.nats_ca_file,
        settings.seed,
        steps,
        on_connect,
        make_router(desk, guard),
        checks={"triton-embedder": embedder.ready, "qdrant": base.ready},
        closers=tuple(closers),
        looks=(desk.collect_gauges,),
    )


def main() -> None:
    start(EvaluatorSettings, build)


if __name__ == "__main__":
    main()
