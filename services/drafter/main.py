"""Composition root of the drafter."""

from datetime import UTC, datetime
from functools import partial
from time import perf_counter

from services.drafter.configurations import DeclaredDrafters, RegisteredDrafters, declare_drafters
from services.drafter.evaluation import DraftEvaluation
from services.drafter.handlers import Drafter
from services.drafter.kinds import load_kinds
from services.drafter.measures import sentence_similarities
from services.drafter.models import Models
from services.drafter.settings import DrafterSettings
from services.drafter.wording import read_departments
from services.drafter.writing import Documents, DraftWriter
from shared.clinical.fhir_client import FhirClient
from shared.contracts.steps import DRAFT, EXTRACT, PREPARE
from shared.inference.embeddings import Embedder, TritonEmbedder
from shared.inference.generation import Generator
from shared.inference.triton import BATCH_PRIORITY, INTERACTIVE_PRIORITY
from shared.knowledge.retriever import Retriever
from shared.knowledge.vector_store import VectorStore
from shared.messaging.drafter_registry import DrafterRegistry
from shared.messaging.evaluations import EvaluationLog
from shared.messaging.event_store import Clock
from shared.runtime.service import Service, service_broker
from shared.runtime.start import start


def build(
    settings: DrafterSettings,
    *,
    clock: Clock = lambda: datetime.now(UTC),
    ehr: FhirClient | None = None,
    generator: Generator | None = None,
    embedder: Embedder | None = None,
    base: VectorStore | None = None,
) -> Service:
    """Everything the drafter needs, built and not started. `ehr`, `generator` and `embedder` take the place of the real
    ones; a `base` that is handed over stays the caller's. Without a Qdrant, drafts cite nothing.
    """
    broker = service_broker("drafter", settings, clock, settings.master_keys)
    ehr = ehr or settings.ehr.connect()
    kinds = load_kinds(settings.document_kinds)
    documents = Documents(kinds, read_departments(settings.department_wording, kinds.all))
    models = Models(settings, broker.bus, clock, generator)
    interactive, batch = (partial(models.of, priority=item) for item in (INTERACTIVE_PRIORITY, BATCH_PRIORITY))
    model = settings.triton.drafter_model
    declared = DeclaredDrafters(interactive, model, settings.narrative_policy, models.served)
    registry = DrafterRegistry(broker.bus, "drafter", clock)
    closers = [models.close, ehr.close]
    if base is None and settings.qdrant.url is not None:
        base = settings.qdrant.connect()
        closers.append(base.close)
    embedder = embedder or TritonEmbedder(settings.triton.url, settings.triton.embedder_model)
    closers.append(embedder.close)
    retriever = Retriever(broker.bus, embedder, base) if base is not None else None
    deadline = settings.generation_deadline
    drafter = Drafter(
        broker.bus,
        ehr,
        kinds,
        DraftWriter(RegisteredDrafters(registry, interactive), deadline, retriever, documents),
        DraftWriter(RegisteredDrafters(registry, batch), deadline, retriever, documents, priority=BATCH_PRIORITY),
        settings.zones.of,
        clock,
        identifiers=models.pseudonymise,
    )

    broker.on(EXTRACT, drafter.extract)
    broker.on(DRAFT, drafter.draft)
    broker.on(PREPARE, drafter.prepare)
    evaluation = DraftEvaluation(
        broker.bus,
        registry,
        batch,
        lambda drafters: DraftWriter(drafters, deadline, retriever, documents, priority=BATCH_PRIORITY),
        EvaluationLog(broker.bus, "drafter", clock),
        perf_counter,
        partial(sentence_similarities, embedder, settings.triton.embedder_model, priority=BATCH_PRIORITY),
    )
    broker.on_message("drafter-evaluate", evaluation.receive)
    return Service(
        broker,
        starts=(partial(declare_drafters, registry, declared, kinds),),
        checks={models.check_name(model): interactive(model).generator.ready, "ehr": ehr.ready},
        closers=tuple(closers),
        gauges=(models.collect_gauges,),
    )


def main() -> None:
    start(DrafterSettings, build)


if __name__ == "__main__":
    main()
