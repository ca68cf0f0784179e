"""Composition root of ingest."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

from services.ingest import parts
from services.ingest.api import router
from services.ingest.dependencies import IngestDependencies
from services.ingest.jwks_api import router as jwks_router
from services.ingest.notifications_api import router as notifications_router
from services.ingest.preparation.api import router as preparation_router
from services.ingest.refresh.api import router as refresh_router
from services.ingest.settings import IngestSettings
from shared.clinical.fhir_client import FhirClient
from shared.messaging.event_store import Clock
from shared.runtime.service import Service
from shared.runtime.start import start

ROUTERS = (router, preparation_router, notifications_router, refresh_router, jwks_router)


def build(
    settings: IngestSettings,
    *,
    clock: Clock = lambda: datetime.now(UTC),
    new_id: Callable[[], str] = lambda: str(uuid4()),
    ehr: FhirClient | None = None,
) -> Service:
    """Build ingest without starting it. `ehr` replaces the configured client."""
    core = parts.core(settings, clock, new_id, ehr)
    authenticator, authentication = parts.authentication(core)
    fhir, fhir_route = parts.fhir_route(core)
    refreshes, knowledge = parts.knowledge(core)
    prepared, preparations = parts.preparations(core)
    dependencies = IngestDependencies(
        authenticator,
        parts.discharges(core),
        core.encounters,
        fhir.notifications,
        refreshes,
        prepared,
        parts.encounter_lookup(core),
        settings.ehr_client_jwks_file,
    )
    made_of = (knowledge, fhir_route, preparations, parts.recovery(core), parts.hl7_feed(core), authentication)
    return Service.of_parts(core.broker, made_of, ROUTERS, dependencies)


def main() -> None:
    start(IngestSettings, build)


if __name__ == "__main__":
    main()
