"""Composition root of the evaluator."""

import asyncio
from datetime import UTC, datetime
from functools import partial

from services.evaluator.api import router
from services.evaluator.canary_watch import CONSUMER as COMPARE
from services.evaluator.canary_watch import CanaryWatch
from services.evaluator.dependencies import EvaluatorDependencies
from services.evaluator.drafter_gauges import DrafterGauges
from services.evaluator.drafters import DrafterService
from services.evaluator.drafters_api import router as drafters_router
from services.evaluator.drift_api import router as drift_router
from services.evaluator.drift_watch import DriftWatch
from services.evaluator.evaluation_progress import ProgressReader
from services.evaluator.evaluation_sets import EvaluationSets
from services.evaluator.evaluation_sets_api import router as sets_router
from services.evaluator.evaluations import CONSUMER as EVALUATE
from services.evaluator.evaluations import Evaluations
from services.evaluator.evaluations_api import router as evaluations_router
from services.evaluator.feedback_api import router as feedback_router
from services.evaluator.feedback_projection import CONSUMER as FEEDBACK
from services.evaluator.feedback_projection import FeedbackProjection
from services.evaluator.handlers import Evaluation
from services.evaluator.models_api import router as models_router
from services.evaluator.service import KnowledgeService
from services.evaluator.settings import EvaluatorSettings
from services.evaluator.signed_stays import SignedStays
from services.evaluator.web.knowledge import router as knowledge_pages
from services.evaluator.web.knowledge_actions import router as knowledge_actions
from services.evaluator.web.render import templates
from services.evaluator.web.routes import pages
from shared.inference.embeddings import Embedder, TritonEmbedder
from shared.knowledge.retriever import Retriever
from shared.knowledge.vector_store import VectorStore
from shared.messaging.drafter_registry import DrafterRegistry
from shared.messaging.evaluations import EvaluationLog
from shared.messaging.event_store import Clock
from shared.runtime.authentication import Authenticator, read_api_tokens
from shared.runtime.oidc import OidcProvider
from shared.runtime.remote_sessions import RemoteSessions
from shared.runtime.service import Service, service_broker
from shared.runtime.start import start
from shared.web.render import assets_router


def build(
    settings: EvaluatorSettings,
    *,
    clock: Clock = lambda: datetime.now(UTC),
    embedder: Embedder | None = None,
    base: VectorStore | None = None,
) -> Service:
    """Build the evaluator without starting it. A `base` that is passed in is not closed."""
    broker = service_broker("evaluator", settings, clock)
    embedder = embedder or TritonEmbedder(settings.triton.url, settings.triton.embedder_model)
    closers = [embedder.close]
    if base is None:
        base = settings.qdrant.connect()
        closers.append(base.close)
    retriever = Retriever(broker.bus, embedder, base)
    evaluation = Evaluation(broker.bus, settings.knowledge.file, retriever, base, clock)
    knowledge_service = KnowledgeService(broker.bus, settings.knowledge.file, retriever, base, clock)
    broker.on_message("evaluator-judge", evaluation.judge, evaluation.give_up)
    registry = DrafterRegistry(broker.bus, "evaluator", clock)
    log = EvaluationLog(broker.bus, "evaluator", clock)
    evaluations = Evaluations(log)
    broker.on_message(EVALUATE, evaluations.receive)
    drift = DriftWatch(broker.bus, settings.drift_decisions)
    watch = CanaryWatch(broker.bus, registry, evaluations, settings.canary_evidence, drift)
    broker.on_message(COMPARE, watch.receive)
    feedback = FeedbackProjection(broker.bus, registry)
    broker.on_message(FEEDBACK, feedback.receive)
    sets = EvaluationSets(log, SignedStays(broker.bus))
    drafters = DrafterService(registry, watch, drift, evaluations, sets, feedback)
    gauges = DrafterGauges(registry, watch, drift, evaluations, ProgressReader(broker.bus), clock)
    provider = OidcProvider(settings.oidc, clock) if settings.oidc.issuer else None
    if provider is not None:
        closers.append(provider.close)
    sessions = RemoteSessions(settings.approval_url, settings.public) if settings.approval_url else None
    if sessions is not None:
        closers.append(sessions.close)
    authenticator = Authenticator(read_api_tokens(settings.tokens_file), provider, sessions, public=settings.public)
    return Service(
        broker,
        # Evaluations and drift first: the path of a move is /{digest}/{move}.
        (
            router,
            evaluations_router,
            drift_router,
            drafters_router,
            feedback_router,
            sets_router,
            models_router,
            knowledge_pages,
            knowledge_actions,
            *pages,
            assets_router,
        ),
        EvaluatorDependencies(authenticator, knowledge_service, drafters, clock),
        starts=(evaluation.start, partial(asyncio.to_thread, templates.compile)),
        checks={"triton-embedder": embedder.ready, "qdrant": base.ready},
        closers=tuple(closers),
        gauges=(knowledge_service.collect_gauges, gauges.collect),
    )


def main() -> None:
    start(EvaluatorSettings, build)


if __name__ == "__main__":
    main()
