"""Goes round the trail, a few documents at a time, and holds every link of their cases against the event before it.

It also asks the server whether it still keeps its promise, on disk before it is acknowledged, and how much room it has.
"""

import logging

from shared.contracts.case import broken_link
from shared.contracts.failures import PermanentError
from shared.contracts.subjects import CaseRef, parse_case_subject
from shared.messaging.connection import Bus
from shared.messaging.deadletter import alert
from shared.messaging.journal import STREAM, Journal
from shared.messaging.monitor import read_durability
from shared.telemetry import instruments
from shared.telemetry.catalogue import SCOPE

logger = logging.getLogger(__name__)

CASES_A_ROUND = 20


class Patrol:
    """Verifies filed cases in the order they were filed, and begins again at the end of the trail."""

    def __init__(self, monitor: str) -> None:
        self._monitor = monitor
        self._next = 1

    def attach(self, bus: Bus) -> None:
        self._bus = bus
        self._journal = Journal(bus, "approval")
        instruments.add("countersign.trail.faults", 0)
        instruments.add("countersign.trail.verified", 0)

    async def look(self) -> None:
        query = {"seq": self._next, "next_by_subj": "discharge.*.*.filed", "batch": CASES_A_ROUND}
        page = await self._bus.direct_get(STREAM, query)
        for message in page:
            headers = message.headers or {}
            case, _ = parse_case_subject(headers["Nats-Subject"])
            await self._verify(case)
            self._next = int(headers["Nats-Sequence"]) + 1
        if len(page) < CASES_A_ROUND:
            self._next = 1
        await self._look_at_the_server()

    async def _look_at_the_server(self) -> None:
        room = await self._bus.room()
        if room.limit is not None:
            instruments.level("countersign.nats.storage.used", room.stored / room.limit, {SCOPE: "account"})
        if not self._monitor:
            return
        found = await read_durability(self._monitor)
        instruments.level("countersign.nats.sync_always", int(found.sync_always))
        if found.certificate_ends is not None:
            left = found.certificate_ends - found.now
            instruments.level("countersign.nats.certificate.left", left.total_seconds())
        if found.may_store:
            instruments.level("countersign.nats.storage.used", found.stored / found.may_store, {SCOPE: "server"})

    async def _verify(self, case: CaseRef) -> None:
        try:
            history = await self._journal.history(case)
            broken = broken_link(history)
        except PermanentError:  # an event cannot even be read any more
            history, broken = [], 0
        if broken is None:
            instruments.add("countersign.trail.verified", len(history))
            return
        instruments.add("countersign.trail.faults")
        logger.error("case %s: event %d does not follow from the one before it", case.id, broken)
        await alert(self._bus, "critical", "trail-broken", id=case.id, case=case.id, event=broken)
