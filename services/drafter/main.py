"""Composition root of the drafter."""

from datetime import UTC, datetime

from services.drafter import parts
from services.drafter.settings import DrafterSettings
from shared.clinical.fhir_client import FhirClient
from shared.inference.embeddings import Embedder
from shared.inference.generation import Generator
from shared.knowledge.vector_store import VectorStore
from shared.messaging.event_store import Clock
from shared.runtime.service import Service
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
    """Build the drafter without starting it: all of its work, or the part that `settings.drafter_work` names.

    `ehr`, `generator` and `embedder` replace the configured clients; a `base` that is handed over stays the caller's.
    """
    core = parts.core(settings, clock, generator, embedder, base)
    made_of = [core.part]
    if settings.drafter_work != "evaluations":
        made_of.append(parts.drafts(core, ehr))
    if settings.drafter_work != "drafts":
        made_of.append(parts.evaluations(core))
    return Service.of_parts(core.broker, made_of, (), None)


def main() -> None:
    start(DrafterSettings, build)


if __name__ == "__main__":
    main()
