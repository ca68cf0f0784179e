"""Composition of the FHIR route to discharges: notifications, the poll, and what decides about them."""

from collections.abc import Callable
from datetime import timedelta

from nats.aio.msg import Msg

from services.ingest.appointments.poll import AppointmentPoll
from services.ingest.appointments.updates import AppointmentUpdates
from services.ingest.encounters.poll import EncounterPoll
from services.ingest.encounters.poll_timer import PollTimer
from services.ingest.encounters.updates import EncounterUpdates
from services.ingest.encounters.visit_index import VisitIndex
from services.ingest.encounters.watch import SubscriptionWatch
from services.ingest.notification_service import NotificationService
from services.ingest.publishers import EncounterPublisher, NotificationPublisher
from services.ingest.settings import IngestSettings
from services.ingest.subscription_state import SubscriptionStates
from services.ingest.subscriptions import read_subscriptions
from shared.clinical.fhir_client import FhirClient
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import Clock

UNPOLLED = timedelta(days=3650)  # interval without a poll: only notifications set the timer


class FhirDischargeIntake:
    """The parts of the route. Raises PermanentError for a file of Subscriptions that cannot be used."""

    def __init__(
        self,
        bus: NatsConnection,
        ehr: FhirClient,
        encounters: EncounterPublisher,
        census: VisitIndex,
        settings: IngestSettings,
        clock: Clock,
        new_id: Callable[[], str],
    ) -> None:
        fhir, organization = settings.fhir, settings.organization
        subscriptions = read_subscriptions(fhir.subscriptions)
        publisher, states = NotificationPublisher(bus, new_id), SubscriptionStates(bus, clock)
        self._polls = fhir.poll_seconds > 0
        timer = PollTimer(bus, timedelta(seconds=fhir.poll_seconds) if self._polls else UNPOLLED, clock)
        self._watch = SubscriptionWatch(bus, ehr, publisher, subscriptions, states, clock)
        planned, types = settings.appointments, settings.appointments.types
        appointments = AppointmentPoll(bus, ehr, publisher, types, planned.within, clock)
        self._poll = EncounterPoll(bus, ehr, publisher, census, self._watch, appointments, timer, fhir.since, clock)
        self.notifications = NotificationService(publisher, subscriptions, states, timer)
        departments = subscriptions.departments
        self.updates = EncounterUpdates(bus, ehr, encounters, organization, departments, fhir.since, clock)
        self.appointments = AppointmentUpdates(bus, ehr, encounters, types, planned.within, departments, clock)

    async def start(self) -> None:
        """Set the timer of the poll, unless it is set or the poll is off."""
        if self._polls:
            await self._poll.timer.start()

    async def on_timer(self, message: Msg) -> None:
        await self._poll.on_timer(message)

    async def update_gauges(self) -> None:
        """Set the gauges."""
        if self._polls:
            await self._poll.update_gauges()
        await self._watch.update_gauges()
