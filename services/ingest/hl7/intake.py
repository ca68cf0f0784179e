"""Store the facts of a message before it is acknowledged."""

import asyncio

from services.ingest.encounters.visit_index import VisitIndex
from services.ingest.hl7.adt import census_visit
from services.ingest.hl7.receive import FrameOutcome
from services.ingest.stored_reports import ADT_SOURCE
from shared.contracts.envelope import sha256_hex
from shared.contracts.errors import PermanentError, TransientError
from shared.contracts.subjects import visit_subject
from shared.contracts.visits import IdentifierValue, VisitReported, visit_token
from shared.messaging.connection import NatsConnection
from shared.messaging.dead_letter_queue import publish_alert
from shared.messaging.event_store import Clock

STORE_TIMEOUT_S = 2.0  # senders wait 5 s for an answer by default (Mirth's responseTimeout)


class NotStoredError(Exception):
    """The message is not stored, so it must not be answered: its sender sends it again."""


class Intake:
    """Stores facts on the EHR stream, and raises an alert for a message that yields none."""

    def __init__(self, bus: NatsConnection, clock: Clock, census: VisitIndex) -> None:
        self._bus, self._clock, self._census = bus, clock, census

    async def store(self, outcome: FrameOutcome) -> None:
        """Store what the outcome's message reports. Raises NotStoredError."""
        fact, problem = outcome.assessment.fact, outcome.assessment.problem
        try:
            async with asyncio.timeout(STORE_TIMEOUT_S):
                if (visit := _census_visit(outcome)) is not None:
                    await self._census.admit(visit, self._clock().toordinal())
                if fact is not None:
                    await self._publish(fact)
                elif problem is not None and problem.kind == "error":  # the sender must not send it again
                    await self._alert(
                        "adt-refused", outcome, code=problem.code, location=problem.location, reason=problem.text
                    )
        except (TransientError, PermanentError, TimeoutError):
            raise NotStoredError from None

    async def report_broken_frame(self, outcome: FrameOutcome) -> None:
        """Alert people to a frame that broke off. Raises NotStoredError."""
        try:
            async with asyncio.timeout(STORE_TIMEOUT_S):
                await self._alert("adt-frame-broken", outcome, reason=outcome.assessment.reason)
        except (TransientError, PermanentError, TimeoutError):
            raise NotStoredError from None

    async def _publish(self, fact: VisitReported) -> None:
        token = visit_token(fact.visit.value if fact.visit is not None else fact.key)
        id = f"visit/{fact.key}"
        headers = {
            "ce-specversion": "1.0",
            "ce-id": id,
            "ce-type": "countersign.ehr.visit.v1",
            "ce-source": ADT_SOURCE,
            "content-type": "application/json",
        }
        body = fact.model_dump_json(exclude_none=True).encode()
        await self._bus.publish(visit_subject(fact.event, token), body, stream="EHR", headers=headers, id=id)

    async def _alert(self, kind: str, outcome: FrameOutcome, **facts: str) -> None:
        """Publish an alert: one for a message that is sent again and again, and one a minute for broken frames."""
        message = outcome.message
        minute = self._clock().strftime("%Y%m%dT%H%M")
        which = sha256_hex("\r".join(message.segments[1:]).encode("latin-1")) if message is not None else minute
        sender = outcome.sender.name
        await publish_alert(self._bus, "warning", kind, id=f"{sender}-{which[:32]}", sender=sender, **facts)


def _census_visit(outcome: FrameOutcome) -> IdentifierValue | None:
    """Return the visit that a message keeps in the census; None for none, and for a message that is refused."""
    if outcome.message is None or outcome.assessment.problem is not None:
        return None
    return census_visit(outcome.message, outcome.sender)
