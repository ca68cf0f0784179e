"""Composition root of the drafter."""

from datetime import UTC, datetime

from services.drafter.handlers import Documents, Drafter
from services.drafter.kinds import load_kinds
from services.drafter.settings import DrafterSettings
from services.drafter.wording import read_departments
from shared.clinical.fhir_client import FhirClient
from shared.contracts.steps import DRAFT, EXTRACT
from shared.inference.embeddings import Embedder, TritonEmbedder
from shared.inference.generation import Generator, TritonGenerator
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
    documents = _documents(settings, generator)
    generator = generator or TritonGenerator(settings.triton.url, settings.triton.drafter_model)
    closers = [generator.close, *(item.close for item in documents.generators.values()), ehr.close]
    if base is None and settings.qdrant.url is not None:
        base = settings.qdrant.connect()
        closers.append(base.close)
    retriever: Retriever | None = None
    if base is not None:
        embedder = embedder or TritonEmbedder(settings.triton.url, settings.triton.embedder_model)
        closers.append(embedder.close)
        retriever = Retriever(broker.bus, embedder, base)
    drafter = Drafter(
        broker.bus,
        ehr,
        generator,
        settings.generation_deadline,
        retriever,
        settings.zones.of,
        settings.narrative_policy,
        documents,
    )

    broker.on(EXTRACT, drafter.extract)
    broker.on(DRAFT, drafter.draft)
    return Service(broker, checks={"triton": generator.ready, "ehr": ehr.ready}, closers=tuple(closers))


def _documents(settings: DrafterSettings, generator: Generator | None) -> Documents:
    """Kinds and wording as they are declared. A `generator` that is handed over writes for every model.

    Raises PermanentError for what is declared wrongly: a service must not start with it.
    """
    kinds = load_kinds(settings.document_kinds)
    departments = read_departments(settings.department_wording, kinds.all)
    models = kinds.models - {settings.triton.drafter_model} if generator is None else frozenset()
    return Documents(kinds, departments, {name: TritonGenerator(settings.triton.url, name) for name in sorted(models)})


def main() -> None:
    start(DrafterSettings, build)


if __name__ == "__main__":
    main()
