"""Composition root of ingest."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4
from zoneinfo import ZoneInfo

from services.ingest.api import router
from services.ingest.dependencies import IngestDependencies
from services.ingest.documents.reader import DocumentReader
from services.ingest.encounters.census import Census
from services.ingest.encounters.lookup import EncounterLookup
from services.ingest.encounters.parts import FhirRoute
from services.ingest.handlers import Ingest
from services.ingest.hl7.intake import Intake
from services.ingest.hl7.listener import MllpListener, tls_context
from services.ingest.hl7.resolver import VisitResolver
from services.ingest.hl7.senders_file import read_senders
from services.ingest.jwks_api import router as jwks_router
from services.ingest.notifications_api import router as notifications_router
from services.ingest.preparation.api import router as preparation_router
from services.ingest.preparation.census import Budget, NightlyPreparation
from services.ingest.preparation.handlers import Preparations
from services.ingest.publishers import EncounterPublisher
from services.ingest.refresh.api import router as refresh_router
from services.ingest.refresh.handlers import Refreshing
from services.ingest.refresh.service import RefreshService
from services.ingest.settings import IngestSettings
from shared.clinical.fhir_client import FhirClient
from shared.contracts.ehr import parse_encounter_changed, parse_encounter_reported
from shared.contracts.errors import PermanentError
from shared.contracts.subjects import CENSUS_TIMER, POLL_TIMER, REFRESH_TIMER, RETRY_TIMER, timer_filter
from shared.contracts.visits import parse_visit_reported
from shared.messaging.event_store import Clock
from shared.messaging.lost_timers import LostTimers
from shared.messaging.operator_requests import OperatorRequests
from shared.messaging.timers import REFRESHES
from shared.runtime.authentication import Authenticator, read_api_tokens
from shared.runtime.oidc import OidcProvider
from shared.runtime.service import Service, service_broker
from shared.runtime.start import start


def build(
    settings: IngestSettings,
    *,
    clock: Clock = lambda: datetime.now(UTC),
    new_id: Callable[[], str] = lambda: str(uuid4()),
    ehr: FhirClient | None = None,
) -> Service:
    """Build ingest without starting it. `ehr` replaces the configured client."""
    broker = service_broker("ingest", settings, clock)
    bus = broker.bus
    ingest = Ingest(bus, settings.organization, clock, settings.default_department)
    preparations = Preparations(
        bus, settings.organization, settings.default_department, settings.preparation_ends_after, clock
    )
    encounters = EncounterPublisher(bus, settings.default_department, new_id, clock)
    ehr = ehr or settings.ehr.connect()
    visits = VisitResolver(bus, ehr, encounters, settings.organization)
    census = Census(bus)
    fhir = FhirRoute(bus, ehr, encounters, census, settings, clock, new_id)
    listener = _listener(settings, Intake(bus, clock, census), clock, new_id)

    knowledge = settings.knowledge
    reader = DocumentReader()
    parsers = dict.fromkeys(("ingest-discharged", "ingest-cancelled", "ingest-pending"), parse_encounter_reported)
    read = {"ingest-visits": parse_visit_reported, "ingest-encounters": parse_encounter_changed}
    operator_requests = OperatorRequests(bus, "ingest", {**parsers, **read}, clock)
    refreshing = Refreshing(bus, knowledge.file, knowledge.tokenizer, reader, clock, new_id)
    refreshes = RefreshService(bus, refreshing, knowledge.uploads, reader, clock)

    timers = tuple(timer_filter(kind) for kind in (REFRESH_TIMER, RETRY_TIMER, POLL_TIMER, CENSUS_TIMER))
    lost_timers = LostTimers(bus, REFRESHES, timers, clock)

    broker.on_message("ingest-discharged", ingest.on_discharged)
    broker.on_message("ingest-cancelled", ingest.on_cancelled)
    nightly = NightlyPreparation(
        bus,
        ehr,
        encounters,
        settings.census.departments,
        settings.census.at,
        {name: settings.zones.of(name) or ZoneInfo("UTC") for name in settings.census.departments},
        Budget(settings.census.tokens, settings.census.tokens_per_stay),
        settings.census.planned_within,
        clock,
    )
    broker.on_message("ingest-census", nightly.on_timer)
    broker.on_message("ingest-pending", preparations.on_pending)
    broker.on_message("ingest-visits", visits.on_visit)
    broker.on_message("ingest-encounters", fhir.updates.on_updated)
    broker.on_message("ingest-poll", fhir.on_timer)
    broker.on_message("ingest-queue", refreshing.run_next)
    broker.on_message("ingest-prepare", refreshing.prepare, refreshing.give_up)
    broker.on_message("ingest-schedule", refreshing.on_timer)

    provider = OidcProvider(settings.oidc, clock) if settings.oidc.issuer else None
    authenticator = Authenticator(read_api_tokens(settings.tokens_file), provider)
    starts = (refreshing.start, fhir.start, nightly.start, lost_timers.start, operator_requests.start)
    closers = (lost_timers.close, reader.close, ehr.close, *((provider.close,) if provider else ()))
    return Service(
        broker,
        (router, preparation_router, notifications_router, refresh_router, jwks_router),
        IngestDependencies(
            authenticator,
            ingest,
            encounters,
            fhir.notifications,
            refreshes,
            preparations,
            EncounterLookup(bus, ehr if settings.fhir.poll_seconds else None),
            settings.ehr_client_jwks_file,
        ),
        starts=(*starts, *((listener.start,) if listener else ())),
        stops=(listener.stop,) if listener else (),
        closers=closers,
        gauges=(fhir.look, *((listener.look,) if listener else ())),
    )


def _listener(settings: IngestSettings, intake: Intake, clock: Clock, new_id: Callable[[], str]) -> MllpListener | None:
    """Return the listener for HL7v2; None where it is not configured.

    Raises PermanentError for senders that nobody could tell from others.
    """
    if not settings.hl7.port or settings.hl7.senders is None:
        return None
    senders = read_senders(settings.hl7.senders)
    tls_context(settings.hl7)  # reports a certificate that cannot be used
    anybody = [item.name for item in senders.senders if not item.peers]
    if settings.mode == "production" and anybody and settings.hl7.client_ca_file is None:
        raise PermanentError(
            f"{settings.hl7.senders}: {anybody[0]} needs `peers`, or set COUNTERSIGN_HL7_CLIENT_CA_FILE"
        )
    return MllpListener(settings.hl7, senders, intake, clock, new_id)


def main() -> None:
    start(IngestSettings, build)


if __name__ == "__main__":
    main()
