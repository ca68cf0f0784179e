"""Process every decision about a draft.

A canary that is worse is rolled back, the live configuration is watched, a shadow drafts the signed stay, too.
"""

import logging
from functools import partial

from nats.aio.msg import Msg

from services.evaluator import drafter_metrics
from services.evaluator.canary import Comparison
from services.evaluator.decision_signals import Decision, decision_of, measure
from services.evaluator.drift_watch import DriftWatch
from services.evaluator.evaluations import Evaluations
from shared.contracts import drafter_states as states
from shared.contracts.case_values import Actor
from shared.contracts.draft import DrafterRole, DrafterStamp
from shared.contracts.drafter_states import DocumentDrafters, DrafterEntry, TransitionRefusedError
from shared.contracts.envelope import RecordedEvent, decode
from shared.contracts.errors import TransientError
from shared.contracts.events import Approved, Drafted, Rejected
from shared.messaging.buckets import Bucket
from shared.messaging.connection import NatsConnection, WrongSequenceError
from shared.messaging.dead_letter_queue import publish_alert_once
from shared.messaging.drafter_registry import DrafterRegistry
from shared.messaging.event_store import EventStore

logger = logging.getLogger(__name__)

BUCKET = "comparisons"
CONSUMER = "evaluator-compare"
WATCH = Actor(subject="evaluator", role="service")


class DecisionProjection:
    """`threshold` is the evidence at which a canary is rolled back."""

    def __init__(
        self,
        bus: NatsConnection,
        registry: DrafterRegistry,
        evaluations: Evaluations,
        threshold: float,
        drift: DriftWatch,
    ) -> None:
        self._bus = bus
        self._registry = registry
        self._evaluations = evaluations
        self.threshold = threshold
        self._drift = drift
        self._cases = EventStore(bus, "evaluator")
        self._bucket = Bucket(bus, BUCKET)

    async def comparison(self, entry: DrafterEntry) -> Comparison | None:
        """Return how a configuration compares, or did when it was a canary last; None where it never was one."""
        stored = await self._bucket.get(entry.configuration)
        return Comparison.read(stored.value) if stored is not None else None

    async def receive(self, message: Msg) -> None:
        """Take in the decision of a delivered message. Raises TransientError, PermanentError."""
        sequence = message.metadata.sequence.stream
        decided = decode(message.subject, message.headers or {}, message.data, sequence)
        if isinstance(decided.body, Approved | Rejected):
            await self._add_decision(decided, decided.body)

    async def _add_decision(self, decided: RecordedEvent, body: Approved | Rejected) -> None:
        state = await self._registry.state(body.draft.kind)
        await self._evaluations.shadow(state, decided)
        entry = _compared(state, body.draft.drafter)
        if entry is None:
            return
        drafted = await self._drafted(decided, body)
        decision = decision_of(drafted, decided) if drafted is not None else None
        if drafted is None or decision is None:
            return
        canary = state.canary
        new = False
        if entry.state == "live" and drafted.time >= entry.since:
            new = await self._drift.add_decision(state.document, entry, decision, decided)
        # What is compared has to be of the same time: a draft of before the canary is left out.
        if canary is not None and drafted.time >= canary.since:
            new |= await self._compare(state, canary, "canary" if entry is canary else "live", decision, decided)
        if new:
            drafter_metrics.count(decision, state.document, "canary" if entry is canary else "live")

    async def _compare(
        self,
        state: DocumentDrafters,
        canary: DrafterEntry,
        role: DrafterRole,
        decision: Decision,
        decided: RecordedEvent,
    ) -> bool:
        """Take a decision into the comparison; return whether it was not taken in before."""
        stored = await self._bucket.get(canary.configuration)
        before = Comparison.read(stored.value) if stored is not None else None
        if before is None or before.began != canary.began:
            before = Comparison(canary=canary.configuration, began=canary.began)
        after = before.add(role, decision.outcome, decided.head.sequence, measure(decision), decision.edits)
        if after is not before:
            data = after.model_dump_json().encode()
            try:
                await self._bucket.put(canary.configuration, data, revision=stored.revision if stored else 0)
            except WrongSequenceError:
                raise TransientError("another process took in a decision about the same canary") from None
        if after.is_worse(self.threshold):
            await self._roll_back(state, after)
        return after is not before

    async def _drafted(self, decided: RecordedEvent, body: Approved | Rejected) -> RecordedEvent | None:
        """Return the event of the draft that was decided about."""
        history = await self._cases.history_with(decided)
        for item in history:
            if isinstance(item.body, Drafted) and item.body.draft.digest == body.draft.digest:
                return item
        return None

    async def _roll_back(self, state: DocumentDrafters, comparison: Comparison) -> None:
        pairs = comparison.worse + comparison.better
        reason = (
            f"worse than the live configuration in {comparison.worse} of {pairs} pairs of decisions that differ "
            f"(evidence {comparison.evidence:.3g}, threshold {self.threshold:.3g})"
        )
        digest = comparison.canary
        # The alert is first: after the rollback, a redelivery returns before this line.
        await publish_alert_once(
            self._bus,
            "warning",
            "canary-rolled-back",
            id=f"{digest}-{comparison.began}",
            document=state.document,
            configuration=digest,
            reason=reason,
        )
        try:
            move = partial(states.roll_back_canary, digest=digest, by=WATCH, reason=reason)
            await self._registry.move(state.document, move)
        except TransitionRefusedError:
            return  # it was ended by others in the meantime
        logger.warning("%s: the canary %s is rolled back: %s", state.document, digest[:12], reason)


def _compared(state: DocumentDrafters, stamp: DrafterStamp | None) -> DrafterEntry | None:
    """Return the live configuration or the canary, if a draft is of one of them."""
    found = (entry for entry in (state.canary, state.live) if entry is not None and stamp is not None)
    return next((entry for entry in found if stamp is not None and entry.configuration == stamp.configuration), None)
