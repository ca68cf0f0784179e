"""Poll the EHR for Appointments that plan a discharge, where its server can be searched for them."""

import logging
import re
from collections.abc import Collection
from datetime import timedelta

from services.ingest.appointments import rules
from services.ingest.encounters.poll_watermark import key_of
from services.ingest.publishers import NotificationPublisher
from shared.clinical.elements import Resource, child, string
from shared.clinical.fhir_client import FhirClient
from shared.contracts.ehr import AppointmentChanged
from shared.contracts.errors import CountersignError
from shared.contracts.model import Model
from shared.contracts.subjects import FHIR_ID
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import Clock
from shared.messaging.recurring_timer import FailureAlert

logger = logging.getLogger(__name__)

KEY = "appointments"
MAX_KNOWN = 5_000  # Appointments that are remembered; publishing one twice changes nothing


class KnownAppointments(Model):
    """The Appointments that the last run found, as `id/version`: each version is published once."""

    known: tuple[str, ...] = ()


class AppointmentPoll:
    """Publishes Appointments of `types` that begin `within` that time, cancelled ones too. A failure is alerted, and
    does not hold up the poll of Encounters.
    """

    def __init__(
        self,
        bus: NatsConnection,
        ehr: FhirClient,
        publisher: NotificationPublisher,
        types: Collection[str],
        within: timedelta,
        clock: Clock,
    ) -> None:
        self._ehr, self._publisher, self._clock = ehr, publisher, clock
        self._types, self._within = frozenset(types), within
        self._alert = FailureAlert(bus, "warning", "appointment-poll-failing", clock)
        self._marks = Bucket(bus, "reconciled")

    async def run(self) -> None:
        """Do one run, unless no types are set or the server cannot be searched so."""
        if not self._types:
            return
        try:
            await self._run()
        except CountersignError as failure:
            logger.warning("the EHR could not be asked for Appointments: %s", failure.reason)
            await self._alert.failed(failure.reason)
            return
        self._alert.succeeded()

    async def _run(self) -> None:
        entry = await self._marks.get(KEY)
        known = frozenset(KnownAppointments.model_validate_json(entry.value).known) if entry else frozenset()
        found: list[str] = []
        now = self._clock()
        for parameter in rules.search_parameters(await self._ehr.capabilities()):
            search = rules.query(parameter, self._types, now, self._within)
            async for page in self._ehr.each_page("Appointment", search):
                for item in page.matches:
                    if (key := await self._consider(item, known)) is not None:
                        found.append(key)
        latest = KnownAppointments(known=tuple(sorted(set(found)))[:MAX_KNOWN])
        await self._marks.put(KEY, latest.model_dump_json().encode())

    async def _consider(self, appointment: Resource, known: Collection[str]) -> str | None:
        """Publish an Appointment of a new version; return its key. None for what is no such Appointment."""
        id = appointment.get("id")
        if appointment.get("resourceType") != "Appointment" or not isinstance(id, str) or not _is_id(id):
            return None
        if not rules.is_discharge(appointment, self._types):  # a server may ignore the parameter
            return None
        key, version = key_of(appointment), string(child(appointment, "meta"), "versionId")
        if key not in known:
            await self._publisher.publish([AppointmentChanged(appointment_id=id, version=version and version[:64])])
        return key


def _is_id(value: str) -> bool:
    return re.fullmatch(FHIR_ID, value) is not None
