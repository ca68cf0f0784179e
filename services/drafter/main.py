"""Composition root of the drafter."""

from datetime import UTC, datetime

from services.drafter.handlers import Drafter
from services.drafter.kinds import KindRegistry, load_kinds
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
    models = Models(settings, broker.bus, clock, generator)
    documents = _documents(settings, kinds, models, INTERACTIVE_PRIORITY)
    batch = _documents(settings, kinds, models, BATCH_PRIORITY)
    drafting = models.of(settings.triton.drafter_model, INTERACTIVE_PRIORITY)
    background = models.of(settings.triton.drafter_model, BATCH_PRIORITY)
    closers = [models.close, ehr.close]
    if base is None and settings.qdrant.url is not None:
        base = settings.qdrant.connect()
        closers.append(base.close)
    retriever: Retriever | None = None
    if base is not None:
        embedder = embedder or TritonEmbedder(settings.triton.url, settings.triton.embedder_model)
        closers.append(embedder.close)
        retriever = Retriever(broker.bus, embedder, base)
    deadline, policy = settings.generation_deadline, settings.narrative_policy
    drafter = Drafter(
        broker.bus,
        ehr,
        documents.kinds,
        DraftWriter(drafting, deadline, retriever, policy, documents),
        DraftWriter(background, deadline, retriever, policy, batch, priority=BATCH_PRIORITY),
        settings.zones.of,
        clock,
    )

    broker.on(EXTRACT, drafter.extract)
    broker.on(DRAFT, drafter.draft)
    broker.on(PREPARE, drafter.prepare)
    model_check = models.check_name(settings.triton.drafter_model)
    return Service(broker, checks={model_check: drafting.generator.ready, "ehr": ehr.ready}, closers=tuple(closers))


def _documents(settings: DrafterSettings, kinds: KindRegistry, models: Models, priority: int) -> Documents:
    """Return kinds, wording and models as they are declared.

    Raises PermanentError for what is declared wrongly: a service must not start with it.
    """
    departments = read_departments(settings.department_wording, kinds.all)
    named = kinds.models - {settings.triton.drafter_model}
    return Documents(kinds, departments, {name: models.of(name, priority) for name in sorted(named)})


def main() -> None:
    start(DrafterSettings, build)


if __name__ == "__main__":
    main()
