"""The parts of ingest. Each registers its handlers with the broker and lists what to start, close and measure."""

from collections.abc import Callable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from services.ingest.documents.reader import DocumentReader
from services.ingest.encounters.lookup import EncounterLookup
from services.ingest.encounters.parts import FhirDischargeIntake
from services.ingest.encounters.visit_index import VisitIndex
from services.ingest.handlers import Ingest
from services.ingest.hl7.intake import Intake
from services.ingest.hl7.listener import MllpListener, tls_context
from services.ingest.hl7.resolver import VisitResolver
from services.ingest.hl7.senders_file import read_senders
from services.ingest.preparation.handlers import Preparations
from services.ingest.preparation.nightly_preparation import NightlyPreparation, SearchBudget
from services.ingest.publishers import EncounterPublisher
from services.ingest.refresh.handlers import Refreshing
from services.ingest.refresh.service import RefreshService
from services.ingest.settings import IngestSettings
from shared.clinical.fhir_client import FhirClient
from shared.contracts.ehr import parse_appointment_changed, parse_encounter_changed, parse_encounter_reported
from shared.contracts.errors import PermanentError
from shared.contracts.subjects import CENSUS_TIMER, POLL_TIMER, REFRESH_TIMER, RETRY_TIMER, timer_filter
from shared.contracts.visits import parse_visit_reported
from shared.messaging.broker import ServiceBroker
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import Clock
from shared.messaging.lost_timers import LostTimers
from shared.messaging.operator_requests import OperatorRequests
from shared.messaging.timers import REFRESHES
from shared.runtime.authentication import Authenticator, read_api_tokens
from shared.runtime.oidc import OidcProvider
from shared.runtime.service import Part, service_broker


@dataclass(frozen=True, slots=True)
class Core:
    """What several parts of ingest work with."""

    settings: IngestSettings
    broker: ServiceBroker
    clock: Clock
    new_id: Callable[[], str]
    ehr: FhirClient
    encounters: EncounterPublisher
    census: VisitIndex

    @property
    def bus(self) -> NatsConnection:
        return self.broker.bus


def core(settings: IngestSettings, clock: Clock, new_id: Callable[[], str], ehr: FhirClient | None) -> Core:
    """Build what several parts share. `ehr` replaces the configured client."""
    broker = service_broker("ingest", settings, clock)
    encounters = EncounterPublisher(broker.bus, settings.default_department, new_id, clock)
    return Core(settings, broker, clock, new_id, ehr or settings.ehr.connect(), encounters, VisitIndex(broker.bus))


def discharges(core: Core) -> Ingest:
    """Open and withdraw cases by the reports of the EHR stream."""
    ingest = Ingest(core.bus, core.settings.organization, core.clock, core.settings.default_department)
    core.broker.on_message("ingest-discharged", ingest.on_discharged)
    core.broker.on_message("ingest-cancelled", ingest.on_cancelled)
    return ingest


def fhir_route(core: Core) -> tuple[FhirDischargeIntake, Part]:
    """Build the reception of discharges by FHIR notifications and by polling."""
    fhir = FhirDischargeIntake(core.bus, core.ehr, core.encounters, core.census, core.settings, core.clock, core.new_id)
    core.broker.on_message("ingest-encounters", fhir.updates.on_updated)
    core.broker.on_message("ingest-appointments", fhir.appointments.on_updated)
    core.broker.on_message("ingest-poll", fhir.on_timer)
    return fhir, Part(starts=(fhir.start,), closers=(core.ehr.close,), gauges=(fhir.update_gauges,))


def hl7_feed(core: Core) -> Part:
    """Listen for ADT messages where that is configured, and resolve the visits that they name.

    Raises PermanentError for senders that nobody could tell from others.
    """
    visits = VisitResolver(core.bus, core.ehr, core.encounters, core.settings.organization)
    core.broker.on_message("ingest-visits", visits.on_visit)
    hl7 = core.settings.hl7
    if not hl7.port or hl7.senders is None:
        return Part()
    senders = read_senders(hl7.senders)
    tls_context(hl7)  # reports a certificate that cannot be used
    anybody = [item.name for item in senders.senders if not item.peers]
    if core.settings.mode == "production" and anybody and hl7.client_ca_file is None:
        raise PermanentError(f"{hl7.senders}: {anybody[0]} needs `peers`, or set COUNTERSIGN_HL7_CLIENT_CA_FILE")
    listener = MllpListener(hl7, senders, Intake(core.bus, core.clock, core.census), core.clock, core.new_id)
    return Part(starts=(listener.start,), stops=(listener.stop,), gauges=(listener.update_gauges,))


def preparations(core: Core) -> tuple[Preparations, Part]:
    """Prepare drafts before the discharge: on request, and each night for a department."""
    settings, census = core.settings, core.settings.census
    prepared = Preparations(
        core.bus, settings.organization, settings.default_department, settings.preparation_ends_after, core.clock
    )
    nightly = NightlyPreparation(
        core.bus,
        core.ehr,
        core.encounters,
        census.departments,
        census.at,
        {name: settings.zones.of(name) or ZoneInfo("UTC") for name in census.departments},
        SearchBudget(census.tokens, census.tokens_per_stay),
        census.planned_within,
        core.clock,
    )
    core.broker.on_message("ingest-pending", prepared.on_pending)
    core.broker.on_message("ingest-census", nightly.on_timer)
    return prepared, Part(starts=(nightly.start,))


def knowledge(core: Core) -> tuple[RefreshService, Part]:
    """Refresh the knowledge base."""
    paths, reader = core.settings.knowledge, DocumentReader()
    refreshing = Refreshing(core.bus, paths.file, paths.tokenizer, reader, core.clock, core.new_id)
    core.broker.on_message("ingest-queue", refreshing.run_next)
    core.broker.on_message("ingest-prepare", refreshing.prepare, refreshing.on_retries_exhausted)
    core.broker.on_message("ingest-schedule", refreshing.on_timer)
    refreshes = RefreshService(core.bus, refreshing, paths.uploads, reader, core.clock)
    return refreshes, Part(starts=(refreshing.start,), closers=(reader.close,))


def recovery(core: Core) -> Part:
    """Set timers again that were lost, and carry out what operators ask for."""
    timers = tuple(timer_filter(kind) for kind in (REFRESH_TIMER, RETRY_TIMER, POLL_TIMER, CENSUS_TIMER))
    lost_timers = LostTimers(core.bus, REFRESHES, timers, core.clock)
    reports = dict.fromkeys(("ingest-discharged", "ingest-cancelled", "ingest-pending"), parse_encounter_reported)
    others = {
        "ingest-visits": parse_visit_reported,
        "ingest-encounters": parse_encounter_changed,
        "ingest-appointments": parse_appointment_changed,
    }
    requests = OperatorRequests(core.bus, "ingest", {**reports, **others}, core.clock)
    return Part(starts=(lost_timers.start, requests.start), closers=(lost_timers.close,))


def authentication(core: Core) -> tuple[Authenticator, Part]:
    """Authenticate callers by tokens of the file and of the identity provider."""
    oidc = core.settings.oidc
    provider = OidcProvider(oidc, core.clock) if oidc.issuer else None
    authenticator = Authenticator(read_api_tokens(core.settings.tokens_file), provider)
    return authenticator, Part(closers=(provider.close,) if provider else ())


def encounter_lookup(core: Core) -> EncounterLookup:
    """Look up whether the EHR knows an Encounter, where ingest may read it."""
    return EncounterLookup(core.bus, core.ehr if core.settings.fhir.poll_seconds else None)
