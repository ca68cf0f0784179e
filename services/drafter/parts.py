"""The parts of the drafter: the core that they share, the steps of a case, and the evaluations."""

from dataclasses import dataclass
from functools import partial
from time import perf_counter

from services.drafter.configurations import (
    DeclaredDrafters,
    Drafters,
    ModelOf,
    RegisteredDrafters,
    declare_drafters,
)
from services.drafter.evaluation import DraftEvaluation
from services.drafter.evaluation_metrics import sentence_similarities
from services.drafter.handlers import Drafter
from services.drafter.kinds import load_kinds
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
from shared.messaging.broker import ServiceBroker
from shared.messaging.drafter_registry import DrafterRegistry
from shared.messaging.evaluations import EvaluationLog
from shared.messaging.event_store import Clock
from shared.runtime.service import Part, service_broker


@dataclass(frozen=True, slots=True)
class Core:
    """What drafts and evaluations share. `part` has what is checked and closed of it."""

    settings: DrafterSettings
    clock: Clock
    broker: ServiceBroker
    documents: Documents
    models: Models
    registry: DrafterRegistry
    embedder: Embedder
    retriever: Retriever | None
    part: Part

    def model_of(self, priority: int) -> ModelOf:
        """Return what finds models by name, for requests of one priority."""
        return partial(self.models.of, priority=priority)

    def writer(self, drafters: Drafters, priority: int) -> DraftWriter:
        return DraftWriter(
            drafters, self.settings.generation_deadline, self.retriever, self.documents, priority=priority
        )


def core(
    settings: DrafterSettings,
    clock: Clock,
    generator: Generator | None,
    embedder: Embedder | None,
    base: VectorStore | None,
) -> Core:
    """Build what is shared. `generator` and `embedder` take the place of the real ones; a `base` that is handed over
    stays the caller's. Without a Qdrant, drafts cite nothing.
    """
    broker = service_broker("drafter", settings, clock, settings.master_keys)
    kinds = load_kinds(settings.document_kinds)
    models = Models(settings, broker.bus, clock, generator)
    closers = [models.close]
    if base is None and settings.qdrant.url is not None:
        base = settings.qdrant.connect()
        closers.append(base.close)
    embedder = embedder or TritonEmbedder(settings.triton.url, settings.triton.embedder_model)
    closers.append(embedder.close)
    model = settings.triton.drafter_model
    ready = models.of(model, INTERACTIVE_PRIORITY).generator.ready
    return Core(
        settings,
        clock,
        broker,
        Documents(kinds, read_departments(settings.department_wording, kinds.all)),
        models,
        DrafterRegistry(broker.bus, "drafter", clock),
        embedder,
        Retriever(broker.bus, embedder, base) if base is not None else None,
        Part(checks={models.check_name(model): ready}, closers=tuple(closers), gauges=(models.collect_gauges,)),
    )


def drafts(core: Core, ehr: FhirClient | None) -> Part:
    """Build the steps of a case: read the stay, draft, prepare. `ehr` replaces the configured client.

    What settings and files declare is recorded at the start, before the first draft.
    """
    settings, broker = core.settings, core.broker
    ehr = ehr or settings.ehr.connect()
    interactive, batch = core.model_of(INTERACTIVE_PRIORITY), core.model_of(BATCH_PRIORITY)
    kinds = core.documents.kinds
    drafter = Drafter(
        broker.bus,
        ehr,
        kinds,
        core.writer(RegisteredDrafters(core.registry, interactive), INTERACTIVE_PRIORITY),
        core.writer(RegisteredDrafters(core.registry, batch), BATCH_PRIORITY),
        settings.zones.of,
        core.clock,
        identifiers=core.models.pseudonymise,
    )
    broker.on(EXTRACT, drafter.extract)
    broker.on(DRAFT, drafter.draft)
    broker.on(PREPARE, drafter.prepare)
    declared = DeclaredDrafters(
        interactive, settings.triton.drafter_model, settings.narrative_policy, core.models.served
    )
    return Part(
        starts=(partial(declare_drafters, core.registry, declared, kinds),),
        checks={"ehr": ehr.ready},
        closers=(ehr.close,),
    )


def evaluations(core: Core) -> Part:
    """Build the evaluations, which draft stays again by two configurations. They need no EHR."""
    evaluation = DraftEvaluation(
        core.broker.bus,
        core.registry,
        core.model_of(BATCH_PRIORITY),
        partial(core.writer, priority=BATCH_PRIORITY),
        EvaluationLog(core.broker.bus, "drafter", core.clock),
        perf_counter,
        partial(sentence_similarities, core.embedder, core.settings.triton.embedder_model, priority=BATCH_PRIORITY),
        core.documents.kinds,
    )
    core.broker.on_message("drafter-evaluate", evaluation.receive)
    return Part()
