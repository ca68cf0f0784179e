"""End preparations that no discharge has followed in time."""

import logging
from datetime import timedelta

from nats.aio.msg import Msg

from services.approval.projections.preparations import PreparationsProjection
from shared.contracts.case import fold
from shared.contracts.errors import CountersignError
from shared.contracts.preparation import PreparationEnded
from shared.contracts.subjects import derived_id
from shared.messaging.connection import NatsConnection
from shared.messaging.event_store import EventStore, WrongExpectedVersionError
from shared.messaging.recurring_timer import FailureAlert, RecurringTimer
from shared.messaging.steps import Clock

logger = logging.getLogger(__name__)

JOB = "preparations"


class PreparationExpiry:
    """Appends `preparation-ended` once the time of the last request has come, which the event itself states."""

    def __init__(
        self, bus: NatsConnection, preparations: PreparationsProjection, every: timedelta, clock: Clock
    ) -> None:
        self._preparations = preparations
        self._clock = clock
        self._alert = FailureAlert(bus, "warning", "preparation-expiry-failing", clock)
        self._event_store = EventStore(bus, "approval")
        self.timer = RecurringTimer(bus, JOB, every, clock)

    async def start(self) -> None:
        await self.timer.start()

    async def on_timer(self, _: Msg) -> None:
        """Handle the timer. A failed run does not hold up the consumer: the next run is due soon."""
        await self.timer.run(self.end_due)

    async def end_due(self) -> None:
        """End all preparations whose time has come."""
        try:
            for case_id in self._preparations.due(self._clock()):
                await self.end(case_id)
        except CountersignError as failure:
            logger.warning("preparations could not be ended: %s", failure.reason)
            await self._alert.failed(failure.reason)
            return
        self._alert.succeeded()

    async def end(self, case_id: str) -> None:
        """End the preparation of a case if its time has come. The projection may not know of a later request."""
        history = await self._event_store.find(case_id)
        request, now = fold(history).preparation, self._clock()
        if request is None or request.ends_at > now:
            return
        last, event = history[-1], PreparationEnded(reason="expired")
        id = derived_id(f"{last.case.id}/{request.number}/expired", event.event)
        try:
            await self._event_store.append(last.case, event, after=last.head, id=id, time=now)
        except WrongExpectedVersionError:
            return  # something happened in it: the next run looks again
