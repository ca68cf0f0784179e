"""The parts of the evaluator: the knowledge base, drafter configurations, and the HTTP interface of both."""

import asyncio
from dataclasses import dataclass
from functools import partial

from services.evaluator.decision_projection import CONSUMER as COMPARE
from services.evaluator.decision_projection import DecisionProjection
from services.evaluator.dependencies import EvaluatorDependencies
from services.evaluator.drafter_gauges import DrafterGauges
from services.evaluator.drafters import DrafterService
from services.evaluator.drift_watch import DriftWatch
from services.evaluator.evaluation_progress import ProgressReader
from services.evaluator.evaluation_sets import EvaluationSets
from services.evaluator.evaluations import CONSUMER as EVALUATE
from services.evaluator.evaluations import Evaluations
from services.evaluator.feedback_projection import CONSUMER as FEEDBACK
from services.evaluator.feedback_projection import FeedbackProjection
from services.evaluator.knowledge_handlers import KnowledgeEvaluation
from services.evaluator.knowledge_service import KnowledgeService
from services.evaluator.settings import EvaluatorSettings
from services.evaluator.signed_stays import SignedStays
from services.evaluator.web.render import templates
from shared.inference.embeddings import Embedder, TritonEmbedder
from shared.knowledge.retriever import Retriever
from shared.knowledge.vector_store import VectorStore
from shared.messaging.broker import ServiceBroker
from shared.messaging.drafter_registry import DrafterRegistry
from shared.messaging.evaluations import EvaluationLog
from shared.messaging.event_store import Clock
from shared.runtime.authentication import Authenticator, read_api_tokens
from shared.runtime.oidc import OidcProvider
from shared.runtime.remote_sessions import RemoteSessions
from shared.runtime.service import Hook, Part


@dataclass(frozen=True, slots=True)
class Core:
    """What the parts share."""

    settings: EvaluatorSettings
    broker: ServiceBroker
    clock: Clock


def knowledge(core: Core, embedder: Embedder | None, base: VectorStore | None) -> tuple[KnowledgeService, Part]:
    """Build what evaluates and searches versions of the knowledge base, and changes which is live.

    What is passed in takes the place of what the settings name; a `base` that is passed in is not closed.
    """
    settings, bus = core.settings, core.broker.bus
    embedder = embedder or TritonEmbedder(settings.triton.url, settings.triton.embedder_model)
    closers: tuple[Hook, ...] = (embedder.close,)
    if base is None:
        base = settings.qdrant.connect()
        closers = (*closers, base.close)
    retriever = Retriever(bus, embedder, base)
    evaluation = KnowledgeEvaluation(bus, settings.knowledge.file, retriever, base, core.clock)
    service = KnowledgeService(bus, settings.knowledge.file, retriever, base, core.clock)
    core.broker.on_message("evaluator-judge", evaluation.evaluate, evaluation.on_retries_exhausted)
    part = Part(
        starts=(evaluation.start,),
        checks={"triton-embedder": embedder.ready, "qdrant": base.ready},
        closers=closers,
        gauges=(service.collect_gauges,),
    )
    return service, part


def drafters(core: Core) -> tuple[DrafterService, Part]:
    """Evaluate candidates, compare canaries, watch live configurations, count what physicians change."""
    bus, clock = core.broker.bus, core.clock
    registry, log = DrafterRegistry(bus, "evaluator", clock), EvaluationLog(bus, "evaluator", clock)
    evaluations, feedback = Evaluations(log, registry), FeedbackProjection(bus, registry)
    drift = DriftWatch(bus, core.settings.drift_decisions)
    watch = DecisionProjection(bus, registry, evaluations, core.settings.canary_evidence, drift)
    core.broker.on_message(EVALUATE, evaluations.receive)
    core.broker.on_message(COMPARE, watch.receive)
    core.broker.on_message(FEEDBACK, feedback.receive)
    sets = EvaluationSets(log, SignedStays(bus))
    gauges = DrafterGauges(registry, watch, drift, evaluations, ProgressReader(bus), clock)
    return DrafterService(registry, watch, drift, evaluations, sets, feedback), Part(gauges=(gauges.collect,))


def http_interface(core: Core, base: KnowledgeService, service: DrafterService) -> tuple[EvaluatorDependencies, Part]:
    """Build authentication and the objects of the routes. Browsers are signed in by approval."""
    settings = core.settings
    provider = OidcProvider(settings.oidc, core.clock) if settings.oidc.issuer else None
    sessions = RemoteSessions(settings.approval_url, settings.public) if settings.approval_url else None
    authenticator = Authenticator(read_api_tokens(settings.tokens_file), provider, sessions, public=settings.public)
    part = Part(
        starts=(partial(asyncio.to_thread, templates.compile),),
        closers=tuple(item.close for item in (provider, sessions) if item is not None),
    )
    return EvaluatorDependencies(authenticator, base, service, core.clock), part
