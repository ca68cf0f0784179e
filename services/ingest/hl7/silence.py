"""Measure how long each HL7 sender has been silent, as a share of its `silent_after`."""

from datetime import datetime

from services.ingest.hl7.sender import Sender, Senders
from shared.messaging.event_store import Clock
from shared.telemetry import instruments
from shared.telemetry.metric_definitions import SENDER


class SenderSilence:
    """Remember when each sender last sent a message. Before the first one, the time counts from the creation."""

    def __init__(self, senders: Senders, clock: Clock) -> None:
        self._clock = clock
        self._senders = senders
        self._last_message: dict[str, datetime] = dict.fromkeys((item.name for item in senders.senders), clock())

    def message_received(self, sender: Sender) -> None:
        self._last_message[sender.name] = self._clock()

    def share(self, sender: Sender) -> float:
        """Return the share of `silent_after` that has passed; above 1 the feed is silent."""
        return (self._clock() - self._last_message[sender.name]).total_seconds() / sender.silent_after

    def update_gauges(self) -> None:
        """Set the gauge of each sender."""
        for sender in self._senders.senders:
            instruments.set_gauge("countersign.hl7.silence", self.share(sender), {SENDER: sender.name})
