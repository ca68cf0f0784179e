"""Take in the decisions about drafts of the live configuration, and alert a person when their signals have drifted."""

import logging

from services.evaluator.decision_signals import Decision, measure
from services.evaluator.drift import Drift, Drifted
from shared.contracts.drafter_states import DrafterEntry
from shared.contracts.envelope import RecordedEvent
from shared.contracts.errors import TransientError
from shared.messaging.buckets import Bucket, KvEntry
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.messaging.dead_letter_queue import publish_alert_once

logger = logging.getLogger(__name__)

BUCKET = "comparisons"
ALERT = "drafter-drift"


def drift_key(configuration: str) -> str:
    """Return the key of a watch; the digest alone is that of a canary's comparison."""
    return f"drift.{configuration}"


class DriftWatch:
    """`threshold` is the least average number of decisions between two alerts while nothing has changed."""

    def __init__(self, bus: NatsConnection, threshold: float) -> None:
        self._bus = bus
        self._bucket = Bucket(bus, BUCKET)
        self.threshold = threshold

    async def of(self, entry: DrafterEntry) -> Drift | None:
        """Return the watch of a live configuration; None where it is not live, or nothing was decided yet."""
        if entry.state != "live":
            return None
        found, _ = await self._stored(entry)
        return found if found.decisions else None

    async def add_decision(self, document: str, live: DrafterEntry, decision: Decision, decided: RecordedEvent) -> bool:
        """Take in a decision about a draft of the live configuration; return whether it was not taken in before.

        Delivered again it counts once, and ends what a process that died had begun. Raises TransientError.
        """
        before, revision = await self._stored(live)
        after = before.add(
            measure(decision),
            decision.outcome,
            decision.drafted.draft.knowledge,
            sequence=decided.head.sequence,
            time=decided.time,
            threshold=self.threshold,
        )
        if after is not before:
            revision = await self._put(after, revision)
        if after.drifted is not None and not after.announced:
            await self._announce(document, after, after.drifted)
            await self._put(after.model_copy(update={"announced": True}), revision)
        return after is not before

    async def _stored(self, entry: DrafterEntry) -> tuple[Drift, int]:
        """Return the watch as it is stored, or a new one, and the revision to replace."""
        stored: KvEntry | None = await self._bucket.get(drift_key(entry.configuration))
        if stored is not None:
            found = Drift.read(stored.value)
            if found.began == entry.began:
                return found, stored.revision
        new = Drift(configuration=entry.configuration, began=entry.began)
        return new, stored.revision if stored is not None else 0

    async def _put(self, drift: Drift, revision: int) -> int:
        try:
            return await self._bucket.put(
                drift_key(drift.configuration), drift.model_dump_json().encode(), revision=revision
            )
        except WrongSequenceError:
            raise TransientError("another process took in a decision about the same configuration") from None

    async def _announce(self, document: str, drift: Drift, found: Drifted) -> None:
        """Send the alert, unless it was sent by a process that died before it could record that."""
        id = f"{drift.configuration}-{drift.began}"
        reason = (
            f"{found.signal}: {found.recent:.3f} over the last decisions, {found.baseline:.3f} at first "
            f"({found.decisions} decisions)"
        )
        facts = {"document": document, "configuration": drift.configuration, "signal": found.signal}
        if await publish_alert_once(self._bus, "warning", ALERT, id=id, reason=reason, **facts):
            logger.warning("%s: the drafts of %s have drifted: %s", document, drift.configuration[:12], reason)
