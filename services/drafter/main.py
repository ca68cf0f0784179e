"""Composition root of the drafter."""

from datetime import UTC, datetime

from services.drafter.handlers import Drafter
from services.drafter.settings import DrafterSettings
from shared.clinical.connect import connect_ehr
from shared.clinical.fhir import FhirClient
from shared.inference.generate import Generator, TritonGenerator
from shared.messaging.connection import Bus
from shared.messaging.steps import Clock, Steps
from shared.runtime.service import Service, serve


def build(
    settings: DrafterSettings,
    *,
    clock: Clock = lambda: datetime.now(UTC),
    ehr: FhirClient | None = None,
    generator: Generator | None = None,
) -> Service:
    """Everything the drafter needs, built and not started. `ehr` and `generator` take the place of the real ones."""
    steps = Steps("drafter", clock)
    ehr = ehr or connect_ehr(settings.ehr.url, settings.ehr.token, settings.ehr.connections)
    generator = generator or TritonGenerator(settings.triton.url, settings.triton.drafter_model)
    drafter = Drafter(steps, ehr, generator, settings.generation_deadline)

    async def on_connect(bus: Bus) -> None:
        drafter.attach(bus)

    return Service(
        "drafter",
        settings.nats_url,
        settings.seed,
        steps,
        on_connect,
        checks={"triton": generator.ready, "ehr": ehr.ready},
        closers=(generator.close, ehr.close),
    )


def main() -> None:
    settings = DrafterSettings()
    serve(build(settings), settings.host, settings.port)


if __name__ == "__main__":
    main()
