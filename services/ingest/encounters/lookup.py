"""Tell a caller at once whether the EHR knows the encounter: without it nothing can be drafted."""

import asyncio
import logging
from typing import Literal

from shared.clinical.fhir_client import FhirClient, NotFoundError
from shared.contracts.errors import CountersignError
from shared.contracts.subjects import CaseRef
from shared.messaging.connection import NatsConnection
from shared.messaging.dead_letter_queue import publish_alert

logger = logging.getLogger(__name__)

Known = Literal["known", "unknown", "unchecked"]
LOOKUP_TIMEOUT_S = 1.0  # the report is stored already, so its sender need not wait for a slow EHR


class EncounterLookup:
    """Looks an encounter up in the EHR; `ehr` None: ingest may not read it."""

    def __init__(self, bus: NatsConnection, ehr: FhirClient | None) -> None:
        self._bus, self._ehr = bus, ehr

    async def check(self, encounter_id: str, case: CaseRef) -> Known:
        """Return whether the EHR knows the encounter, and alert where it does not: FHIR may lag, or the id is wrong."""
        if self._ehr is None:
            return "unchecked"
        try:
            async with asyncio.timeout(LOOKUP_TIMEOUT_S):
                await self._ehr.read("Encounter", encounter_id)
        except NotFoundError:
            await self._alert_unknown(case)
            return "unknown"
        except (CountersignError, TimeoutError):
            return "unchecked"
        return "known"

    async def _alert_unknown(self, case: CaseRef) -> None:
        reason = "the EHR does not know the Encounter that was reported as discharged: check its id"
        try:
            await publish_alert(
                self._bus,
                "warning",
                "encounter-unknown",
                id=case.id,
                case=case.id,
                department=case.department,
                reason=reason,
                page=f"/reviews/{case.id}",
            )
        except CountersignError as failure:  # the response says the same, so a lost alert is no loss
            logger.warning("an alert was not sent: %s", failure.reason)
