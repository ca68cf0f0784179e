"""Composition root of the embedder."""

from datetime import UTC, datetime

from services.embedder.handlers import PEAK_TIMER, Embedding
from services.embedder.settings import EmbedderSettings
from shared.inference.embeddings import Embedder, TritonEmbedder
from shared.knowledge.vector_store import VectorStore
from shared.messaging.connection import Bus
from shared.messaging.lost_timers import LostTimers
from shared.messaging.steps import Clock, Steps
from shared.messaging.timers import REFRESHES
from shared.runtime.service import Service
from shared.runtime.start import start


def build(
    settings: EmbedderSettings,
    *,
    clock: Clock = lambda: datetime.now(UTC),
    embedder: Embedder | None = None,
    base: VectorStore | None = None,
) -> Service:
    """Everything the embedder needs, built and not started. A `base` that is handed over stays the caller's."""
    steps = Steps("embedder", clock)
    embedder = embedder or TritonEmbedder(settings.triton.url, settings.triton.embedder_model)
    closers = [embedder.close]
    if base is None:
        base = settings.qdrant.connect()
        closers.append(base.close)
    embedding = Embedding(steps, settings.knowledge.file, embedder, base, clock)

    lost_timers = LostTimers(REFRESHES, (PEAK_TIMER,), clock)
    closers.append(lost_timers.close)

    async def on_connect(bus: Bus) -> None:
        await embedding.attach(bus)
        lost_timers.attach(bus)

    return Service(
        "embedder",
        settings.nats_url,
        settings.nats_ca_file,
        settings.seed,
        steps,
        on_connect,
        checks={"triton-embedder": embedder.ready, "qdrant": base.ready},
        closers=tuple(closers),
    )


def main() -> None:
    start(EmbedderSettings, build)


if __name__ == "__main__":
    main()
