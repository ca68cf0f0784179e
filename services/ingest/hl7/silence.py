"""How long each sender has been silent, as a share of the time that its feed may be."""

from datetime import datetime

from services.ingest.hl7.sender import Sender, Senders
from shared.messaging.event_store import Clock
from shared.telemetry import instruments
from shared.telemetry.metric_definitions import SENDER


class Silence:
    """Remembers when each sender last sent something; from its creation on, as a silence before that is not known."""

    def __init__(self, senders: Senders, clock: Clock) -> None:
        self._clock = clock
        self._senders = senders
        self._heard: dict[str, datetime] = dict.fromkeys((item.name for item in senders.senders), clock())

    def heard(self, sender: Sender) -> None:
        self._heard[sender.name] = self._clock()

    def share(self, sender: Sender) -> float:
        """Return the share of `silent_after` that has passed; above 1 the feed is silent."""
        return (self._clock() - self._heard[sender.name]).total_seconds() / sender.silent_after

    def look(self) -> None:
        """Set the gauge of each sender."""
        for sender in self._senders.senders:
            instruments.set_gauge("countersign.hl7.silence", self.share(sender), {SENDER: sender.name})
