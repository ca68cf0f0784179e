"""Composition root of the embedder."""

from datetime import UTC, datetime

from services.embedder.handlers import PEAK_TIMER, Embedding
from services.embedder.settings import EmbedderSettings
from shared.inference.embeddings import Embedder, TritonEmbedder
from shared.knowledge.vector_store import VectorStore
from shared.messaging.event_store import Clock
from shared.messaging.lost_timers import LostTimers
from shared.messaging.timers import REFRESHES
from shared.messaging.topology import EMBED
from shared.runtime.service import Service, service_broker
from shared.runtime.start import start


def build(
    settings: EmbedderSettings,
    *,
    clock: Clock = lambda: datetime.now(UTC),
    embedder: Embedder | None = None,
    base: VectorStore | None = None,
) -> Service:
    """Build the embedder without starting it. A `base` that is passed in is not closed."""
    broker = service_broker("embedder", settings, clock)
    embedder = embedder or TritonEmbedder(settings.triton.url, settings.triton.embedder_model)
    closers = [embedder.close]
    if base is None:
        base = settings.qdrant.connect()
        closers.append(base.close)
    embedding = Embedding(broker.bus, settings.knowledge.file, embedder, base, clock)

    lost_timers = LostTimers(broker.bus, REFRESHES, (PEAK_TIMER,), clock)
    closers.append(lost_timers.close)

    broker.on_message(EMBED, embedding.embed, embedding.on_embed_retries_exhausted)
    broker.on_message("embedder-settle", embedding.finish_version, embedding.on_finish_retries_exhausted)
    broker.on_message("embedder-retain", embedding.retain)
    broker.on_message("embedder-peak", embedding.on_peak)
    return Service(
        broker,
        starts=(embedding.start, lost_timers.start),
        checks={"triton-embedder": embedder.ready, "qdrant": base.ready},
        closers=tuple(closers),
    )


def main() -> None:
    start(EmbedderSettings, build)


if __name__ == "__main__":
    main()
