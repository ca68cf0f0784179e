"""Composition root of the evaluator."""

from datetime import UTC, datetime

from services.evaluator.api import router
from services.evaluator.dependencies import EvaluatorDependencies
from services.evaluator.desk import KnowledgeDesk
from services.evaluator.handlers import Evaluation
from services.evaluator.settings import EvaluatorSettings
from shared.inference.embed import Embedder, TritonEmbedder
from shared.knowledge.base import KnowledgeBase
from shared.knowledge.retrieve import Retriever
from shared.messaging.journal import Clock
from shared.runtime.access import Guard, read_grants
from shared.runtime.oidc import Provider
from shared.runtime.service import Service, service_broker
from shared.runtime.start import start


def build(
    settings: EvaluatorSettings,
    *,
    clock: Clock = lambda: datetime.now(UTC),
    embedder: Embedder | None = None,
    base: KnowledgeBase | None = None,
) -> Service:
    """Everything the evaluator needs, built and not started. A `base` that is handed over stays the caller's."""
    broker = service_broker("evaluator", settings, clock)
    embedder = embedder or TritonEmbedder(settings.triton.url, settings.triton.embedder_model)
    closers = [embedder.close]
    if base is None:
        base = settings.qdrant.connect()
        closers.append(base.close)
    retriever = Retriever(broker.bus, embedder, base)
    evaluation = Evaluation(broker.bus, settings.knowledge.file, retriever, base, clock)
    desk = KnowledgeDesk(broker.bus, settings.knowledge.file, retriever, base, clock)
    broker.on_message("evaluator-judge", evaluation.judge, evaluation.give_up)
    provider = Provider(settings.oidc, clock) if settings.oidc.issuer else None
    if provider is not None:
        closers.append(provider.close)
    guard = Guard(read_grants(settings.tokens_file), provider)
    return Service(
        broker,
        (router,),
        EvaluatorDependencies(guard, desk),
        starts=(evaluation.start,),
        checks={"triton-embedder": embedder.ready, "qdrant": base.ready},
        closers=tuple(closers),
        looks=(desk.look,),
    )


def main() -> None:
    start(EvaluatorSettings, build)


if __name__ == "__main__":
    main()
