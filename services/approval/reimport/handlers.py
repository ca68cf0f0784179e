"""Handle requests to reimport a case: append what the chart shows, then end timers and Tasks."""

import logging
from collections.abc import Awaitable, Callable, Sequence

from nats.aio.msg import Msg

from services.approval.reimport.plan import VerifiedEvent, event_id
from services.approval.reimport.plans import plan_by_profile
from shared.clinical.fhir_client import FhirClient
from shared.contracts.case import fold
from shared.contracts.ehr import ReimportRequested, parse_reimport_requested
from shared.contracts.envelope import CHAIN_START, RecordedEvent
from shared.contracts.errors import ErasedError, PermanentError, TransientError
from shared.contracts.events import Actor, WriteBackProfile
from shared.contracts.subjects import CaseRef
from shared.messaging.artifacts import Artifacts
from shared.messaging.connection import NatsConnection
from shared.messaging.dead_letter_queue import publish_alert
from shared.messaging.event_store import EventStore, WrongExpectedVersionError
from shared.messaging.steps import Clock

logger = logging.getLogger(__name__)


class Reimport:
    """Reimports cases. Repeated requests and crashes append each signature once."""

    def __init__(
        self,
        bus: NatsConnection,
        ehr: FhirClient,
        organization: str,
        clock: Clock,
        profile: Callable[[], Awaitable[WriteBackProfile]],
    ) -> None:
        """`profile` is that of new documents."""
        self._profile = profile
        self._ehr = ehr
        self._organization = organization
        self._clock = clock
        self._bus = bus
        self._event_store = EventStore(bus, "approval")
        self._artifacts = Artifacts(bus)

    async def on_requested(self, message: Msg) -> None:
        """Handle a request. Nothing is written into the chart; a case that does not verify raises an alert."""
        case, request = parse_reimport_requested(message.subject, message.data)
        history = await self._event_store.find(case)
        ref = history[-1].case if history else CaseRef(request.department or "", case)
        try:
            profile = await self._profile()
            found = await plan_by_profile(profile, ref, history, self._ehr, self._organization)
        except PermanentError as error:  # of the EHR, which may be set right
            raise TransientError(error.reason) from None
        if not found.stopped and found.ready and not ref.department:
            found.stopped.append("the event stream does not have the case, and no department was given")
        if found.stopped:
            await self._alert_stopped(ref, found.stopped)
            return
        try:
            await self._append_lost_events(ref, history, found.ready, request)
        except ErasedError:
            await self._alert_stopped(ref, ["its texts were erased, and are not brought back from the chart"])

    async def _append_lost_events(
        self, ref: CaseRef, history: Sequence[RecordedEvent], ready: Sequence[VerifiedEvent], request: ReimportRequested
    ) -> None:
        """Append the lost events, each after its texts: no event may name an artifact that does not exist."""
        by = Actor(subject=request.by, role="operator")
        head = fold(history).head if history else CHAIN_START
        for item in ready:
            texts = self._artifacts.of(ref.id, head.sequence)
            reason = await texts.put(request.reason.encode())
            if item.text is not None:
                await texts.put(item.text)
            event = item.lost.event(by, reason)
            try:
                head = await self._event_store.append(
                    ref, event, after=head, id=event_id(item.lost), time=self._clock()
                )
            except WrongExpectedVersionError:
                raise TransientError("the case has moved on meanwhile") from None
            logger.info("case %s: %s was taken over from the chart", ref.id, item.lost.signature.event)

    async def _alert_stopped(self, ref: CaseRef, stopped: Sequence[str]) -> None:
        reason = "; ".join(stopped)
        logger.error("case %s: not taken over from the chart: %s", ref.id, reason)
        await publish_alert(
            self._bus,
            "critical",
            "chart-not-as-signed",
            id=f"reimport-{ref.id}",
            case=ref.id,
            department=ref.department,
            reason=reason,
            page=f"/reviews/{ref.id}",
        )
