"""Verify the audit chain in the background, a few cases in each run: digests, state transitions, documents in the EHR.

The position is stored: verification continues after a restart, and several processes share the work. Each run also
reads the durability and the storage of the NATS server into gauges.
"""

import logging

from services.approval.case_verification.case import verify_case
from shared.clinical.fhir_client import FhirClient
from shared.contracts.subjects import CaseRef, case_filter, parse_case_subject
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.messaging.dead_letter_queue import publish_alert
from shared.messaging.event_store import STREAM, EventStore, raw_message_of
from shared.messaging.server_status import read_durability
from shared.telemetry import instruments
from shared.telemetry.metric_definitions import SCOPE

logger = logging.getLogger(__name__)

CASES_PER_RUN = 10  # two or three requests to the EHR each
KEY = "patrol"


class AuditChainVerifier:
    """Verifies cases in the order in which they were opened; after the last one it starts again with the first."""

    def __init__(self, bus: NatsConnection, monitor: str, ehr: FhirClient) -> None:
        self._monitor = monitor
        self._ehr = ehr
        self._bus = bus
        self._event_store = EventStore(bus, "approval")
        self._positions = Bucket(bus, "reconciled")

    async def start(self) -> None:
        instruments.increment("countersign.trail.faults", 0)
        instruments.increment("countersign.trail.verified", 0)

    async def collect_gauges(self) -> None:
        await self._verify_next_cases()
        await self._collect_server_gauges()

    async def _verify_next_cases(self) -> None:
        entry = await self._positions.get(KEY)
        at = int(entry.value) if entry is not None else 1
        query = {"seq": at, "next_by_subj": case_filter("discharged"), "batch": CASES_PER_RUN}
        page = [raw_message_of(message) for message in await self._bus.direct_get(STREAM, query)]
        for item in page:
            await self._verify(parse_case_subject(item.subject)[0])
            at = item.sequence + 1
        following = at if len(page) == CASES_PER_RUN else 1
        try:
            await self._positions.put(KEY, str(following).encode(), revision=entry.revision if entry else 0)
        except WrongSequenceError:
            return  # another process has verified these cases

    async def _collect_server_gauges(self) -> None:
        room = await self._bus.storage_usage()
        if room.limit is not None:
            instruments.set_gauge("countersign.nats.storage.used", room.stored / room.limit, {SCOPE: "account"})
        if not self._monitor:
            return
        found = await read_durability(self._monitor)
        instruments.set_gauge("countersign.nats.sync_always", int(found.sync_always))
        if found.certificate_ends is not None:
            left = found.certificate_ends - found.now
            instruments.set_gauge("countersign.nats.certificate.left", left.total_seconds())
        if found.may_store:
            instruments.set_gauge("countersign.nats.storage.used", found.stored / found.may_store, {SCOPE: "server"})

    async def _verify(self, case: CaseRef) -> None:
        stored = await self._event_store.stored(case.filter)
        found = await verify_case(case.id, stored, self._ehr)
        faults = [fault for fault in found.faults if not fault.unanswered]
        if not faults:
            instruments.increment("countersign.trail.verified", len(stored))
            return
        instruments.increment("countersign.trail.faults")
        for fault in faults:
            logger.error("%s", fault)
        first = faults[0]
        await publish_alert(
            self._bus,
            "critical",
            "trail-broken",
            id=case.id,
            case=case.id,
            event=first.event,
            sequence=first.sequence,
            reason=first.reason,
        )
