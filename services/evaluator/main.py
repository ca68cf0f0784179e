"""Composition root of the evaluator."""

from datetime import UTC, datetime

from services.evaluator import parts
from services.evaluator.routes import ROUTERS
from services.evaluator.settings import EvaluatorSettings
from shared.inference.embeddings import Embedder
from shared.knowledge.vector_store import VectorStore
from shared.messaging.event_store import Clock
from shared.runtime.service import Service, service_broker
from shared.runtime.start import start


def build(
    settings: EvaluatorSettings,
    *,
    clock: Clock = lambda: datetime.now(UTC),
    embedder: Embedder | None = None,
    base: VectorStore | None = None,
) -> Service:
    """Build the evaluator without starting it. A `base` that is passed in is not closed."""
    core = parts.Core(settings, service_broker("evaluator", settings, clock), clock)
    knowledge, of_knowledge = parts.knowledge(core, embedder, base)
    drafters, of_drafters = parts.drafters(core)
    dependencies, of_http = parts.http_interface(core, knowledge, drafters)
    return Service.of_parts(core.broker, (of_knowledge, of_drafters, of_http), ROUTERS, dependencies)


def main() -> None:
    start(EvaluatorSettings, build)


if __name__ == "__main__":
    main()
