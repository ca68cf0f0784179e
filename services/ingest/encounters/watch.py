"""Watch the Subscriptions: ask for events that were missed, and reactivate one that has fallen silent."""

import logging
from datetime import timedelta

from services.ingest.notifications import parse_notification, parse_status
from services.ingest.publishers import NotificationPublisher
from services.ingest.subscription_state import SubscriptionState, SubscriptionStates
from services.ingest.subscriptions import Subscription, Subscriptions
from shared.clinical.fhir_client import FhirClient, etag_of
from shared.contracts.errors import CountersignError, PermanentError
from shared.messaging.connection import NatsConnection
from shared.messaging.dead_letter_queue import publish_alert
from shared.messaging.event_store import Clock
from shared.telemetry import instruments
from shared.telemetry.metric_definitions import SUBSCRIPTION

logger = logging.getLogger(__name__)

MISSED_HEARTBEATS = 2  # heartbeats that may fail to arrive


class SubscriptionWatch:
    """Looks after the Subscriptions of the file, at each run of the poll."""

    def __init__(
        self,
        bus: NatsConnection,
        ehr: FhirClient,
        publisher: NotificationPublisher,
        subscriptions: Subscriptions,
        states: SubscriptionStates,
        clock: Clock,
    ) -> None:
        self._bus, self._ehr, self._publisher = bus, ehr, publisher
        self._subscriptions, self._states, self._clock = subscriptions, states, clock

    async def run(self) -> None:
        """Fetch missed events and reactivate silent Subscriptions. A refusal is reported. Raises TransientError."""
        for item in self._subscriptions.subscriptions:
            state = await self._states.get(item.name)
            if self._silence(item, state) > 1:
                await self._reactivate(item, state)
                state = await self._states.get(item.name)
            if state.missing is not None:
                await self._fetch_missed(item, state.missing)

    async def update_gauges(self) -> None:
        """Set the gauge of each Subscription with a heartbeat."""
        for item in self._subscriptions.subscriptions:
            if item.heartbeat is not None:
                share = self._silence(item, await self._states.get(item.name))
                instruments.set_gauge("countersign.ehr.subscription.silence", share, {SUBSCRIPTION: item.name})

    def _silence(self, of: Subscription, state: SubscriptionState) -> float:
        """Return the share of the time without a heartbeat that has passed; 0 where nothing was ever received."""
        if of.heartbeat is None or state.received_at is None:
            return 0.0
        return (self._clock() - state.received_at) / timedelta(seconds=of.heartbeat * MISSED_HEARTBEATS)

    async def _fetch_missed(self, of: Subscription, missing: int) -> None:
        """Publish the events from `missing` on, where the server can tell them; the poll of this run does the rest."""
        if of.subscription is not None:
            try:
                bundle = await self._ehr.operation(
                    "Subscription", of.subscription, "events", {"eventsSinceNumber": str(missing)}
                )
                await self._publisher.publish(parse_notification(bundle).changes)
            except PermanentError as refusal:
                logger.info("%s: missed events are left to the poll: %s", of.name, refusal.reason)
        await self._states.mark_recovered(of.name, missing)

    async def _reactivate(self, of: Subscription, state: SubscriptionState) -> None:
        """Ask the server to notify again where it has stopped, and tell a person."""
        reason = "nothing has arrived for longer than two heartbeats; set its id to have it reactivated"
        if of.subscription is not None:
            try:
                found = await self._ehr.read("Subscription", of.subscription)
                reason = f"nothing has arrived for longer than two heartbeats; the EHR calls it {_status(found)}"
                reason += await self._count(of, of.subscription)
                if found.get("status") in ("off", "error"):
                    await self._ehr.update(found | {"status": "requested"}, if_match=etag_of(found))
                    reason += ", and was asked to notify again"
            except PermanentError as refusal:
                reason = f"nothing has arrived for longer than two heartbeats, and: {refusal.reason}"
        received_at = state.received_at.isoformat() if state.received_at is not None else ""
        await publish_alert(
            self._bus, "warning", "subscription-silent", id=f"{of.name}-{received_at}", sender=of.name, reason=reason
        )

    async def _count(self, of: Subscription, id: str) -> str:
        """Compare the server's count of events with ours, where it has `$status`; return what it says of errors."""
        try:
            report = parse_status(await self._ehr.operation("Subscription", id, "status", {}), id)
        except CountersignError:  # some servers answer 500 for an operation that they lack; the poll must go on
            return ""
        if report is not None and report.events is not None:
            await self._states.count(of, report.events)
        return f" ({report.error})" if report is not None and report.error else ""


def _status(subscription: dict[str, object]) -> str:
    found = subscription.get("status")
    return found if isinstance(found, str) and found in ("requested", "active", "error", "off") else "unknown"
