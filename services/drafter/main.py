"""Composition root of the drafter."""

from datetime import UTC, datetime

from services.drafter.handlers import Drafter
from services.drafter.settings import DrafterSettings
from shared.clinical.fhir import FhirClient
from shared.inference.embed import Embedder, TritonEmbedder
from shared.inference.generate import Generator, TritonGenerator
from shared.knowledge.base import KnowledgeBase
from shared.knowledge.retrieve import Retriever
from shared.messaging.connection import Bus
from shared.messaging.steps import Clock, Steps
from shared.runtime.service import Service
from shared.runtime.start import start


def build(
    settings: DrafterSettings,
    *,
    clock: Clock = lambda: datetime.now(UTC),
    ehr: FhirClient | None = None,
    generator: Generator | None = None,
    embedder: Embedder | None = None,
    base: KnowledgeBase | None = None,
) -> Service:
    """Everything the drafter needs, built and not started. `ehr`, `generator` and `embedder` take the place of the real
    ones; a `base` that is handed over stays the caller's. Without a Qdrant, drafts cite nothing.
    """
    steps = Steps("drafter", clock)
    ehr = ehr or settings.ehr.connect()
    generator = generator or TritonGenerator(settings.triton.url, settings.triton.drafter_model)
    closers = [generator.close, ehr.close]
    if base is None and settings.qdrant.url is not None:
        base = settings.qdrant.connect()
        closers.append(base.close)
    retriever: Retriever | None = None
    if base is not None:
        embedder = embedder or TritonEmbedder(settings.triton.url, settings.triton.embedder_model)
        closers.append(embedder.close)
        retriever = Retriever(embedder, base)
    drafter = Drafter(
        steps, ehr, generator, settings.generation_deadline, retriever, settings.zones.of, settings.narrative_policy
    )

    async def on_connect(bus: Bus) -> None:
        drafter.attach(bus)

    return Service(
        "drafter",
        settings.nats_url,
        settings.nats_ca_file,
        settings.seed,
        steps,
        on_connect,
        checks={"triton": generator.ready, "ehr": ehr.ready},
        closers=tuple(closers),
    )


def main() -> None:
    start(DrafterSettings, build)


if __name__ == "__main__":
    main()
